/** Home: what flows, row by row. */

import { arrange, fill, h, say } from "../app/dom.js";
import { go, onRoute, param } from "../app/route.js";
import { words } from "../app/text.js";
import { MappingRow } from "../components/mapping-row.js";
import { inSight, isEnough } from "../components/row-window.js";
import { STATES } from "../components/state-badge.js";
import { store } from "../store/store.js";
import { blank } from "./blank.js";
import { COLUMNS, subTotal } from "./columns.js";

/** @typedef {import("../api/types.js").Row} Row */

/** @typedef {{ key: string, row: Row, by: string | number }} Line */
/** @typedef {{ body: HTMLTableSectionElement, head: HTMLTableRowElement, button: HTMLButtonElement, total: HTMLElement }} Group */

/** With a point before each: a group may have no name. */
const closedGroups = () => new Set(param("closed").split("\n").filter(Boolean).map((name) => name.slice(1)));

/** Where rows are that are not drawn. */
function space() {
  const make = () => {
    const cell = h("td", { colspan: COLUMNS.length, class: "space" });
    return { cell, body: h("tbody", { "aria-hidden": "true" }, h("tr", {}, cell)) };
  };
  const [above, below] = [make(), make()];
  return { above: above.cell, aboveBody: above.body, below: below.cell, belowBody: below.body };
}

export class MappingTable extends HTMLElement {
  /** @type {Map<string, MappingRow>} */
  #rows = new Map();
  /** @type {Map<string, Group>} */
  #groups = new Map();
  /** Groups with the rows that are open. @type {{ group: Group, lines: Line[] }[]} */
  #items = [];
  #order = "";
  /** How far the rows are scrolled out above; `NaN`: to be asked for, which costs a layout. */
  #above = NaN;
  #height = { head: 32, row: 36, known: false };
  /** @type {import("../components/row-window.js").Drawn} */
  #drawn = inSight([], 0, 0);
  #space = space();
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
        h("span", { class: "pair" }, h("label", { for: "search" }, "Search"), this.#search),
        h("span", { class: "pair" }, h("label", { for: "state" }, "State"), this.#state),
        this.#shown,
        this.#new,
      ),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of mappings" }, this.#table),
      this.#empty,
    );
    store.addEventListener("tick", () => this.#update());
    onRoute(() => this.#update());
    let asked = false;
    const soon = () => {
      if (asked) return;
      asked = true;
      requestAnimationFrame(() => {
        asked = false;
        this.#above = NaN;
        if (this.hidden) return;
        this.#look();
        if (!isEnough(this.#drawn, this.#above, innerHeight)) this.#draw();
      });
    };
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", () => {
      this.#height.known = false;
      this.#drawn = inSight([], 0, 0);
      this.#drawn.after = 1;
      soon();
    });
    this.#update();
  }

  /** @returns {Line[]} Those that are wanted, in order. */
  #wanted() {
    const [q, state, sort] = [param("q").toLowerCase(), param("state"), param("sort")];
    const fits = (/** @type {Row} */ row) =>
      (!state || row.state === state) &&
      (!q || [row.name, row.group, row.source_topic_name, row.target_topic_name].some((text) => text.toLowerCase().includes(q)));
    const by = COLUMNS.find((column) => column.id === sort.replace(/^-/, ""))?.by ?? ((row) => row.name.toLowerCase());
    const sign = sort.startsWith("-") ? -1 : 1;
    const compare = (/** @type {string | number} */ a, /** @type {string | number} */ b) => (a < b ? -1 : a > b ? 1 : 0);
    /** @type {Line[]} */
    const lines = [];
    for (const [key, row] of store.rows) if (fits(row)) lines.push({ key, row, by: by(row) });
    return lines.sort((a, b) => compare(a.row.group, b.row.group) || sign * compare(a.by, b.by) || compare(a.key, b.key));
  }

  #update() {
    if (this.hidden) this.#above = NaN;
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
    const wanted = this.#wanted();
    this.#count(wanted);
    this.#draw();
    const all = store.rows.size;
    say(this.#shown, wanted.length === all ? "" : `${wanted.length} of ${all} rows`);
    this.#blank(wanted.length, all);
  }

