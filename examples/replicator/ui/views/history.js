/** What was changed, when and why, and the way back. */

import { ask, get } from "../api/client.js";
import { fill, h, say, unique } from "../app/dom.js";
import { moment } from "../app/text.js";
import { copyAsCurl } from "../components/curl.js";
import { dialog } from "../components/dialog.js";
import { diff } from "../components/diff.js";
import { effectList, issueList } from "../components/issues.js";
import { toast } from "../components/toast.js";
import { store } from "../store/store.js";

/** @typedef {import("../api/types.js").VersionInfo} VersionInfo */
/** @typedef {{ version: VersionInfo, before: string | null, after: string | null }} Entry */

/** Every file as it is now. @returns {Promise<Map<string, string>>} */
async function current() {
  const [file, templates, values] = await Promise.all([get({ path: "file" }), get({ path: "templates" }), get({ path: "topic-mappings" })]);
  const all = new Map([["mappings.json", file.text]]);
  for (const [name, text] of Object.entries(templates)) all.set(`templates/${name}.json`, text);
  for (const [name, text] of Object.entries(values)) all.set(`topic_mappings/${name}.json`, text);
  return all;
}

/** @param {string} file @param {string} text @returns {import("../api/types.js").Draft} */
function draft(file, text) {
  const [folder, name] = file.includes("/") ? file.replace(/\.json$/, "").split("/") : ["", ""];
  if (!folder) return { mappings: text };
  return folder === "templates" ? { templates: { [name]: text } } : { topic_mappings: { [name]: text } };
}

/** @param {VersionInfo} version @param {string} comment */
const restoreCall = (version, comment) => ({ path: `versions/${version.id}/restore`, body: { comment }, version: store.version });

/** How many are read at a time. */
const PAGE = 50;

/**
 * Those before one, and whether others follow: a page of long texts ends before it is full.
 * @param {number | null} [before] @returns {Promise<{ versions: VersionInfo[], more: boolean }>}
 */
async function page(before = null) {
  /** @param {number} limit @param {number | null | undefined} id @returns {Promise<VersionInfo[]>} */
  const read = (limit, id) => get({ path: `versions?limit=${limit}${typeof id === "number" ? `&before=${id}` : ""}` });
  const versions = await read(PAGE, before);
  const more = versions.length === PAGE || (versions.length > 0 && (await read(1, versions.at(-1)?.id)).length > 0);
  return { versions, more };
}

export class ChangeHistory extends HTMLElement {
  /** Every file as it was before the oldest change shown. @type {Map<string, string>} */
  #texts = new Map();
  /** @type {number | null} */
  #oldest = null;
  /** Counts what is read from the newest on; an answer to what was asked before that is late. */
  #turn = 0;
  #status = h("p", { class: "muted", role: "status" }, "Loading …");
  #list = h("ol", { class: "changes" });
  #more = h("button", { type: "button", hidden: true, onclick: () => void this.#older() }, "Show older changes");

