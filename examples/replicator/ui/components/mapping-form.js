/**
 * A mapping as a form. The text of its JSON stays the truth: a field that is typed into changes its own member there
 * and nothing else, and a text that is changed fills the fields.
 */

import { member, parse, print, text as textOf } from "../api/json.js";
import { put } from "../api/splice.js";
import { fill, h, unique } from "../app/dom.js";
import { SECTIONS, isKnown } from "./fields.js";

/** @typedef {import("./fields.js").Field} Field */
/** @typedef {import("../api/json.js").Node_} Node_ */
/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Control */
/** @typedef {{ field: Field, control: Control, hint: HTMLElement, wrong: HTMLElement, note: HTMLElement, box: HTMLElement }} Shown */

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** @param {Field} field @param {Control} control @returns {string | undefined} JSON */
function raw(field, control) {
  if (control instanceof HTMLInputElement && field.kind === "flag") return String(control.checked);
  const value = control.value;
  if (field.kind === "choice") return value === field.choices?.[0] ? undefined : JSON.stringify(value);
  if (!value.trim() && !field.keep) return undefined;
  if (field.kind === "json") return value;
  return field.kind === "number" && NUMBER.test(value.trim()) ? value.trim() : JSON.stringify(value);
}

/** @param {Node_} whole @param {Field} field */
function find(whole, field) {
  /** @type {Node_ | undefined} */
  let node = whole;
  let twice = false;
  for (const name of field.path) {
    twice ||= node?.kind === "object" && node.members.filter((member) => JSON.parse(member.key) === name).length > 1;
    node = member(node, name);
  }
  return { node, twice };
}

export class MappingForm extends HTMLElement {
  /** @type {Shown[]} */
  #shown = [];
  #other = h("p", { class: "muted" });
  #broken = h("p", { class: "problem", hidden: true, role: "alert" });
  #fields = h("div", {});
  #writing = false;

  /** @param {HTMLTextAreaElement} [area] Holds the JSON. */
  constructor(area) {
    super();
    this.area = area ?? h("textarea");
  }

