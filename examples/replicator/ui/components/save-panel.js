/** Saving a text: what it changes, what follows, why, and what if somebody was quicker. */

import { ask, get, Problem } from "../api/client.js";
import { fill, h, say, unique } from "../app/dom.js";
import { guard } from "../app/route.js";
import { store } from "../store/store.js";
import { saved } from "./adoption.js";
import { copyAsCurl } from "./curl.js";
import { diff } from "./diff.js";
import { confirmGroups } from "./doomed.js";
import { effectList, issueList } from "./issues.js";

/**
 * @typedef {object} Saving
 * @property {HTMLTextAreaElement} area
 * @property {() => Promise<{ text: string, version: string }>} load What is saved now.
 * @property {(text: string) => any} draft For `/api/validate`.
 * @property {(text: string, comment: string) => import("../api/client.js").Call} call
 * @property {(text: string) => void} [saved] Goes on from here; none: it is edited further.
 * @property {(issues: import("../api/types.js").Issue[], text: string) => void} [checked] Told what the service found.
 */

/** In milliseconds: the answer is there within 200 of them after the last key. */
const SOON = 100;
/** Whatever is on disk. */
const ANY = "*";

/** @param {string} text @returns {string} As a field has it, which knows one kind of line end. */
const typed = (text) => text.replace(/\r\n?/g, "\n");

export class SavePanel extends HTMLElement {
  #issues = h("div", {});
  #effects = h("div", { "aria-live": "polite" });
  #diff = h("div", {});
  #conflict = h("div", {});
  #status = h("p", { class: "muted", role: "status" });
  #comment = h("input", { required: true, maxlength: 500, autocomplete: "off", placeholder: "why this changes" });
  #save = h("button", { class: "primary", disabled: true }, "Save");
  /** @type {{ text: string, version: string }} */
  #base = { text: "", version: "" };
  #valid = false;
  /** What the text would do. @type {import("../api/types.js").Change[]} */
  #changes = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #turn = 0;
  #unguard = guard(() => this.isConnected && !store.readOnly && this.#isChanged);

  /** @param {Saving} [saving] */
  constructor(saving) {
    super();
    this.saving = saving;
  }

