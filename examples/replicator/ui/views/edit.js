/** A mapping as JSON, or the template it comes from; as it stands in its file. */

import { ask, part } from "../api/client.js";
import { member, parse, print, text as textOf } from "../api/json.js";
import { fill, h } from "../app/dom.js";
import { SavePanel } from "../components/save-panel.js";
import { store } from "../store/store.js";

/** @typedef {import("../api/json.js").Node_} Node_ */

/** @param {Node_} file @returns {Node_[]} The file's own mappings; it may be nothing but their list. */
function own(file) {
  const list = file.kind === "array" ? file : member(file, "mappings");
  return list?.kind === "array" ? list.items : [];
}

/** Commas before a closing bracket are allowed in the files; they are in no string. @param {string} text */
const strict = (text) => text.replace(/("(?:[^"\\]|\\.)*")|,(\s*[}\]])/g, (_, string, rest) => string ?? rest);

/** @param {string} label */
function editor(label) {
  const area = h("textarea", { class: "code", id: "editor", rows: 16, spellcheck: "false", autocomplete: "off", readonly: store.readOnly });
  return { area, head: h("label", { for: "editor" }, label) };
}

/** @param {string} name */
function mappingEditor(name) {
  const { area, head } = editor("This mapping, as JSON");
  let file = "{}";
  const load = async () => {
    const answer = await ask({ path: "file" });
    file = strict(textOf(member(parse(answer.text), "text")) ?? "{}");
    const found = own(parse(file)).find((mapping) => textOf(member(mapping, "name")) === name);
    if (!found) throw new Error(`The mapping “${name}” is not in the file any more.`);
    return { text: print(found, "    "), version: answer.version };
  };
  const draft = (/** @type {string} */ text) => {
    const whole = parse(file);
    const items = own(whole);
    const at = items.findIndex((mapping) => textOf(member(mapping, "name")) === name);
    items[at] = parse(text);
    return { mappings: print(whole, "    ") };
  };
  const call = (/** @type {string} */ text, /** @type {string} */ comment) => {
    const mapping = print(parse(text));
    return { method: "PUT", path: `mappings/${part(name)}`, body: `{"mapping":${mapping},"comment":${JSON.stringify(comment)}}` };
  };
  return h("div", {}, head, area, new SavePanel({ area, load, draft, call }));
}

/** @param {string} template */
function templateEditor(template) {
  const { area, head } = editor(`The template “${template}”, with all its mappings`);
  const load = async () => {
    const answer = await ask({ path: "templates" });
    const found = textOf(member(parse(answer.text), template));
    if (found === undefined) throw new Error(`There is no template “${template}” any more.`);
    return { text: found, version: answer.version };
  };
  return h(
    "div",
    {},
    h("p", { class: "note" }, `This mapping comes from the template “${template}”: what is saved here holds for all mappings of it.`),
    head,
    area,
    new SavePanel({
      area,
      load,
      draft: (text) => ({ templates: { [template]: text } }),
      call: (text, comment) => ({ method: "PUT", path: `templates/${part(template)}`, body: { text, comment } }),
    }),
  );
}

/** @param {string} name */
export function edit(name) {
  const place = h("div", {}, h("p", { class: "muted" }, "Loading …"));
  const load = async () => {
    try {
      const origin = member(parse((await ask({ path: `mappings/${part(name)}` })).text), "origin");
      const template = textOf(member(origin, "template"));
      fill(place, template === undefined ? mappingEditor(name) : templateEditor(template));
    } catch (error) {
      fill(place, h("p", { class: "problem" }, error instanceof Error ? error.message : String(error)));
    }
  };
  void load();
  return place;
}
