/** All that is seen is in the address: it can be shared, and Back works. What is typed is not lost without a question. */

import { dialog } from "../components/dialog.js";

/** @returns {URLSearchParams} */
export const params = () => new URLSearchParams(location.search);

/** @param {string} name */
export const param = (name) => params().get(name) ?? "";

const listeners = new Set();

/** @param {() => void} listener */
export function onRoute(listener) {
  listeners.add(listener);
}

const tell = () => listeners.forEach((listener) => listener());

/** Whether something would be lost. @type {Set<() => boolean>} */
const guards = new Set();

/** What tells which view is seen: leaving it loses what is typed there. */
const VIEW = ["mapping", "tab", "new", "page", "template"];
/** What makes another heading. */
const PAGE = ["mapping", "new", "page", "template"];

/**
 * @param {() => boolean} wouldLose Asked before a view is left.
 * @returns {() => void} Takes it away.
 */
export function guard(wouldLose) {
  guards.add(wouldLose);
  return () => guards.delete(wouldLose);
}

const wouldLose = () => [...guards].some((guard) => guard());

/** @param {URLSearchParams} next */
const leaves = (next) => wouldLose() && VIEW.some((name) => (next.get(name) ?? "") !== (shown.get(name) ?? ""));

const ask = () => dialog("Discard what you typed?", ["It is not saved yet."], "Discard");

/** What the address said when the views last followed it. */
let shown = params();

const arrive = () => {
  const before = shown;
  shown = params();
  tell();
  // Who moves by keys or hears the page goes on where the new view begins; tabs of one view keep the focus.
  if (PAGE.some((name) => before.get(name) !== shown.get(name))) /** @type {HTMLElement | null} */ (document.querySelector("h1:not([hidden] *)"))?.focus();
};

addEventListener("popstate", () => {
  if (!leaves(params())) return arrive();
  // The address has changed already: it waits for the answer where it was.
  const wanted = location.href;
  history.pushState(null, "", `${location.pathname}${shown.size > 0 ? `?${shown}` : ""}`);
  void ask().then((agreed) => {
    if (!agreed) return;
    history.replaceState(null, "", wanted);
    arrive();
  });
});

addEventListener("beforeunload", (event) => {
  if (wouldLose()) event.preventDefault();
});

/** @param {URLSearchParams} next @param {() => void} move */
function leave(next, move) {
  const moved = () => (move(), arrive());
  if (!leaves(next)) return moved();
  void ask().then((agreed) => agreed && moved());
}

/**
 * Changes parameters; an empty one is taken away.
 * @param {Record<string, string | null>} changes
 * @param {{ push?: boolean, clear?: boolean }} [how] `push`: Back leads here again; `clear`: others go.
 */
export function go(changes, how = {}) {
  const next = how.clear ? new URLSearchParams() : params();
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const query = next.toString();
  const address = location.pathname + (query ? `?${query}` : "");
  leave(next, () => (how.push ? history.pushState(null, "", address) : history.replaceState(null, "", address)));
}

/**
 * The address of a mapping's page.
 * @param {string} name
 * @param {string} [tab]
 */
export function mappingAddress(name, tab = "") {
  const next = new URLSearchParams({ mapping: name });
  if (tab) next.set("tab", tab);
  return `?${next}`;
}

/**
 * Follows links to this page without loading it again.
 * @param {MouseEvent} event
 */
export function follow(event) {
  const link = /** @type {Element} */ (event.target).closest("a[data-in]");
  if (!(link instanceof HTMLAnchorElement)) return;
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  leave(new URL(link.href).searchParams, () => history.pushState(null, "", link.href));
}
