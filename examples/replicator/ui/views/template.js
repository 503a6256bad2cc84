/** One template as text. */

import { ask, part } from "../api/client.js";
import { member, parse, text as textOf } from "../api/json.js";
import { h } from "../app/dom.js";
import { SavePanel } from "../components/save-panel.js";
import { store } from "../store/store.js";

/** @param {string} template @param {(text: string) => void} [saved] */
export function templateEditor(template, saved) {
  const area = h("textarea", { class: "code", id: "editor", rows: 16, spellcheck: "false", autocomplete: "off", readonly: store.readOnly });
  const load = async () => {
    const answer = await ask({ path: "templates" });
    const found = textOf(member(parse(answer.text), template));
    if (found === undefined) throw new Error(`There is no template “${template}” any more.`);
    return { text: found, version: answer.version };
  };
  return h(
    "div",
    {},
    h("p", { class: "note" }, `What is saved here holds for all mappings that the template “${template}” makes.`),
    h("label", { for: "editor" }, `The template “${template}”, with all its mappings`),
    area,
    new SavePanel({
      area,
      load,
      draft: (text) => ({ templates: { [template]: text } }),
      call: (text, comment) => ({ method: "PUT", path: `templates/${part(template)}`, body: { text, comment } }),
      saved,
    }),
  );
}