  /** Heads of groups and rows in order. @param {Line[]} wanted */
  #count(wanted) {
    /** @type {Map<string, Line[]>} */
    const groups = new Map();
    for (const line of wanted) {
      const members = groups.get(line.row.group);
      if (members) members.push(line);
      else groups.set(line.row.group, [line]);
    }
    const closed = closedGroups();
    this.#items = [];
    for (const [name, members] of groups) {
      const group = this.#groups.get(name) ?? this.#group(name);
      say(group.total, subTotal(members.map(({ row }) => row)));
      const open = !closed.has(name);
      if (group.button.getAttribute("aria-expanded") !== String(open)) group.button.setAttribute("aria-expanded", String(open));
      this.#items.push({ group, lines: open ? members : [] });
    }
    for (const [name, group] of this.#groups) {
      if (groups.has(name)) continue;
      group.body.remove();
      this.#groups.delete(name);
    }
    this.#table.setAttribute("aria-rowcount", String(this.#items.reduce((sum, { lines }) => sum + 1 + lines.length, 1)));
  }

  /** Draws what is in sight. */
  #draw() {
    if (this.hidden) return;
    if (Number.isNaN(this.#above)) this.#look();
    const heights = this.#items.flatMap(({ lines }) => [this.#height.head, ...lines.map(() => this.#height.row)]);
    const sight = inSight(heights, this.#above, innerHeight);
    this.#drawn = sight;
    const now = store.stats[0]?.time_ms ?? Date.now();
    const drawn = new Set();
    /** @type {number[]} */
    const indexes = [];
    /** @type {{ group: Group, rows: HTMLTableRowElement[] }[]} */
    const bodies = [];
    let at = 0;
    for (const { group, lines } of this.#items) {
      const rows = at >= sight.first && at < sight.end ? [group.head] : [];
      if (rows.length > 0) indexes.push(at);
      at += 1;
      for (const { key, row } of lines.slice(Math.max(0, sight.first - at), Math.max(0, sight.end - at))) {
        let line = this.#rows.get(key);
        if (!line) this.#rows.set(key, (line = new MappingRow(key, row)));
        line.show(row, now, store.readOnly);
        drawn.add(key);
        indexes.push(Math.max(at, sight.first) + rows.length - (rows[0] === group.head ? 1 : 0));
        rows.push(line.element);
      }
      at += lines.length;
      if (rows.length > 0) bodies.push({ group, rows });
    }
    this.#place(bodies, drawn, sight, indexes);
    if (!this.#height.known) this.#measure(bodies);
  }

  #look() {
    this.#above = -(/** @type {HTMLElement} */ (this.#table.tHead).getBoundingClientRect().bottom);
  }

  /**
   * Only what differs is moved.
   * @param {{ group: Group, rows: HTMLTableRowElement[] }[]} bodies
   * @param {Set<string>} drawn
   * @param {import("../components/row-window.js").Drawn} sight
   * @param {number[]} indexes Of the rows among all.
   */
  #place(bodies, drawn, sight, indexes) {
    this.#space.above.style.setProperty("block-size", `${sight.before}px`);
    this.#space.below.style.setProperty("block-size", `${sight.after}px`);
    const order = [sight.first, sight.before > 0, sight.after > 0, ...bodies.map(({ rows }) => rows.length), ...drawn].join("\n");
    if (order === this.#order) return;
    this.#order = order;
    const focused = document.activeElement;
    for (const [key, line] of this.#rows) {
      if (drawn.has(key)) continue;
      line.gone();
      this.#rows.delete(key);
    }
    for (const { group, rows } of bodies) arrange(group.body, rows);
    for (const [index, row] of bodies.flatMap(({ rows }) => rows).entries()) row.setAttribute("aria-rowindex", String(indexes[index] + 2));
    const { aboveBody, belowBody } = this.#space;
    const parts = [sight.before > 0 && aboveBody, ...bodies.map(({ group }) => group.body), sight.after > 0 && belowBody];
    arrange(this.#table, [this.#table.caption, this.#table.tHead, ...parts].filter((part) => part instanceof Element));
    // Rows that move would lose the focus.
    if (focused instanceof HTMLElement && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  /** @param {{ group: Group, rows: HTMLTableRowElement[] }[]} bodies */
  #measure(bodies) {
    const row = bodies.flatMap(({ group, rows }) => rows.filter((row) => row !== group.head))[0];
    const head = bodies[0]?.group.head;
    if (row?.offsetHeight) this.#height.row = row.offsetHeight;
    if (head?.isConnected && head.offsetHeight) this.#height.head = head.offsetHeight;
    this.#height.known = Boolean(row?.offsetHeight);
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
    const what = shown > 0 ? "" : all > 0 ? "none" : store.service ? (store.version ? "first" : "starting") : store.staleSince ? "silent" : "loading";
    this.#empty.hidden = what === "";
    /** @type {HTMLElement} */ (this.#table.parentElement).hidden = what !== "";
    if (this.#empty.dataset.what === what) return;
    this.#empty.dataset.what = what;
    fill(this.#empty, ...blank(what));
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }
}

customElements.define("mapping-table", MappingTable);
