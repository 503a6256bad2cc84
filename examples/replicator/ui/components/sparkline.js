/** A trend as a line, with the same in words. */

import { svg } from "../app/dom.js";
import { rate } from "../app/text.js";

const WIDTH = 96;
const HEIGHT = 24;

export class SparkLine extends HTMLElement {
  /** @type {SVGElement | undefined} */
  #line;
  /** @type {SVGElement | undefined} */
  #area;
  #shown = "";

  connectedCallback() {
    if (this.#line) return;
    this.#area = svg("path", { class: "area" });
    this.#line = svg("polyline", { class: "line" });
    this.append(svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" }, this.#area, this.#line));
    this.setAttribute("role", "img");
  }

  /** @param {number[]} values The newest last. */
  show(values) {
    const key = values.join();
    if (key === this.#shown || !this.#line || !this.#area) return;
    this.#shown = key;
    const top = Math.max(...values, 1e-9);
    const step = WIDTH / 59;
    const from = WIDTH - (values.length - 1) * step;
    const points = values.map((value, at) => `${(from + at * step).toFixed(1)},${(HEIGHT - 2 - (value / top) * (HEIGHT - 4)).toFixed(1)}`);
    this.#line.setAttribute("points", points.join(" "));
    this.#area.setAttribute("d", values.length > 1 ? `M${from.toFixed(1)},${HEIGHT} L${points.join(" L")} L${WIDTH},${HEIGHT} Z` : "");
    const last = values.at(-1) ?? 0;
    this.setAttribute("aria-label", `${rate(last)} a second, at most ${rate(top < 1e-6 ? 0 : top)} in the last ${values.length} ticks`);
  }
}

customElements.define("spark-line", SparkLine);
