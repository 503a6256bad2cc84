/** A mapping as a form or as JSON, or the template it comes from; as it stands in its file. */

import { ask, part } from "../api/client.js";
import { member, parse, text as textOf } from "../api/json.js";
import { fill, h, unique } from "../app/dom.js";
import { go, param } from "../app/route.js";
import { copyAsCurl } from "../components/curl.js";
import { dialog } from "../components/dialog.js";
import { FilterTest } from "../components/filter-test.js";
import { MappingForm } from "../components/mapping-form.js";
import { SavePanel } from "../components/save-panel.js";
import { toast } from "../components/toast.js";
import { TopicHelp } from "../components/topics.js";
import { MappingFile, commented, fieldAt } from "../store/file.js";
import { store } from "../store/store.js";
import { templateEditor } from "./template.js";

/** @typedef {import("../api/types.js").Issue} Issue */

/** @param {string} label */
function editor(label) {
  const area = h("textarea", { class: "code", id: "editor", rows: 16, spellcheck: "false", autocomplete: "off", readonly: store.readOnly });
  return { area, head: h("label", { for: "editor" }, label) };
}

/** @param {string} text */
function nameIn(text) {
  try {
    return textOf(member(parse(text), "name")) ?? "";
  } catch {
    return "";
  }
}

/**
 * One mapping, as a form and as JSON.
 * @param {{ label: string, load: (file: MappingFile) => string, draft: (file: MappingFile, text: string) => string, saved: (text: string) => void }} how
 */
function mappingEditor(how) {
  const { area, head } = editor(how.label);
  const form = new MappingForm(area);
  const help = new TopicHelp();
  // What the filter says in form and JSON alike.
  const expression = h("textarea", {});
  const test = new FilterTest(expression);
  let file = new MappingFile("{}", "");
  const hints = () => {
    const whole = parse(area.value || "{}");
    const word = (/** @type {string} */ name) => textOf(member(whole, name)) ?? "";
    const flag = (/** @type {string} */ name) => /** @type {{ raw?: string }} */ (member(whole, name) ?? {}).raw === "true";
    const [source, target] = [word("source_topic_name"), word("target_topic_name")];
    form.hint("source_topic_name", help.about("source", source, flag("source_is_file")));
    form.hint("target_topic_name", help.about("target", target, flag("target_is_file"), flag("source_is_file") ? undefined : source));
    test.topics(source && !flag("source_is_file") ? [source] : []);
    if (expression.value !== word("valid_jmespath")) {
      expression.value = word("valid_jmespath");
      expression.dispatchEvent(new Event("input"));
    }
    const list = file.listed(word("name"));
    if (list) form.hint("enabled", `The file's list “${list}” names this mapping, and wins.`);
  };
  const hinted = () => {
    try {
      hints();
    } catch {
      // The text is no JSON at the moment: there is nothing to say about it.
    }
  };
  area.addEventListener("input", hinted);
  void help.load().then(hinted);
  const panel = new SavePanel({
    area,
    load: async () => {
      file = await MappingFile.read();
      return { text: how.load(file), version: file.version };
    },
    draft: (text) => ({ mappings: how.draft(file, text) }),
    call: (text, comment) => ({ method: "PUT", path: "file", body: { text: commented(how.draft(file, text), comment), comment } }),
    saved: how.saved,
    checked: (issues, text) => {
      form.clear();
      const name = nameIn(text);
      for (const issue of issues) {
        const mine = issue.mapping === name || (issue.mapping === undefined && issue.place);
        const field = issue.field ?? (issue.place && fieldAt(how.draft(file, text), issue.place, name));
        if (mine && field) form.show(field, issue.message);
      }
    },
  });
  const views = { form: h("div", {}, form, help.lists), json: h("div", {}, head, area) };
  const choose = (/** @type {string} */ view) => {
    views.form.hidden = view === "json";
    views.json.hidden = view !== "json";
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.value === view));
  };
  const buttons = ["form", "json"].map((view) =>
    h("button", { type: "button", value: view, onclick: () => (go({ view: view === "json" ? view : null }), choose(view)) }, view === "json" ? "JSON" : "Form"),
  );
  choose(param("view") === "json" ? "json" : "form");
  return h("div", {}, h("div", { class: "tools choice", role: "group", "aria-label": "Edit as" }, ...buttons), views.form, views.json, h("details", { class: "panel" }, h("summary", {}, "Try the filter on the last records"), test), panel);
}

/** @param {string} name */
function own(name) {
  const editor = mappingEditor({
    label: "This mapping, as JSON",
    load: (file) => {
      const text = file.mapping(name);
      if (text === undefined) throw new Error(`The mapping “${name}” is not in the file any more.`);
      return text;
    },
    draft: (file, text) => (parse(text), file.with(name, text)),
    saved: (text) => go({ mapping: nameIn(text), tab: null, view: null }),
  });
  return h("div", {}, editor, store.readOnly ? null : danger(name));
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
  const editor = mappingEditor({
    label: "The new mapping, as JSON",
    load: () => SKELETON,
    draft: (file, text) => (parse(text), file.and(text)),
    saved: (text) => go({ new: null, view: null, mapping: nameIn(text) }),
  });
  return h(
    "div",
    {},
    h("p", {}, h("a", { href: "?", "data-in": true }, "← All mappings")),
    h("h1", { tabindex: "-1" }, "New mapping"),
    h("p", { class: "muted" }, "The topics must exist on both clusters. It begins switched off, so that you can try its filter first."),
    editor,
  );
}

/** @param {string} name */
export function edit(name) {
  const place = h("div", {}, h("p", { class: "muted" }, "Loading …"));
  const load = async () => {
    try {
      const origin = member(parse((await ask({ path: `mappings/${part(name)}` })).text), "origin");
      const template = textOf(member(origin, "template"));
      fill(place, template === undefined ? own(name) : templateEditor(template));
    } catch (error) {
      fill(place, h("p", { class: "problem" }, error instanceof Error ? error.message : String(error)));
    }
  };
  void load();
  return place;
}
