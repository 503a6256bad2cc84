/** How a mapping is on each worker, where there are several. */

import { fill, h } from "../app/dom.js";
import { count, rate } from "../app/text.js";
import { store } from "../store/store.js";
import { badge } from "./state-badge.js";

const HEADS = ["Worker", "Source → target", "State", "Partitions", "In/s", "Out/s", "Lag", "In flight", "Configuration"];
const NUMBERS = new Set(["In/s", "Out/s", "Lag", "In flight"]);

export class WorkersTable extends HTMLElement {
  #body = h("tbody", {});

  /** @param {string} name Of the mapping. */
  constructor(name = "") {
    super();
    this.name = name;
  }

  connectedCallback() {
    if (this.firstChild) return;
    const heads = HEADS.map((head) => h("th", { scope: "col", class: NUMBERS.has(head) ? "number" : "" }, head));
    this.append(
      h("h2", {}, "Workers"),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Workers" }, h("table", {}, h("thead", {}, h("tr", {}, ...heads)), this.#body)),
    );
    this.update();
  }

  update() {
    this.hidden = store.stats.length < 2;
    if (this.hidden) return;
    const number = (/** @type {string} */ text) => h("td", { class: "number" }, text);
    const rows = store.stats.flatMap(({ worker, version, mappings }) =>
      mappings
        .filter((row) => row.name === this.name)
        .map((row) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, String(worker)),
            h("td", { class: "mono" }, `${row.source_topic_name} → ${row.target_topic_name}`),
            h("td", {}, badge(row.state, row.detail)),
            h("td", {}, row.assignments.join(", ") || "none"),
            number(rate(row.rate_in)),
            number(rate(row.rate_out)),
            number(count(row.lag)),
            number(count(row.queue)),
            h("td", {}, version === store.version ? "this one" : "another one"),
          ),
        ),
    );
    fill(this.#body, ...rows);
  }
}

customElements.define("workers-table", WorkersTable);
