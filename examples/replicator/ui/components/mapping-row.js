/** One row of the table. What did not change is not touched. */

import { h, say } from "../app/dom.js";
import { mappingAddress } from "../app/route.js";
import { count, duration, rate } from "../app/text.js";
import { store } from "../store/store.js";
import { switchMapping } from "../store/switch.js";
import { place, problems } from "../views/columns.js";
import { SparkLine } from "./sparkline.js";
import { StateBadge } from "./state-badge.js";

/** Rows out of sight are painted once, and again when they come into it. @type {WeakMap<Element, MappingRow>} */
const known = new WeakMap();
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const row = known.get(entry.target);
    if (!row) continue;
    row.inSight = entry.isIntersecting;
    if (entry.isIntersecting) row.paint();
  }
});

export class MappingRow {
  inSight = false;
  badge = new StateBadge();
  spark = new SparkLine();
  chip = h("span", { class: "chip", hidden: true });
  /** @type {Record<string, HTMLElement>} */
  cells = {};

  /**
   * @param {string} key
   * @param {import("../api/types.js").Row} row
   */
  constructor(key, row) {
    this.key = key;
    this.row = row;
    this.toggle = h(
      "button",
      { type: "button", role: "switch", class: "switch", "aria-label": `Replicate ${row.name}`, onclick: () => void this.#switch() },
      h("span", {}),
    );
    const link = h("a", { href: mappingAddress(row.name), "data-in": true, class: "name" }, row.name);
    for (const id of ["in", "out", "lag", "filtered", "dropped", "errors", "parts", "age"]) this.cells[id] = h("td", { class: "number" });
    const { cells } = this;
    this.arrow = h("span", { class: "arrow" });
    this.lag = h("span", {});
    cells.lag.append(this.arrow, this.lag);
    this.element = h(
      "tr",
      {},
      h("td", {}, this.toggle),
      h("th", { scope: "row" }, link, this.chip),
      h("td", {}, this.badge),
      h("td", { class: "topics" }, place(row.source_topic_name, row.source_is_file), h("span", { class: "to" }, " → "), place(row.target_topic_name, row.target_is_file)),
      cells.in,
      cells.out,
      h("td", {}, this.spark),
      cells.lag,
      cells.filtered,
      cells.dropped,
      cells.errors,
      cells.parts,
      cells.age,
    );
    this.now = 0;
    this.readOnly = true;
    this.grew = 0;
    known.set(this.element, this);
    sight.observe(this.element);
  }

  async #switch() {
    this.toggle.setAttribute("aria-busy", "true");
    await switchMapping(this.row.name, !this.row.enabled);
    this.toggle.removeAttribute("aria-busy");
  }

  trend() {
    if (this.inSight) this.spark.show(store.trends.get(this.key) ?? []);
  }

  /**
   * @param {import("../api/types.js").Row} row
   * @param {number} now
   * @param {boolean} readOnly
   */
  show(row, now, readOnly) {
    // Only another tick makes it another row.
    const isTick = row !== this.row;
    if (isTick) this.grew = Number(row.lag) - Number(this.row.lag);
    const isNew = this.now === 0;
    [this.row, this.now, this.readOnly] = [row, now, readOnly];
    if (this.inSight || isNew) this.paint();
    // Not while it scrolls by: only rows that are still there at the next tick ask for their past.
    if (this.inSight && isTick) void store.remember(row).then(() => this.trend());
  }

  paint() {
    const { cells, toggle, row, now, readOnly, grew } = this;
    if (toggle.getAttribute("aria-checked") !== String(row.enabled)) toggle.setAttribute("aria-checked", String(row.enabled));
    if (toggle.disabled !== readOnly) toggle.disabled = readOnly;
    this.badge.show(row.state, row.detail);
    const on = row.enabled;
    say(cells.in, on ? rate(row.rate_in) : "–");
    say(cells.out, on ? rate(row.rate_out) : "–");
    say(this.lag, on ? count(row.lag) : "–");
    say(this.arrow, !on || grew === 0 ? "" : grew > 0 ? "↗ " : "↘ ");
    this.arrow.title = grew > 0 ? "growing" : grew < 0 ? "shrinking" : "";
    const bad = problems(row);
    for (const [cell, value] of /** @type {const} */ ([[cells.filtered, row.filtered_count], [cells.dropped, row.dropped_count], [cells.errors, bad]])) {
      say(cell, count(value));
      cell.classList.toggle("zero", Number(value) === 0);
    }
    cells.errors.classList.toggle("has-errors", bad > 0);
    say(cells.parts, row.assignments.length ? String(row.assignments.length) : "–");
    cells.parts.title = row.assignments.join(", ");
    say(cells.age, row.last_message_at ? duration(now - row.last_message_at) : "–");
    const group = row.target_service_consumer_group;
    this.chip.hidden = !group;
    if (group) {
      say(this.chip, row.consumer_group_up ? `⚠ ${group} is running` : `${group} is down`);
      this.chip.classList.toggle("warn", row.consumer_group_up);
      this.chip.title = row.consumer_group_up
        ? "The service runs while replication writes the same topic."
        : "The service's group has no members; it is deleted so that the service begins anew.";
    }
    this.trend();
  }

  gone() {
    sight.unobserve(this.element);
    this.element.remove();
  }
}
