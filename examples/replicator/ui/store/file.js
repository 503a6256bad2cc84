/** The mapping file as it is written, and its mappings in it. */

import { ask } from "../api/client.js";
import { member, parse, text as textOf } from "../api/json.js";
import { append, put, putBack, takeOut } from "../api/splice.js";

/** @typedef {import("../api/json.js").Node_} Node_ */

/** Commas before a closing bracket are allowed in the files; they are in no string. @param {string} text */
const strict = (text) => text.replace(/("(?:[^"\\]|\\.)*")|,(\s*[}\]])/g, (_, string, rest) => string ?? rest);

/** @param {Node_} file @returns {Node_ | undefined} The file may be nothing but the list. */
const listOf = (file) => (file.kind === "array" ? file : member(file, "mappings"));

/** @param {Node_} file @param {string} name */
function find(file, name) {
  const list = listOf(file);
  const items = list?.kind === "array" ? list.items : [];
  return items.find((mapping) => textOf(member(mapping, "name")) === name);
}

export class MappingFile {
  /** @param {string} text @param {string} version */
  constructor(text, version) {
    this.text = text;
    this.version = version;
  }

  static async read() {
    const answer = await ask({ path: "file" });
    return new MappingFile(strict(textOf(member(parse(answer.text), "text")) || "{}"), answer.version);
  }

  /** @param {string} name @returns {string | undefined} As it is written. */
  mapping(name) {
    const found = find(parse(this.text), name);
    return found && takeOut(this.text, found);
  }

  /** Whether a list of the file decides about a mapping. @param {string} name */
  listed(name) {
    const file = parse(this.text);
    return ["disabled", "enabled"].find((list) => {
      const names = member(file, list);
      return names?.kind === "array" && names.items.some((item) => textOf(item) === name);
    });
  }

  /** @param {string} name @param {string} text @returns {string} The file with another text of this mapping. */
  with(name, text) {
    const found = find(parse(this.text), name);
    if (!found) throw new Error(`The mapping “${name}” is not in the file any more.`);
    return putBack(this.text, found, text.trim());
  }

  /** @param {string} text @returns {string} The file with one more mapping. */
  and(text) {
    const file = parse(this.text);
    const list = listOf(file);
    return list ? append(this.text, list, text.trim()) : put(this.text, ["mappings"], `[\n        ${text.trim().replaceAll("\n", "\n        ")}\n    ]`);
  }

  /** @param {string} name */
  placeOf(name) {
    return find(parse(this.text), name);
  }
}

/** @param {string} text @param {string} comment @returns {string} A file that says why it is as it is. */
export const commented = (text, comment) => (parse(text).kind === "object" ? put(text, ["comment"], JSON.stringify(comment)) : text);

/**
 * The field of a mapping that a place in the file lies in, where the service knows line and column only.
 * @param {string} text
 * @param {{ line: number, column: number }} place
 * @param {string} name
 */
export function fieldAt(text, place, name) {
  const lines = text.split("\n");
  const at = lines.slice(0, place.line - 1).reduce((sum, line) => sum + line.length + 1, 0) + place.column - 1;
  const mapping = new MappingFile(text, "").placeOf(name);
  if (mapping?.kind !== "object" || at < mapping.start || at > mapping.end) return undefined;
  const found = mapping.members.find(({ from, end }) => at >= from && at <= end + 1);
  return found && /** @type {string} */ (JSON.parse(found.key));
}
