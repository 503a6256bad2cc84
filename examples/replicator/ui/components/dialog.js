/** The browser's own dialog: it keeps the focus and gives it back. */

import { h, unique } from "../app/dom.js";

/**
 * @param {string} title
 * @param {(Node | string)[]} content
 * @param {string} [action] Of the button that agrees; none: there is only one to close.
 * @returns {Promise<boolean>} Whether it was agreed.
 */
export function dialog(title, content, action) {
  const id = unique();
  const box = h(
    "dialog",
    { "aria-labelledby": id },
    h("h2", { id }, title),
    ...content,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: () => box.close("") }, action ? "Cancel" : "Close"),
      action ? h("button", { type: "button", class: "primary", onclick: () => box.close("yes") }, action) : null,
    ),
  );
  document.body.append(box);
  box.showModal();
  return new Promise((done) => {
    box.addEventListener("close", () => {
      box.remove();
      done(box.returnValue === "yes");
    });
  });
}
