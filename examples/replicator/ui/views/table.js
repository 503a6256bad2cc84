/** Home: what flows, row by row. */

import { fill, h, say } from "../app/dom.js";
import { go, onRoute, param } from "../app/route.js";
import { words } from "../app/text.js";
import { MappingRow } from "../components/mapping-row.js";
import { STATES } from "../components/state-badge.js";
import { keyOf, store } from "../store/store.js";
import { COLUMNS, subTotal } from "./columns.js";

/** @typedef {import("../api/types.js").Row} Row */

/** @typedef {{ body: HTMLTableSectionElement, head: HTMLTableRowElement, button: HTMLButtonElement, total: HTMLElement }} Group */

/** With a point before each: a group may have no name. */
const closedGroups = () => new Set(param("closed").split("\n").filter(Boolean).map((name) => name.slice(1)));

export class MappingTable extends HTMLElement {
  /** @type {Map<string, MappingRow>} */
  #rows = new Map();
  /** @type {Map<string, Group>} */
  #groups = new Map();
  #order = "";
  #search = h("input", {
    type: "search",
    id: "search",
    placeholder: "Name, topic or group",
    autocomplete: "off",
    oninput: () => go({ q: this.#search.value }),
  });
  #state = h(
    "select",
    { id: "state", onchange: () => go({ state: this.#state.value }) },
    h("option", { value: "" }, "all"),
    ...STATES.map((state) => h("option", { value: state }, words(state))),
  );
  #new = h("a", { href: "?new=1", "data-in": true, class: "button", hidden: true }, "New mapping");
  #shown = h("span", { class: "muted", role: "status" });
  #table = h("table", { class: "mappings" });
  #empty = h("div", { class: "empty", hidden: true });
  /** @type {Map<string, HTMLTableCellElement>} */
  #heads = new Map();

  connectedCallback() {
    if (this.firstChild) return;
    const heads = COLUMNS.map((column) => {
      const sort = () => go({ sort: param("sort") === column.id ? `-${column.id}` : column.id });
      const head = h(
        "th",
        { scope: "col", class: column.number ? "number" : "", title: column.hint },
        column.by ? h("button", { type: "button", class: "sort", onclick: sort }, column.title) : column.title,
      );
      this.#heads.set(column.id, head);
      return head;
    });
    this.#table.append(h("caption", { class: "hidden" }, "Mappings, by group"), h("thead", {}, h("tr", {}, ...heads)));
    this.append(
      h("h1", { tabindex: "-1" }, "Mappings"),
      h(
        "div",
        { class: "tools", role: "search" },
        h("label", { for: "search" }, "Search"),
        this.#search,
        h("label", { for: "state" }, "State"),
        this.#state,
        this.#shown,
        this.#new,
      ),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of mappings" }, this.#table),
      this.#empty,
    );
    store.addEventListener("tick", () => this.#update());
    onRoute(() => this.#update());
    this.#update();
  }

  /** @returns {Row[]} Those that are wanted, in order. */
  #wanted() {
    const [q, state, sort] = [param("q").toLowerCase(), param("state"), param("sort")];
    const fits = (/** @type {Row} */ row) =>
      (!state || row.state === state) &&
      (!q || [row.name, row.group, row.source_topic_name, row.target_topic_name].some((text) => text.toLowerCase().includes(q)));
    const rows = [...store.rows.values()].filter(fits);
    const by = COLUMNS.find((column) => column.id === sort.replace(/^-/, ""))?.by ?? ((row) => row.name.toLowerCase());
    const sign = sort.startsWith("-") ? -1 : 1;
    const compare = (/** @type {string | number} */ a, /** @type {string | number} */ b) => (a < b ? -1 : a > b ? 1 : 0);
    return rows.sort((a, b) => compare(a.group, b.group) || sign * compare(by(a), by(b)) || compare(keyOf(a), keyOf(b)));
  }

  #update() {
    if (this.hidden || document.hidden) return;
    if (document.activeElement !== this.#search && this.#search.value !== param("q")) this.#search.value = param("q");
    if (this.#state.value !== param("state")) this.#state.value = param("state");
    const sort = param("sort") || "name";
    for (const [id, head] of this.#heads) {
      const mine = sort.replace(/^-/, "") === id;
      if (mine) head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.#new.hidden = store.readOnly;
    const rows = this.#wanted();
    const now = store.stats[0]?.time_ms ?? Date.now();
    for (const row of rows) {
      const key = keyOf(row);
      let line = this.#rows.get(key);
      if (!line) {
        line = new MappingRow(key, row);
        this.#rows.set(key, line);
      }
      line.show(row, now, store.readOnly);
    }
    this.#arrange(rows);
    const all = store.rows.size;
    say(this.#shown, rows.length === all ? "" : `${rows.length} of ${all} rows`);
    this.#blank(rows.length, all);
  }

  /** @param {Row[]} rows */
  #arrange(rows) {
    /** @type {Map<string, Row[]>} */
    const groups = new Map();
    for (const row of rows) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
    const closed = closedGroups();
    for (const [name, members] of groups) {
      const group = this.#groups.get(name) ?? this.#group(name);
      say(group.total, subTotal(members));
      const open = !closed.has(name);
      if (group.button.getAttribute("aria-expanded") !== String(open)) group.button.setAttribute("aria-expanded", String(open));
    }
    const order = JSON.stringify([[...closed], rows.map(keyOf)]);
    if (order === this.#order) return;
    this.#order = order;
    const focused = document.activeElement;
    const wanted = new Set(rows.map(keyOf));
    for (const [key, line] of this.#rows) {
      if (wanted.has(key)) continue;
      line.gone();
      this.#rows.delete(key);
    }
    for (const [name, group] of this.#groups) {
      const members = groups.get(name);
      if (!members) {
        group.body.remove();
        this.#groups.delete(name);
        continue;
      }
      const lines = closed.has(name) ? [] : members.map((row) => /** @type {MappingRow} */ (this.#rows.get(keyOf(row))).element);
      group.body.replaceChildren(group.head, ...lines);
    }
    this.#table.append(...[...groups.keys()].map((name) => /** @type {Group} */ (this.#groups.get(name)).body));
    // Rows that move would lose the focus.
    if (focused instanceof HTMLElement && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  /** @param {string} name */
  #group(name) {
    const toggle = () => {
      const closed = closedGroups();
      if (!closed.delete(name)) closed.add(name);
      go({ closed: [...closed].map((name) => `.${name}`).join("\n") });
    };
    const button = h("button", { type: "button", class: "group", onclick: toggle }, name || "without a group");
    const total = h("span", { class: "muted" });
    const head = h("tr", { class: "group" }, h("th", { colspan: COLUMNS.length, scope: "colgroup" }, h("div", {}, button, total)));
    const group = { body: h("tbody", {}, head), head, button, total };
    this.#groups.set(name, group);
    return group;
  }

  /**
   * @param {number} shown
   * @param {number} all
   */
  #blank(shown, all) {
    const what = shown > 0 ? "" : all > 0 ? "none" : store.service ? "first" : store.staleSince ? "silent" : "loading";
    this.#empty.hidden = what === "";
    /** @type {HTMLElement} */ (this.#table.parentElement).hidden = what !== "";
    if (this.#empty.dataset.what === what) return;
    this.#empty.dataset.what = what;
    /** @type {Record<string, (Node | string)[]>} */
    const texts = {
      loading: [h("p", {}, "Loading …")],
      silent: [h("p", {}, "The service does not answer yet. The page tries again by itself.")],
      none: [h("p", {}, "No mapping fits."), h("button", { type: "button", onclick: () => go({ q: null, state: null }) }, "Show all")],
      first: [
        h("h2", {}, "No mappings yet"),
        h("p", {}, "A mapping says what is read and what is written. ", store.readOnly ? "" : h("a", { href: "?new=1", "data-in": true }, "Add the first one here"), store.readOnly ? "Write" : ", or write", " it into the mapping file:"),
        h("pre", { class: "code" }, '{\n  "mappings": [\n    { "name": "orders", "source_topic_name": "orders", "target_topic_name": "orders" }\n  ]\n}'),
        h("p", {}, "It is read again by itself; the topics must exist on both clusters."),
      ],
    };
    fill(this.#empty, ...(texts[what] ?? []));
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }
}

customElements.define("mapping-table", MappingTable);
