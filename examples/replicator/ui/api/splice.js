/** Texts of JSON, changed in place: what is not changed stays as it was written, byte for byte. */

import { parse } from "./json.js";

/** @typedef {import("./json.js").Node_} Node_ */
/** @typedef {import("./json.js").ObjectNode} ObjectNode */

/** @param {string} text @param {number} at @returns {string} What the line of this place begins with. */
const lead = (text, at) => /^[ \t]*/.exec(text.slice(text.lastIndexOf("\n", at - 1) + 1))?.[0] ?? "";

/**
 * @param {string} text
 * @param {{ start: number, end: number }} span
 * @param {string} raw
 */
export const replace = (text, span, raw) => text.slice(0, span.start) + raw + text.slice(span.end);

/** @param {string} text @param {{ start: number, end: number }} span @returns {string} As if it stood alone. */
export function takeOut(text, span) {
  const before = lead(text, span.start);
  return text.slice(span.start, span.end).replaceAll(`\n${before}`, "\n");
}

/**
 * @param {string} text
 * @param {{ start: number, end: number }} span
 * @param {string} raw As [`takeOut`] gave it.
 */
export const putBack = (text, span, raw) => replace(text, span, raw.replaceAll("\n", `\n${lead(text, span.start)}`));

/**
 * Adds to what is between brackets, in the manner of what stands there.
 * @param {string} text
 * @param {Node_} node
 * @param {string} raw
 */
export function append(text, node, raw) {
  if (node.kind === "scalar") return text;
  const parts = node.kind === "object" ? node.members.map(({ from, end }) => ({ start: from, end })) : node.items;
  const last = parts.at(-1);
  if (last) {
    const between = text.slice(node.start + 1, parts[0].start);
    return replace(text, { start: last.end, end: last.end }, `,${between}${raw.replaceAll("\n", `\n${lead(text, parts[0].start)}`)}`);
  }
  const outer = lead(text, node.start);
  const inner = `${outer}    `;
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  return replace(text, node, `${open}\n${inner}${raw.replaceAll("\n", `\n${inner}`)}\n${outer}${close}`);
}

/** @param {Node_} node @param {string} name */
const named = (node, name) => (node.kind === "object" ? node.members.findLast((member) => JSON.parse(member.key) === name) : undefined);

/**
 * Gives a member of an object a value; one that is not there is added, objects on the way too.
 * @param {string} text
 * @param {string[]} path
 * @param {string | undefined} raw JSON; none: the member is taken out.
 * @returns {string}
 */
export function put(text, path, raw) {
  const whole = parse(text);
  /** @type {Node_} */
  let node = whole;
  for (const [depth, name] of path.entries()) {
    const found = named(node, name);
    const isLast = depth === path.length - 1;
    if (!found) {
      if (raw === undefined) return text;
      const rest = path.slice(depth + 1).reduceRight((inner, name) => `{ ${JSON.stringify(name)}: ${inner} }`, raw);
      return append(text, node, `${JSON.stringify(name)}: ${rest}`);
    }
    if (isLast) return raw === undefined ? without(text, /** @type {ObjectNode} */ (node), found) : replace(text, found, raw);
    node = found.node;
  }
  return text;
}

/**
 * @param {string} text
 * @param {ObjectNode} object
 * @param {import("./json.js").Member} member
 */
function without(text, object, member) {
  const at = object.members.indexOf(member);
  const [before, after] = [object.members[at - 1], object.members[at + 1]];
  if (before) return replace(text, { start: before.end, end: member.end }, "");
  if (after) return replace(text, { start: member.from, end: after.from }, "");
  return replace(text, object, "{}");
}
