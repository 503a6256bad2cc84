/** A mapping as JSON, or the template it comes from; as it stands in its file. */

import { ask, part } from "../api/client.js";
import { member, parse, print, text as textOf } from "../api/json.js";
import { fill, h, unique } from "../app/dom.js";
import { go } from "../app/route.js";
import { copyAsCurl } from "../components/curl.js";
import { dialog } from "../components/dialog.js";
import { SavePanel } from "../components/save-panel.js";
import { toast } from "../components/toast.js";
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

async function readFile() {
  const answer = await ask({ path: "file" });
  return { file: strict(textOf(member(parse(answer.text), "text")) ?? "{}"), version: answer.version };
}

/** @param {string} text */
const nameIn = (text) => textOf(member(parse(text), "name")) ?? "";

/** @param {string} name */
function mappingEditor(name) {
  const { area, head } = editor("This mapping, as JSON");
  let file = "{}";
  const load = async () => {
    const answer = await readFile();
    file = answer.file;
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
  const saved = (/** @type {string} */ text) => go({ mapping: nameIn(text), tab: null });
  return h("div", {}, head, area, new SavePanel({ area, load, draft, call, saved }), store.readOnly ? null : danger(name));
}

/** @param {string} name */
function danger(name) {
  const [nameId, whyId] = [unique(), unique()];
  const typed = h("input", { id: nameId, autocomplete: "off" });
  const why = h("input", { id: whyId, autocomplete: "off" });
  const call = () => ({ method: "DELETE", path: `mappings/${part(name)}`, query: { comment: why.value.trim() || `delete ${name}` }, version: store.version });
  const run = async () => {
    typed.value = why.value = "";
    const fields = [
      h("p", {}, "It stops at once; records written from then on are not copied. The file as it is now is kept among the versions."),
      h("p", {}, h("label", { for: nameId }, "Type its name: ", h("strong", {}, name)), " ", typed),
      h("p", {}, h("label", { for: whyId }, "Comment"), " ", why),
    ];
    if (!(await dialog(`Delete “${name}”?`, fields, "Delete", () => typed.value === name && why.value.trim() !== ""))) return;
    try {
      await ask(call());
      toast(`“${name}” is deleted.`);
      await store.refresh();
      go({ mapping: null, tab: null }, { push: true });
    } catch (error) {
      toast(`“${name}” was not deleted: ${error instanceof Error ? error.message : error}`, { bad: true });
      await store.refresh();
    }
  };
  return h("p", { class: "tools" }, h("button", { type: "button", class: "danger", onclick: () => void run() }, "Delete …"), copyAsCurl("delete this mapping", call));
}

const SKELETON = `{
    "group": "",
    "name": "",
    "enabled": false,
    "source_topic_name": "",
    "target_topic_name": ""
}`;

/** A mapping that is not there yet. */
export function create() {
  const { area, head } = editor("The new mapping, as JSON");
  let file = "{}";
  const load = async () => {
    const answer = await readFile();
    file = answer.file;
    return { text: SKELETON, version: answer.version };
  };
  const draft = (/** @type {string} */ text) => {
    const whole = parse(file);
    const list = whole.kind === "array" ? whole : member(whole, "mappings");
    if (list?.kind === "array") list.items.push(parse(text));
    else if (whole.kind === "object") whole.members.push({ key: '"mappings"', node: { kind: "array", items: [parse(text)] } });
    return { mappings: print(whole, "    ") };
  };
  const call = (/** @type {string} */ text, /** @type {string} */ comment) => ({ path: "mappings", body: `{"mapping":${print(parse(text))},"comment":${JSON.stringify(comment)}}` });
  const saved = (/** @type {string} */ text) => go({ new: null, mapping: nameIn(text) });
  return h(
    "div",
    {},
    h("p", {}, h("a", { href: "?", "data-in": true }, "← All mappings")),
    h("h1", { tabindex: "-1" }, "New mapping"),
    h("p", { class: "muted" }, "The topics must exist on both clusters. It begins with enabled: false, so that you can try its filter first."),
    head,
    area,
    new SavePanel({ area, load, draft, call, saved }),
  );
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
