/** A button that copies the call behind an action. */

import { curl } from "../api/client.js";
import { h } from "../app/dom.js";
import { dialog } from "./dialog.js";
import { toast } from "./toast.js";

/**
 * @param {string} what For whom does not see what stands beside it.
 * @param {() => import("../api/client.js").Call} call
 */
export function copyAsCurl(what, call) {
  const copy = async () => {
    const text = curl(call());
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied as curl.");
    } catch {
      // Browsers give the clipboard to secure pages only.
      await dialog("Copy as curl", [h("pre", { tabindex: "0", class: "code" }, text)]);
    }
  };
  return h("button", { type: "button", class: "quiet small", "aria-label": `Copy as curl: ${what}`, onclick: () => void copy() }, "Copy as curl");
}
