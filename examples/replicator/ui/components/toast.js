/** What just happened, with a way back for ten seconds. */

import { h, say } from "../app/dom.js";

const STAYS = 10_000;

/** @type {HTMLElement | undefined} */
let place;

/** @returns {HTMLElement} Where they appear; it is there before them, or nobody would be told. */
export function toasts() {
  place ??= h("div", { class: "toasts", role: "status", "aria-live": "polite" });
  return place;
}

/**
 * @param {string} text
 * @param {{ undo?: () => void, bad?: boolean }} [how]
 * @returns {(text: string) => void} Says something else there.
 */
export function toast(text, how = {}) {
  const close = () => {
    clearTimeout(timer);
    box.remove();
  };
  const undo = how.undo;
  const said = h("span", {}, text);
  const box = h(
    "div",
    { class: how.bad ? "toast bad" : "toast" },
    said,
    undo && h("button", { type: "button", onclick: () => (close(), undo()) }, "Undo"),
    h("button", { type: "button", class: "quiet", "aria-label": "Close this message", onclick: close }, "×"),
  );
  let timer = setTimeout(close, STAYS);
  // Who reaches for Undo is not left with nothing.
  box.addEventListener("focusin", () => clearTimeout(timer));
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(close, STAYS);
  };
  box.addEventListener("focusout", again);
  box.addEventListener("pointerleave", again);
  toasts().append(box);
  return (text) => say(said, text);
}