  /** @returns {Saving} */
  get #of() {
    if (!this.saving) throw new Error("a save panel is made with what it saves");
    return this.saving;
  }

  connectedCallback() {
    if (this.firstChild) return;
    const id = unique();
    this.#comment.id = id;
    this.#comment.addEventListener("input", () => this.#allow());
    this.#of.area.addEventListener("input", () => this.#changed());
    this.#of.area.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "s") {
        event.preventDefault();
        this.#comment.value.trim() ? void this.#send() : this.#comment.focus();
      }
    });
    this.append(
      this.#conflict,
      this.#status,
      this.#issues,
      this.#effects,
      this.#diff,
      h(
        "form",
        { class: "tools", hidden: store.readOnly, onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), void this.#send()) },
        h("label", { for: id }, "Comment"),
        this.#comment,
        this.#save,
        copyAsCurl("save", () => this.#call()),
      ),
    );
    void this.#begin();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#unguard();
  }

  get #isChanged() {
    return this.#of.area.value !== this.#base.text;
  }

  async #load() {
    const saved = await this.#of.load();
    return { ...saved, text: typed(saved.text) };
  }

  #call() {
    return { ...this.#of.call(this.#of.area.value, this.#comment.value.trim()), version: this.#base.version };
  }

  async #begin() {
    try {
      this.#put(await this.#load());
    } catch (error) {
      say(this.#status, error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {{ text: string, version: string }} saved */
  #put(saved) {
    this.#base = saved;
    this.#of.area.value = saved.text;
    // Whoever follows what is typed follows this, too.
    this.#of.area.dispatchEvent(new Event("input"));
  }

  #allow() {
    this.#save.disabled = store.readOnly || !this.#valid || !this.#isChanged || !this.#comment.value.trim();
    this.#save.title = !this.#comment.value.trim() ? "Say why this changes." : "";
  }

  /** @param {number} [wait] */
  #changed(wait = SOON) {
    // What is found out about an older text says nothing about this one.
    this.#turn += 1;
    this.#valid = false;
    this.#allow();
    say(this.#status, "Checking …");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#check(), wait);
  }

  async #check() {
    const turn = ++this.#turn;
    const text = this.#of.area.value;
    fill(this.#diff, this.#isChanged ? h("details", { open: true }, h("summary", {}, "Difference"), diff(this.#base.text, text)) : null);
    if (!this.#isChanged) {
      this.#of.checked?.([], text);
      fill(this.#issues);
      fill(this.#effects);
      return say(this.#status, store.readOnly ? "This service is read-only." : "Nothing is changed.");
    }
    try {
      /** @type {import("../api/types.js").Verdict} */
      const verdict = await get({ path: "validate", body: this.#of.draft(text) });
      if (turn !== this.#turn) return;
      this.#valid = verdict.valid;
      fill(this.#issues, issueList(verdict.issues));
      this.#of.checked?.(verdict.issues, text);
      const effects = (this.#changes = verdict.changes);
      fill(this.#effects, effects.length ? h("h3", {}, "What it does") : null, effectList(effects));
      say(this.#status, verdict.valid ? (effects.length ? "It can be saved." : "It can be saved; no mapping changes.") : "It cannot be saved like this.");
    } catch (error) {
      if (turn !== this.#turn) return;
      fill(this.#effects);
      fill(this.#issues, h("p", { class: "problem" }, error instanceof Error ? error.message : String(error)));
      say(this.#status, "It cannot be saved like this.");
    }
    this.#allow();
  }

  async #send() {
    if (this.#save.disabled || !(await confirmGroups(this.#changes))) return;
    this.#save.disabled = true;
    const text = this.#of.area.value;
    try {
      const { version } = await ask(this.#call());
      this.#comment.value = "";
      fill(this.#conflict);
      this.#base = { text, version };
      await store.refresh();
      saved(version);
      // What was typed meanwhile is not saved yet.
      if (this.#isChanged) this.#changed(0);
      else if (this.#of.saved) this.#of.saved(text);
      else await this.#begin();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.isConflict) await this.#meet();
      else if (error.isOnDisk) this.#replace(error.message);
      else {
        fill(this.#issues, error.issues.length ? issueList(error.issues) : h("p", { class: "problem" }, error.message));
        this.#allow();
      }
    }
  }

  /** What is typed stands, and replaces this when it is saved. @param {{ text: string, version: string }} base */
  #against(base) {
    this.#base = base;
    fill(this.#conflict);
    this.#changed(0);
    this.#of.area.focus();
  }

  /** @param {string} why What is on disk was written by hand, perhaps half. */
  #replace(why) {
    const replace = () => this.#against({ ...this.#base, version: ANY });
    fill(
      this.#conflict,
      h(
        "section",
        { class: "panel conflict", role: "alert" },
        h("h2", {}, "What is on disk is not in use"),
        h("p", {}, why),
        h("div", { class: "actions" }, h("button", { type: "button", onclick: replace }, "Replace what is on disk")),
      ),
    );
    this.#allow();
  }

  /** Somebody else was quicker: all three are shown, and nothing is overwritten. */
  async #meet() {
    let theirs;
    try {
      theirs = await this.#load();
    } catch (error) {
      return say(this.#status, error instanceof Error ? error.message : String(error));
    }
    const [base, mine] = [this.#base.text, this.#of.area.value];
    const untouched = base === theirs.text;
    const take = () => {
      this.#put(theirs);
      fill(this.#conflict);
    };
    const keep = () => this.#against(theirs);
    fill(
      this.#conflict,
      h(
        "section",
        { class: "panel conflict", role: "alert" },
        h("h2", {}, "Somebody else has changed the configuration"),
        h("p", {}, untouched ? "This text is still as you found it; something else was changed. You can go on." : "This text was changed too. Nothing is overwritten until you decide."),
        untouched ? null : h("div", { class: "panes" }, h("div", {}, h("h3", {}, "What they changed"), diff(base, theirs.text)), h("div", {}, h("h3", {}, "What yours would change of theirs"), diff(theirs.text, mine))),
        h("div", { class: "actions" }, h("button", { type: "button", onclick: take }, "Take theirs"), h("button", { type: "button", class: "primary", onclick: keep }, "Go on with mine")),
      ),
    );
  }
}

customElements.define("save-panel", SavePanel);
