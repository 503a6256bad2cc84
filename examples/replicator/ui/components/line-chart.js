/** A quantity over time: axes with words, and the same as text. */

import { fill, h, svg } from "../app/dom.js";
import { clock, count, rate } from "../app/text.js";

const [HEIGHT, LEFT, BOTTOM, TOP] = [150, 48, 20, 8];
/** Where nobody knows how wide it will be. */
const USUAL = 560;

/**
 * @typedef {{ name: string, values: number[] }} Line
 */

/** @param {number} value A little above it, round. */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

export class LineChart extends HTMLElement {
  #draw = () => {};
  #drawn = 0;
  #room = new ResizeObserver(() => Math.abs(this.clientWidth - this.#drawn) > 1 && this.#draw());

  connectedCallback() {
    this.#draw();
    this.#room.observe(this);
  }

  disconnectedCallback() {
    this.#room.disconnect();
  }

  /**
   * @param {string} title
   * @param {number[]} times
   * @param {Line[]} lines At most two: they differ in colour and in dashes.
   */
  show(title, times, lines) {
    this.#draw = () => this.#fill(title, times, lines);
    if (this.isConnected) this.#draw();
  }

  /** As wide as there is room: letters keep their size. @param {string} title @param {number[]} times @param {Line[]} lines */
  #fill(title, times, lines) {
    this.#drawn = this.clientWidth;
    const figure = h("figure", {});
    fill(this, figure);
    const room = figure.clientWidth - 2 * parseFloat(getComputedStyle(figure).paddingInlineStart);
    const WIDTH = room > 0 ? room : USUAL;
    const [first, last] = [times[0] ?? 0, times.at(-1) ?? 0];
    const top = ceiling(Math.max(...lines.flatMap((line) => line.values), 0));
    const x = (/** @type {number} */ time) => LEFT + ((time - first) / Math.max(1, last - first)) * (WIDTH - LEFT - 4);
    const y = (/** @type {number} */ value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
    const text = (/** @type {number} */ at, /** @type {number} */ line, /** @type {string} */ anchor, /** @type {string} */ said) => {
      const element = svg("text", { x: at, y: line, "text-anchor": anchor });
      element.textContent = said;
      return element;
    };
    const short = (/** @type {number} */ value) => (value >= 10 ? count(value) : rate(value));
    const drawing = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
      ...[0, top / 2, top].flatMap((value) => [
        svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 4, y1: y(value), y2: y(value) }),
        text(LEFT - 6, y(value) + 4, "end", short(value)),
      ]),
      text(LEFT, HEIGHT - 4, "start", clock(first)),
      text(WIDTH - 4, HEIGHT - 4, "end", clock(last)),
      ...lines.map((line, at) => svg("polyline", { class: `line line-${at}`, points: line.values.map((value, index) => `${x(times[index]).toFixed(1)},${y(value).toFixed(1)}`).join(" ") })),
    );
    const words = lines.map((line) => `${line.name} ${short(line.values.at(-1) ?? 0)}, at most ${short(Math.max(...line.values, 0))}`).join("; ");
    const legend = lines.map((line, at) => h("span", { class: `key key-${at}` }, line.name));
    fill(figure, h("figcaption", {}, h("strong", {}, title), ...legend), drawing, h("p", { class: "hidden" }, `${title} from ${clock(first)} to ${clock(last)}: now ${words}`));
  }
}

customElements.define("line-chart", LineChart);
