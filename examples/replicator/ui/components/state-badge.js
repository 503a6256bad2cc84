/** A state as word, shape and colour: none of them is needed to know it. */

import { svg } from "../app/dom.js";
import { words } from "../app/text.js";

/** Shapes on 12 × 12. @type {Record<string, string>} */
const SHAPES = {
  starting: "M6 1a5 5 0 1 0 5 5",
  running: "M2 1l9 5-9 5z",
  catching_up: "M1 1l5 5-5 5zM6 1l5 5-5 5z",
  idle: "M6 1a5 5 0 1 0 .01 0z",
  paused: "M2 1h3v10H2zM7 1h3v10H7z",
  waiting: "M1 1h10L6 6l5 5H1l5-5z",
  error: "M6 0l6 11H0z",
  completed: "M1 6l2-2 2 2 4-5 2 2-6 7z",
  disabled: "M1 1h10v10H1z",
};

export const STATES = Object.keys(SHAPES);

export class StateBadge extends HTMLElement {
  #shown = "";
  #word = document.createElement("span");
  #shape = svg("path", {});

  connectedCallback() {
    if (this.firstChild) return;
    this.append(svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, this.#shape), this.#word);
  }

  /**
   * @param {string} state
   * @param {string | null} [detail]
   */
  show(state, detail) {
    if ((this.getAttribute("title") ?? "") !== (detail ?? "")) this.setAttribute("title", detail ?? "");
    if (state === this.#shown) return;
    this.#shown = state;
    this.dataset.state = state;
    this.#shape.setAttribute("d", SHAPES[state] ?? SHAPES.idle);
    this.#word.textContent = words(state);
  }
}

customElements.define("state-badge", StateBadge);

/** @param {string} state @param {string | null} [detail] */
export function badge(state, detail) {
  const element = /** @type {StateBadge} */ (document.createElement("state-badge"));
  element.show(state, detail);
  return element;
}
