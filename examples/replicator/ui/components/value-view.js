/** A key or value of a record, the way one wants to see it; made when it is asked for. */

import { parse, pretty } from "../api/json.js";
import { fill, h } from "../app/dom.js";
import { toast } from "./toast.js";

/** @typedef {import("../api/json.js").Node_} Node_ */

const ROW = 16;
/** Beyond so many bytes nobody counts them one by one. */
const MOST = 16_384;

/** @param {Uint8Array} bytes @returns {string} Offset, bytes and characters, line by line. */
export function hex(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, MOST); at += ROW) {
    const row = [...bytes.subarray(at, at + ROW)];
    const digits = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${digits.padEnd(ROW * 3 - 1)}  ${letters}`);
  }
  if (bytes.length > MOST) lines.push(`… ${bytes.length - MOST} more bytes`);
  return lines.join("\n") || "no bytes";
}

/** @param {Node_} node @param {string} [name] @param {boolean} [open] @returns {HTMLElement} */
function tree(node, name = "", open = true) {
  const label = name ? h("span", { class: "tree-name" }, `${name}: `) : "";
  if (node.kind === "scalar") return h("div", { class: "tree-leaf" }, label, node.raw);
  const parts = node.kind === "object" ? node.members.map(({ key, node }) => ({ name: key, node })) : node.items.map((node, at) => ({ name: String(at), node }));
  const inner = h("div", { class: "tree-inner" });
  const details = h("details", { open }, h("summary", {}, label, node.kind === "object" ? `{ ${parts.length} }` : `[ ${parts.length} ]`), inner);
  // What is shut is made when it is opened: values may be large.
  const make = () => details.open && !inner.firstChild && fill(inner, ...parts.map((part) => tree(part.node, part.name, false)));
  details.addEventListener("toggle", make);
  make();
  return details;
}

/** @param {string} said @param {boolean} isBase64 */
function bytesOf(said, isBase64) {
  if (!isBase64) return new TextEncoder().encode(said);
  return Uint8Array.from(atob(said), (letter) => letter.charCodeAt(0));
}

/**
 * @param {string} said As the service wrote it: JSON, or base64.
 * @param {boolean} isBase64
 * @param {string} line The whole record, to be copied.
 */
export function valueView(said, isBase64, line) {
  const place = h("div", {});
  /** @type {Record<string, () => Node>} */
  const views = {
    Pretty: () => h("pre", { class: "code" }, isBase64 ? said : pretty(said)),
    Tree: () => h("div", { class: "code tree" }, isBase64 ? said : tree(parse(said))),
    Raw: () => h("pre", { class: "code" }, said),
    Hex: () => h("pre", { class: "code hex" }, hex(bytesOf(said, isBase64))),
  };
  const show = (/** @type {string} */ view) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.value === view));
    fill(place, views[view]());
  };
  const buttons = Object.keys(views).map((view) => h("button", { type: "button", class: "small", value: view, onclick: () => show(view) }, view));
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(line);
      toast("The record is copied as a line of JSON.");
    } catch {
      toast("This browser gives no clipboard to pages without TLS: select the text instead.", { bad: true });
    }
  };
  show("Pretty");
  return h("div", {}, h("div", { class: "tools" }, h("div", { class: "choice", role: "group", "aria-label": "Show the value as" }, ...buttons), h("button", { type: "button", class: "quiet small", onclick: () => void copy() }, "Copy the record")), place);
}
