/** Single keys. They can be switched off: who dictates would press them by chance. */

/** @typedef {{ key: string, what: string, run: () => void }} Shortcut */

/** @type {Shortcut[]} */
const shortcuts = [];

export const all = () => [...shortcuts];

/**
 * @param {string} key
 * @param {string} what
 * @param {() => void} run
 */
export function shortcut(key, what, run) {
  shortcuts.push({ key, what, run });
}

export function areOn() {
  try {
    return localStorage.getItem("keys") !== "off";
  } catch {
    return true;
  }
}

/** @param {boolean} on */
export function turn(on) {
  try {
    localStorage.setItem("keys", on ? "on" : "off");
  } catch {
    // Storage is forbidden: it holds until the page is loaded again.
  }
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !areOn()) return;
  const target = /** @type {Element} */ (event.target);
  if (document.querySelector("dialog[open]")) return;
  const types = target.closest("input, textarea, select, [contenteditable]");
  if (types) return;
  const found = shortcuts.find((shortcut) => shortcut.key === event.key);
  if (!found) return;
  event.preventDefault();
  found.run();
});