  connectedCallback() {
    if (this.firstChild) return;
    const sections = SECTIONS.map((section) => {
      const boxes = section.fields.map((field) => this.#field(field));
      return h("fieldset", { "data-only": section.only ? "yes" : null }, h("legend", {}, section.title), ...boxes);
    });
    fill(this.#fields, ...sections);
    this.append(this.#broken, this.#fields, this.#other);
    this.area.addEventListener("input", () => this.#writing || this.#read());
    this.#read();
  }

  /** @param {Field} field */
  #field(field) {
    const [id, about] = [unique(), unique()];
    const props = { id, "data-field": field.path.join("."), "aria-describedby": about, autocomplete: "off", list: field.list ?? null };
    const control =
      field.kind === "choice"
        ? h("select", props, ...(field.choices ?? []).map((choice) => h("option", { value: choice }, choice.replaceAll("_", " "))))
        : field.kind === "lines" || field.kind === "json"
          ? h("textarea", { ...props, rows: field.kind === "json" ? 1 : 2, class: "code", spellcheck: "false" })
          : h("input", { ...props, type: field.kind === "flag" ? "checkbox" : "text", inputmode: field.kind === "number" ? "decimal" : null, spellcheck: "false" });
    const label = h("label", { for: id }, field.label);
    const [wrong, note, hint] = [h("span", { class: "wrong" }), h("span", { class: "note-line" }), h("span", { class: "muted" }, field.hint ?? "")];
    const said = h("div", { class: "said", id: about }, wrong, note, hint);
    const box = h("div", { class: `field field-${field.kind}` }, ...(field.kind === "flag" ? [h("div", {}, control, " ", label)] : [label, control]), said);
    control.addEventListener(control instanceof HTMLSelectElement || field.kind === "flag" ? "change" : "input", () => this.#write(field, control));
    this.#shown.push({ field, control, hint, wrong, note, box });
    return box;
  }

  /** @param {Field} field @param {Control} control */
  #write(field, control) {
    const value = raw(field, control);
    let next;
    try {
      if (field.kind === "json" && value !== undefined) parse(value);
      next = put(this.area.value, field.path, value);
    } catch (error) {
      // Half of a value is no change yet.
      return this.show(field.path.join("."), error instanceof Error ? error.message : String(error));
    }
    this.area.value = next;
    this.#writing = true;
    this.area.dispatchEvent(new Event("input"));
    this.#writing = false;
    this.#arrange();
  }

  #read() {
    const typed = document.activeElement;
    let whole;
    try {
      whole = parse(this.area.value || "{}");
      if (whole.kind !== "object") throw new SyntaxError("a mapping is an object in { }");
    } catch (error) {
      this.#broken.hidden = false;
      this.#fields.hidden = true;
      fill(this.#broken, `The JSON cannot be shown as a form: ${error instanceof Error ? error.message : error}`);
      return;
    }
    this.#broken.hidden = true;
    this.#fields.hidden = false;
    for (const shown of this.#shown) if (shown.control !== typed) this.#fill(shown, whole);
    const other = whole.members.map(({ key }) => JSON.parse(key)).filter((name) => !isKnown(name));
    fill(this.#other, other.length > 0 ? `Kept as they are, to be edited as JSON: ${[...new Set(other)].join(", ")}` : "");
    this.#arrange();
  }

  /** @param {Shown} shown @param {Node_} whole */
  #fill({ field, control, note }, whole) {
    const { node, twice } = find(whole, field);
    const written = node ? print(node) : undefined;
    const value = node ? textOf(node) : undefined;
    const fits =
      node === undefined ||
      field.kind === "json" ||
      (field.kind === "flag" ? written === "true" || written === "false" : field.kind === "number" ? NUMBER.test(written ?? "") || value !== undefined : value !== undefined) ||
      (written === "null" && field.kind !== "flag");
    const chosen = field.kind !== "choice" || value === undefined || field.choices?.includes(value);
    const locked = twice || !fits || !chosen;
    fill(note, locked ? (twice ? "It stands twice: edit it as JSON." : `${written} is nothing for this field: edit it as JSON.`) : "");
    control.disabled = locked || this.area.readOnly;
    if (control instanceof HTMLInputElement && field.kind === "flag") control.checked = written ? written === "true" : Boolean(field.on);
    else if (field.kind === "choice") control.value = chosen ? (value ?? field.choices?.[0] ?? "") : "";
    else if (field.kind === "json") control.value = node ? print(node, "  ") : "";
    else control.value = value ?? (written === "null" ? "" : (written ?? ""));
    if (control instanceof HTMLTextAreaElement && field.kind === "json") control.rows = Math.min(8, control.value.split("\n").length);
  }

  /** Sections that mean nothing here are left out. */
  #arrange() {
    const flag = (/** @type {string} */ name) => this.#shown.some(({ field, control }) => field.path.join(".") === name && control instanceof HTMLInputElement && control.checked);
    for (const [at, section] of SECTIONS.entries()) {
      const element = this.#fields.children[at];
      if (element instanceof HTMLElement) element.hidden = section.only ? !section.only(flag) : false;
    }
  }

  /**
   * What is wrong with a field; without a text: nothing.
   * @param {string} name Its path, with points.
   * @param {string} text
   */
  show(name, text) {
    const found = this.#shown.find(({ field }) => field.path.join(".") === name) ?? this.#shown.find(({ field }) => field.path[0] === name.split(".")[0]);
    if (!found) return;
    fill(found.wrong, text);
    if (text) found.control.setAttribute("aria-invalid", "true");
    else found.control.removeAttribute("aria-invalid");
  }

  /** Forgets what was wrong. */
  clear() {
    for (const { control, wrong } of this.#shown) {
      control.removeAttribute("aria-invalid");
      if (wrong.textContent) fill(wrong);
    }
  }

  /** @param {string} name @param {string} text What is good to know about a field. */
  hint(name, text) {
    const found = this.#shown.find(({ field }) => field.path.join(".") === name);
    if (found && found.hint.textContent !== text) fill(found.hint, text);
  }

  /** @param {string} name */
  focusField(name) {
    this.#shown.find(({ field }) => field.path.join(".") === name)?.control.focus();
  }
}

customElements.define("mapping-form", MappingForm);
