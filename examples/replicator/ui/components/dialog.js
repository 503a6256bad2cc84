/** The browser's own dialog: it keeps the focus and gives it back. */

import { h, unique } from "../app/dom.js";

/**
 * @param {string} title
 * @param {(Node | string)[]} content
 * @param {string} [action] Of the button that agrees; none: there is only one to close.
 * @param {() => boolean} [ready] Whether it can be agreed; it is asked at every input.
 * @returns {Promise<boolean>} Whether it was agreed.
 */
export function dialog(title, content, action, ready = () => true) {
  const id = unique();
  const agree = action ? h("button", { type: "button", class: "primary", disabled: !ready(), onclick: () => box.close("yes") }, action) : null;
  const box = h(
    "dialog",
    { "aria-labelledby": id },
    h("h2", { id }, title),
    ...content,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "button", class: "quiet", onclick: () => box.close("") }, action ? "Cancel" : "Close"),
      agree,
    ),
  );
  if (agree) box.addEventListener("input", () => (agree.disabled = !ready()));
  document.body.append(box);
  box.showModal();
  return new Promise((done) => {
    box.addEventListener("close", () => {
      box.remove();
      done(box.returnValue === "yes");
    });
  });
}
