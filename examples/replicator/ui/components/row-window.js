/** Which of many rows are drawn: those in sight and some around them. The others are empty space of their height. */

/** Pixels above and below the sight, so that the next rows are there before they are seen or reached by Tab. */
const AROUND = 600;
/** Of these so many are kept before rows are drawn again: most steps of a scroll draw nothing. */
const KEPT = 250;

/** @typedef {{ first: number, end: number, before: number, after: number, height: number }} Drawn */

/**
 * @param {number[]} heights
 * @param {number} above Pixels that are scrolled out above the first row; negative: it begins below the top.
 * @param {number} sight Pixels of the window.
 * @returns {Drawn} The rows from `first` to `end`, and the space around.
 */
export function inSight(heights, above, sight) {
  let [first, end, before, at] = [heights.length, 0, 0, 0];
  for (const [index, height] of heights.entries()) {
    if (at + height >= above - AROUND && at <= above + sight + AROUND) {
      if (first > index) [first, before] = [index, at];
      end = index + 1;
    }
    at += height;
  }
  if (end === 0) return { first: 0, end: 0, before: 0, after: at, height: 0 };
  const drawn = heights.slice(first, end).reduce((sum, height) => sum + height, 0);
  return { first, end, before, after: at - before - drawn, height: drawn };
}

/**
 * Whether what is drawn is enough for what is in sight.
 * @param {Drawn} drawn
 * @param {number} above
 * @param {number} sight
 */
export const isEnough = (drawn, above, sight) =>
  (drawn.before === 0 || drawn.before <= above - KEPT) && (drawn.after === 0 || drawn.before + drawn.height >= above + sight + KEPT);
