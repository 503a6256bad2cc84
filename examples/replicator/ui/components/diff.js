/** Two texts, line by line. */

import { h } from "../app/dom.js";

/** Beyond so many pairs of lines the texts are shown as a whole instead. */
const MOST = 4_000_000;

/** @typedef {{ sign: " " | "+" | "-", line: string }} Line */

/**
 * @param {string} before
 * @param {string} after
 * @returns {Line[]}
 */
export function lines(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if (before === after) return a.map((line) => ({ sign: " ", line }));
  if (a.length * b.length > MOST) {
    return [...a.map((line) => /** @type {Line} */ ({ sign: "-", line })), ...b.map((line) => /** @type {Line} */ ({ sign: "+", line }))];
  }
  // How many lines are the same from here on.
  const same = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      same[i][j] = a[i] === b[j] ? same[i + 1][j + 1] + 1 : Math.max(same[i + 1][j], same[i][j + 1]);
    }
  }
  /** @type {Line[]} */
  const all = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      all.push({ sign: " ", line: a[i] });
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && same[i + 1][j] >= same[i][j + 1])) {
      all.push({ sign: "-", line: a[i] });
      i += 1;
    } else {
      all.push({ sign: "+", line: b[j] });
      j += 1;
    }
  }
  return all;
}

const WORDS = { "+": "added: ", "-": "removed: ", " ": "" };

/** Lines around a change that are shown with it. */
const AROUND = 3;

/**
 * Without what is far from every change.
 * @param {Line[]} all
 * @returns {(Line | number)[]} A number: so many lines are as they were.
 */
export function fold(all) {
  const near = all.map(() => false);
  for (const [at, { sign }] of all.entries()) if (sign !== " ") near.fill(true, Math.max(0, at - AROUND), at + AROUND + 1);
  /** @type {(Line | number)[]} */
  const shown = [];
  for (const [at, line] of all.entries()) {
    const last = shown.at(-1);
    if (near[at]) shown.push(line);
    else if (typeof last === "number") shown[shown.length - 1] = last + 1;
    else shown.push(1);
  }
  return shown;
}

/**
 * @param {string} before
 * @param {string} after
 */
export function diff(before, after) {
  const rows = fold(lines(before, after)).map((line) => {
    if (typeof line === "number") return h("div", { class: "muted" }, `⋯ ${line} line${line === 1 ? "" : "s"} as before`);
    const { sign } = line;
    return h("div", { class: sign === "+" ? "added" : sign === "-" ? "removed" : "" }, h("span", { "aria-hidden": "true" }, `${sign} `), h("span", { class: "hidden" }, WORDS[sign]), line.line);
  });
  return h("div", { class: "diff code", role: "region", "aria-label": "Difference", tabindex: "0" }, ...rows);
}
