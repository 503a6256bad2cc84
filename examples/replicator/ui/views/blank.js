/** What stands where there are no rows: why, and what to do about it. */

import { h } from "../app/dom.js";
import { go } from "../app/route.js";
import { store } from "../store/store.js";

const FIRST = `{
  "mappings": [
    { "name": "orders", "source_topic_name": "orders", "target_topic_name": "orders" }
  ]
}`;

/** @param {string} why `loading`, `silent`, `starting`, `none` that fits, or not even a `first`. @returns {Node[]} */
export function blank(why) {
  switch (why) {
    case "loading":
      return [h("p", {}, "Loading …")];
    case "silent":
      return [h("p", {}, "The service does not answer yet. The page tries again by itself.")];
    case "starting":
      return [h("p", {}, "The service starts: it has not taken its mappings yet. It asks both clusters first, and waits for one that does not answer.")];
    case "none":
      return [h("p", {}, "No mapping fits."), h("button", { type: "button", onclick: () => go({ q: null, state: null }) }, "Show all")];
    case "first":
      return [
        h("h2", {}, "No mappings yet"),
        h("p", {}, "A mapping says what is read and what is written. ", store.readOnly ? "" : h("a", { href: "?new=1", "data-in": true }, "Add the first one here"), store.readOnly ? "Write" : ", or write", " it into the mapping file:"),
        h("pre", { class: "code" }, FIRST),
        h("p", {}, "It is read again by itself; the topics must exist on both clusters."),
      ];
    default:
      return [];
  }
}
