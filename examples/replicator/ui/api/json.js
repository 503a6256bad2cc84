/**
 * JSON without loss: every scalar keeps the text it was written with, every member its place, twice named ones too.
 * Nodes know where in the text they begin and end.
 *
 * @typedef {{ start: number, end: number }} Span
 * @typedef {Span & { key: string, from: number, node: Node_ }} Member `from`: where its name begins.
 * @typedef {Span & { kind: "object", members: Member[] }} ObjectNode
 * @typedef {Span & { kind: "array", items: Node_[] }} ArrayNode
 * @typedef {Span & { kind: "scalar", raw: string }} ScalarNode
 * @typedef {ObjectNode | ArrayNode | ScalarNode} Node_
 */

const SCALAR = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const SPACE = /[ \t\r\n]*/y;

/** Deeper values are shown as one text: nobody reads them, and the stack is finite. */
const DEPTH = 500;

/**
 * @param {string} text
 * @returns {Node_}
 * @throws {SyntaxError} with line and column
 */
export function parse(text) {
  let at = 0;
  const space = () => {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    at = SPACE.lastIndex;
  };
  /** @param {string} what @returns {never} */
  const fail = (what) => {
    const before = text.slice(0, at).split("\n");
    const column = before[before.length - 1].length + 1;
    throw new SyntaxError(`line ${before.length}, column ${column}: ${what}`);
  };
  /** @returns {string} */
  const scalar = () => {
    SCALAR.lastIndex = at;
    const found = SCALAR.exec(text);
    if (!found) return fail(at < text.length ? `${JSON.stringify(text[at])} is no JSON here` : "the text ends too early");
    at = SCALAR.lastIndex;
    return found[0];
  };
  /** @param {string} wanted */
  const eat = (wanted) => {
    if (text[at] !== wanted) fail(`here must be ${JSON.stringify(wanted)}`);
    at += 1;
  };
  /** @param {number} depth @returns {Node_} */
  const value = (depth) => {
    if (depth > DEPTH) fail("nested too deeply");
    space();
    const open = text[at];
    const start = at;
    if (open !== "{" && open !== "[") {
      const raw = scalar();
      return { kind: "scalar", raw, start, end: at };
    }
    const close = open === "{" ? "}" : "]";
    at += 1;
    /** @type {ObjectNode["members"]} */
    const members = [];
    /** @type {Node_[]} */
    const items = [];
    space();
    while (text[at] !== close) {
      if (members.length + items.length > 0) {
        eat(",");
        space();
      }
      if (open === "{") {
        if (text[at] !== '"') fail("here must be a name in quotes");
        const from = at;
        const key = scalar();
        space();
        eat(":");
        const node = value(depth + 1);
        members.push({ key, from, node, start: node.start, end: node.end });
      } else {
        items.push(value(depth + 1));
      }
      space();
    }
    at += 1;
    return open === "{" ? { kind: "object", members, start, end: at } : { kind: "array", items, start, end: at };
  };
  const node = value(0);
  space();
  if (at < text.length) fail("the text should end here");
  return node;
}

/**
 * @param {Node_} node
 * @param {string} [indent] Of the lines; none: all in one line.
 * @param {string} [before]
 * @returns {string}
 */
export function print(node, indent = "", before = "") {
  if (node.kind === "scalar") return node.raw;
  const inner = before + indent;
  const parts =
    node.kind === "object"
      ? node.members.map(({ key, node }) => `${key}:${indent ? " " : ""}${print(node, indent, inner)}`)
      : node.items.map((item) => print(item, indent, inner));
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  if (parts.length === 0) return open + close;
  if (!indent) return open + parts.join(",") + close;
  return `${open}\n${parts.map((part) => inner + part).join(",\n")}\n${before}${close}`;
}

/**
 * @param {Node_ | undefined} node
 * @param {string} name
 * @returns {Node_ | undefined} The last one of that name: it is the one that counts.
 */
export function member(node, name) {
  if (node?.kind !== "object") return undefined;
  return node.members.findLast((member) => JSON.parse(member.key) === name)?.node;
}

/** @param {Node_ | undefined} node @returns {string | undefined} A string's value. */
export function text(node) {
  return node?.kind === "scalar" && node.raw.startsWith('"') ? JSON.parse(node.raw) : undefined;
}

/** @param {Node_} node @returns {any} */
function plain(node) {
  if (node.kind === "array") return node.items.map(plain);
  if (node.kind === "object") return Object.fromEntries(node.members.map(({ key, node }) => [JSON.parse(key), plain(node)]));
  const value = JSON.parse(node.raw);
  return /^-?\d+$/.test(node.raw) && !Number.isSafeInteger(value) ? BigInt(node.raw) : value;
}

/** @param {any} value Whether a whole number in it may have been rounded. @returns {boolean} */
function rounded(value) {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  if (typeof value !== "object" || value === null) return false;
  for (const name in value) if (rounded(value[name])) return true;
  return false;
}

/**
 * Values to calculate with; whole numbers that JavaScript would round become `bigint`.
 * @param {string} text
 */
export function read(text) {
  const value = JSON.parse(text);
  return /\d{16}/.test(text) && rounded(value) ? plain(parse(text)) : value;
}

/** @param {string} source @returns {string} Pretty where it is JSON, unchanged where it is not. */
export function pretty(source) {
  try {
    return print(parse(source), "  ");
  } catch {
    return source;
  }
}
