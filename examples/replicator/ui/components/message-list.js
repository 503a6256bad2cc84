/** Records as the service wrote them: no number is rounded, no second member of a name lost. */

import { member, parse, print, text } from "../api/json.js";
import { fill, h } from "../app/dom.js";
import { moment } from "../app/text.js";
import { valueView } from "./value-view.js";

/** @typedef {import("../api/json.js").Node_} Node_ */

/** @param {Node_ | undefined} node */
const raw = (node) => (node === undefined ? "" : print(node));

/**
 * What a value is called when it is not simply there.
 * @param {Node_} line
 * @param {string} name `key` or `value`.
 */
function content(line, name) {
  const bytes = text(member(line, `${name}_b64`));
  if (bytes !== undefined) return { note: "bytes (base64)", said: bytes };
  const node = member(line, name);
  if (node === undefined || raw(node) === "null") return { note: name === "value" ? "tombstone" : "no key", said: "null" };
  return { note: "", said: name === "key" ? (text(node) ?? raw(node)) : raw(node) };
}

/**
 * One record of a file of records.
 * @param {Node_} line
 * @param {(Node | string)[]} [before] What is told about it.
 * @param {string} [className]
 */
export function message(line, before = [], className = "") {
  const [key, value] = [content(line, "key"), content(line, "value")];
  const stamp = raw(member(line, "timestamp"));
  const headers = member(line, "headers");
  const where = `${raw(member(line, "partition"))}:${raw(member(line, "offset"))}`;
  const body = h("div", {});
  const details = h("details", {});
  details.addEventListener("toggle", () => {
    if (!details.open || body.firstChild) return;
    fill(
      body,
      h("p", { class: "muted" }, /^-?\d{1,15}$/.test(stamp) ? moment(Number(stamp)) : "no timestamp", key.note ? ` · ${key.note}` : ""),
      value.note === "tombstone" ? h("p", {}, "A tombstone: it has no value.") : valueView(value.said, value.note !== "", print(line)),
      headers ? h("pre", { class: "code", "aria-label": "Headers" }, print(headers, "  ")) : null,
    );
  });
  fill(
    details,
    h(
      "summary",
      {},
      h("span", { class: "mono muted where", title: "partition:offset" }, where),
      h("span", { class: "mono key-text", title: key.note || "key" }, key.said),
      h("span", { class: "mono value-text" }, value.note ? `${value.note} ` : "", value.said),
    ),
    body,
  );
  return h("li", { class: `message ${className}` }, ...before, details);
}

/** @param {string} answer Of `/api/messages`. */
export function messagesOf(answer) {
  const node = parse(answer);
  const list = member(node, "messages");
  const word = (/** @type {string} */ name) => raw(member(node, name));
  return {
    lines: list?.kind === "array" ? list.items : [],
    scanned: word("scanned"),
    filterErrors: word("filter_errors"),
    truncated: word("truncated") === "true",
    timedOut: word("timed_out") === "true",
    elapsed: word("elapsed_ms"),
    bytes: new Blob([answer]).size,
  };
}