  connectedCallback() {
    if (this.firstChild) return;
    this.append(
      h("h1", { tabindex: "-1" }, "History"),
      h("p", { class: "muted" }, "Changes that were saved here, the newest first; changes by hand on the disk are not among them."),
      h("div", { class: "tools" }, h("button", { type: "button", onclick: () => void this.load() }, "Read again"), copyAsCurl("history", () => ({ path: "versions" }))),
      this.#status,
      this.#list,
      h("p", {}, this.#more),
    );
    void this.load();
  }

  async load() {
    const turn = ++this.#turn;
    try {
      const [newest, texts] = await Promise.all([page(), current()]);
      if (turn !== this.#turn) return;
      this.#texts = texts;
      say(this.#status, newest.versions.length > 0 ? "" : "Nothing was changed here yet.");
      fill(this.#list, ...this.#entries(newest));
    } catch (error) {
      if (turn === this.#turn) say(this.#status, `Cannot be read: ${error instanceof Error ? error.message : error}`);
    }
  }

  async #older() {
    const turn = this.#turn;
    this.#more.disabled = true;
    try {
      const older = await page(this.#oldest);
      if (turn === this.#turn) {
        const entries = this.#entries(older);
        say(this.#status, "");
        this.#list.append(...entries);
        // The button may be gone; whoever used it goes on with what it brought.
        entries[0]?.querySelector("summary")?.focus();
      }
    } catch (error) {
      if (turn === this.#turn) say(this.#status, `Cannot be read: ${error instanceof Error ? error.message : error}`);
    }
    this.#more.disabled = false;
  }

  /** @param {{ versions: VersionInfo[], more: boolean }} page Those that follow what is shown. */
  #entries({ versions, more }) {
    this.#oldest = versions.at(-1)?.id ?? this.#oldest;
    this.#more.hidden = !more;
    const texts = this.#texts;
    return versions.map((version) => {
      const entry = { version, before: version.text ?? null, after: texts.get(version.file) ?? null };
      // What is older led to what this one began with.
      if (entry.before === null) texts.delete(version.file);
      else texts.set(version.file, entry.before);
      return this.#entry(entry);
    });
  }

  /** @param {Entry} entry */
  #entry({ version, before, after }) {
    const place = h("div", {});
    const details = h("details", {}, h("summary", {}, "What it changed"), place);
    details.addEventListener("toggle", () => {
      if (details.open && !place.firstChild) fill(place, diff(before ?? "", after ?? ""));
    });
    const what = before === null ? "Take this file away" : "Restore what was before";
    return h(
      "li",
      { class: "card" },
      h("p", {}, h("strong", {}, version.comment || "no comment")),
      h("p", { class: "muted" }, h("time", { datetime: new Date(version.id).toISOString() }, moment(version.id)), " · ", h("span", { class: "mono" }, version.file)),
      details,
      store.readOnly
        ? null
        : h("p", { class: "tools" }, h("button", { type: "button", "aria-label": `${what}: ${version.comment}`, onclick: () => void this.#restore(version, before) }, `${what} …`), copyAsCurl(`restore before ${version.comment}`, () => restoreCall(version, `restore ${version.file}`))),
    );
  }

  /** @param {VersionInfo} version @param {string | null} before */
  async #restore(version, before) {
    const id = unique();
    const why = h("input", { id, autocomplete: "off", maxlength: 500 });
    why.value = `as before “${version.comment}”`;
    const seen = store.version;
    let valid = before === null;
    const effects = h("div", {}, "Checking …");
    const now = (await current()).get(version.file) ?? "";
    const check = async () => {
      if (before === null) return fill(effects, h("p", {}, "The file was new; it is taken away again."));
      try {
        /** @type {import("../api/types.js").Verdict} */
        const verdict = await get({ path: "validate", body: draft(version.file, before) });
        valid = verdict.valid;
        fill(effects, issueList(verdict.issues), effectList(verdict.changes), verdict.changes.length === 0 ? h("p", {}, "No mapping changes.") : null);
      } catch (error) {
        fill(effects, h("p", { class: "problem" }, error instanceof Error ? error.message : String(error)));
      }
      why.dispatchEvent(new Event("input", { bubbles: true }));
    };
    void check();
    const content = [diff(now, before ?? ""), effects, h("p", {}, h("label", { for: id }, "Comment"), " ", why)];
    if (!(await dialog(`Restore ${version.file}?`, content, "Restore", () => valid && why.value.trim() !== ""))) return;
    try {
      await ask({ ...restoreCall(version, why.value.trim()), version: seen });
      toast("Restored.");
    } catch (error) {
      toast(`It was not restored: ${error instanceof Error ? error.message : error}`, { bad: true });
    }
    await store.refresh();
    await this.load();
  }
}

customElements.define("change-history", ChangeHistory);
