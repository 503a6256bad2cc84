/** All that is seen is in the address: it can be shared, and Back works. */

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
addEventListener("popstate", tell);

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
  if (how.push) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  tell();
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
  history.pushState(null, "", link.href);
  tell();
  document.querySelector("h1")?.focus();
}
