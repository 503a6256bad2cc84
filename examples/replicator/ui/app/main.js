/** The frame around the views: environment, totals, theme, keys. */

import "../components/sparkline.js";
import "../components/state-badge.js";
import { toast, toasts } from "../components/toast.js";
import { dialog } from "../components/dialog.js";
import { store } from "../store/store.js";
import { create } from "../views/edit.js";
import { details } from "../views/details.js";
import { ChangeHistory } from "../views/history.js";
import { MappingTable } from "../views/table.js";
import { templates } from "../views/templates.js";
import { fill, h, say } from "./dom.js";
import * as keys from "./keys.js";
import { follow, go, onRoute, param } from "./route.js";
import { bytes, clock, count, duration, rate, words } from "./text.js";

/** Beside the table and the pages of mappings. @type {Record<string, { title: string, make: () => Node }>} */
const PAGES = {
  templates: { title: "Templates", make: templates },
  history: { title: "History", make: () => new ChangeHistory() },
};

const HOME = { mapping: null, tab: null, new: null, page: null, template: null, view: null };

const THEMES = ["auto", "light", "dark"];

const theme = () => document.documentElement.dataset.theme ?? "auto";

/** @param {string} wanted */
function setTheme(wanted) {
  if (wanted === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  try {
    localStorage.setItem("theme", wanted);
  } catch {
    // Storage is forbidden: it holds until the page is loaded again.
  }
}

/** @param {string} title */
function fact(title) {
  const value = h("dd", {}, "–");
  return { value, element: h("div", {}, h("dt", {}, title), value) };
}

class App extends HTMLElement {
  #table = new MappingTable();
  #page = h("div", { hidden: true });
  #shownPage = "";
  #nav = h(
    "nav",
    { "aria-label": "Pages" },
    h("a", { href: "?", "data-in": true }, "Mappings"),
    ...Object.entries(PAGES).map(([id, { title }]) => h("a", { href: `?page=${id}`, "data-in": true }, title)),
  );
  #banner = h("div", { class: "banner", hidden: true });
  #readOnly = h("span", { class: "chip warn", hidden: true }, "read-only");
  #stale = h("div", { class: "stale", role: "alert", hidden: true });
  #refused = h("div", { class: "stale", role: "alert", hidden: true });
  #spoken = h("div", { class: "hidden", "aria-live": "polite" });
  #facts = {
    rate: fact("Records/s"),
    bytes: fact("Bytes/s"),
    lag: fact("Lag"),
    queue: fact("In flight"),
    workers: fact("Workers"),
    version: fact("Configuration"),
  };
  #bytes = { at: 0, sum: 0 };

  connectedCallback() {
    const themes = h("select", { "aria-label": "Theme", onchange: () => setTheme(themes.value) }, ...THEMES.map((name) => h("option", { value: name }, name)));
    themes.value = theme();
    this.append(
      this.#banner,
      h(
        "header",
        {},
        h("a", { href: "?", "data-in": true, class: "brand" }, "Replicator"),
        this.#nav,
        this.#readOnly,
        h("dl", { class: "facts" }, ...Object.values(this.#facts).map((fact) => fact.element)),
        h("div", { class: "settings" }, themes, h("button", { type: "button", class: "quiet", "aria-label": "Keys", onclick: () => this.#help() }, "?")),
      ),
      this.#stale,
      this.#refused,
      h("main", { id: "main", tabindex: "-1" }, this.#table, this.#page),
      toasts(),
      this.#spoken,
    );
    this.addEventListener("click", follow);
    keys.shortcut("/", "Search", () => (go(HOME), this.#table.focusSearch()));
    keys.shortcut("?", "Show the keys", () => this.#help());
    keys.shortcut("n", "New mapping", () => store.readOnly || go({ new: "1" }, { push: true, clear: true }));
    keys.shortcut("e", "Edit the mapping", () => param("mapping") && go({ tab: "edit" }, { push: true }));
    keys.shortcut("Escape", "Back to the table", () => (param("mapping") || param("new") || param("page")) && go(HOME, { push: true }));
    store.addEventListener("tick", () => this.#update());
    addEventListener("partly", (event) => void toast(/** @type {CustomEvent<string>} */ (event).detail, { bad: true }));
    store.addEventListener("states", (event) => {
      const rows = /** @type {CustomEvent<import("../api/types.js").Row[]>} */ (event).detail;
      const grave = rows.filter((row) => ["error", "waiting", "disabled", "completed"].includes(row.state));
      if (grave.length > 0) say(this.#spoken, grave.map((row) => `${row.name}: ${words(row.state)}${row.detail ? `, ${row.detail}` : ""}`).join(", "));
    });
    onRoute(() => this.#route());
    this.#route();
    store.start();
  }

  #route() {
    const name = param("mapping");
    const other = PAGES[param("page")];
    const page = name ? `mapping ${name}` : param("new") ? "new" : other ? `page ${param("page")} ${param("template")}` : "";
    for (const link of this.#nav.children) {
      const here = !name && !param("new") && new URL(/** @type {HTMLAnchorElement} */ (link).href).searchParams.get("page") === (other ? param("page") : null);
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    this.#page.hidden = !page;
    const wasHidden = this.#table.hidden;
    this.#table.hidden = Boolean(page);
    if (wasHidden && !page) store.dispatchEvent(new Event("tick"));
    // A form has to know whether anything may be changed.
    if (page === this.#shownPage || (page && !store.service)) return;
    this.#shownPage = page;
    fill(this.#page, name ? details(name) : param("new") ? create() : other ? other.make() : null);
  }

  #help() {
    const on = h("input", { type: "checkbox", id: "keys-on", onchange: () => keys.turn(on.checked) });
    on.checked = keys.areOn();
    const list = keys.all().flatMap(({ key, what }) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]);
    void dialog("Keys", [h("dl", { class: "keys" }, ...list), h("p", {}, on, " ", h("label", { for: "keys-on" }, "Single keys do something"))]);
  }

  #update() {
    const { service } = store;
    this.#stale.hidden = store.staleSince === null;
    if (store.staleSince !== null) say(this.#stale, `Stale since ${clock(store.staleSince)}. ${store.trouble}`);
    if (!service) return;
    this.#route();
    this.#environment(service);
    const rows = [...store.rows.values()];
    const sum = (/** @type {(row: import("../api/types.js").Row) => number} */ value) => rows.reduce((all, row) => all + Number(value(row)), 0);
    const at = store.stats[0]?.time_ms ?? 0;
    const total = sum((row) => row.bytes_out);
    const seconds = (at - this.#bytes.at) / 1000;
    // What comes within one tick was counted at the same tick.
    if (seconds < 0 || seconds > service.stats_every_ms / 2000) {
      if (this.#bytes.at > 0 && seconds > 0) say(this.#facts.bytes.value, bytes(Math.max(0, (total - this.#bytes.sum) / seconds)));
      this.#bytes = { at, sum: total };
    }
    say(this.#facts.rate.value, rate(sum((row) => row.rate_out)));
    say(this.#facts.lag.value, count(sum((row) => row.lag)));
    say(this.#facts.queue.value, count(sum((row) => row.queue)));
    say(this.#facts.workers.value, `${store.stats.length} of ${Math.max(store.stats.length, service.worker[1])}`);
    const [runs, heard] = [store.running(service.version), store.stats.length];
    const where = runs < heard ? ` · on ${runs} of ${heard} workers` : "";
    say(this.#facts.version.value, `“${service.comment || "no comment"}”, ${duration(Date.now() - service.since)} ago${where}`);
    this.#facts.version.value.title = `version ${service.version}`;
  }

  /** @param {import("../api/types.js").ServiceInfo} service */
  #environment(service) {
    this.#banner.hidden = !service.environment;
    if (service.environment) say(this.#banner, service.environment);
    const place = param("mapping") || (param("new") ? "New mapping" : PAGES[param("page")]?.title);
    document.title = [service.environment, place, "Replicator"].filter(Boolean).join(" · ");
    if (service.colour && CSS.supports("color", service.colour) && this.#banner.dataset.colour !== service.colour) {
      this.#banner.dataset.colour = service.colour;
      this.#banner.style.setProperty("border-color", service.colour);
    }
    this.#readOnly.hidden = !service.read_only;
    this.#refused.hidden = service.refused.length === 0;
    const places = service.refused.map((issue) => `${issue.origin}${issue.place ? `, line ${issue.place.line}, column ${issue.place.column}` : ""}: ${issue.message}`);
    say(this.#refused, `The files on disk cannot be used; the configuration before them keeps running. ${places.join(" · ")}`);
  }
}

customElements.define("replicator-app", App);
