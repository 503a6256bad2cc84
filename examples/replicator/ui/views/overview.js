/** A mapping: what it says, how it is, its past and its partitions. */

import { ask, get, part } from "../api/client.js";
import { member, parse, print } from "../api/json.js";
import { fill, h, say } from "../app/dom.js";
import { go, param } from "../app/route.js";
import { bytes, count, duration, rate } from "../app/text.js";
import { copyAsCurl } from "../components/curl.js";
import { GroupPanel } from "../components/group-panel.js";
import { LineChart } from "../components/line-chart.js";
import { ReplayPanel } from "../components/replay-panel.js";
import { badge } from "../components/state-badge.js";
import { WorkersTable } from "../components/workers-table.js";
import { store } from "../store/store.js";
import { place } from "./columns.js";

const RANGES = { 5: "5 minutes", 60: "1 hour", 360: "6 hours", 1440: "24 hours" };

export class MappingOverview extends HTMLElement {
  #now = h("div", { class: "cards" });
  #fields = h("dl", { class: "fields" });
  #charts = h("div", { class: "charts" });
  #chartsNote = h("p", { class: "muted", role: "status" }, "Loading …");
  #parts = h("tbody", {});
  #workers;
  #partsTable = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Partitions", hidden: true });
  #partsNote = h("p", { class: "muted", role: "status" }, "Loading …");
  #at = 0;
  #tick = () => this.#update();
  #range = h(
    "select",
    { id: "range", onchange: () => (go({ range: this.#range.value }), void this.#slow()) },
    ...Object.entries(RANGES).map(([minutes, words]) => h("option", { value: minutes }, words)),
  );

  /** @param {string} name */
  constructor(name = "") {
    super();
    this.name = name;
    this.#workers = new WorkersTable(name);
  }

  connectedCallback() {
    this.#range.value = param("range") in RANGES ? param("range") : "5";
    // Room for what comes, so that nothing jumps.
    fill(this.#charts, ...[1, 2, 3, 4].map(() => h("figure", { class: "skeleton", "aria-hidden": "true" })));
    if (!this.firstChild) {
      const heads = ["Topic", "Partition", "First kept", "Position", "End", "Lag", "In flight", "Worker"];
      this.#partsTable.append(h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head, at) => h("th", { scope: "col", class: at > 0 ? "number" : "" }, head)))), this.#parts));
      const rows = store.rowsOf(this.name);
      this.append(
        this.#now,
        this.#workers,
        ...(rows.some((row) => row.source_is_file && row.enabled) ? [new ReplayPanel(this.name)] : []),
        ...(rows.some((row) => row.target_service_consumer_group) ? [new GroupPanel(this.name)] : []),
        h("h2", {}, "Over time"),
        h("div", { class: "tools" }, h("label", { for: "range" }, "Range"), this.#range, copyAsCurl("history", () => this.#historyCall())),
        this.#chartsNote,
        this.#charts,
        h("h2", {}, "Partitions"),
        this.#partsNote,
        this.#partsTable,
        h("h2", {}, "What it says"),
        this.#fields,
      );
    }
    store.addEventListener("tick", this.#tick);
    this.#update();
    void this.#say();
    void this.#slow();
  }

  disconnectedCallback() {
    store.removeEventListener("tick", this.#tick);
  }

  #historyCall() {
    return { path: `mappings/${part(this.name)}/history`, query: { minutes: this.#range.value } };
  }

  async #say() {
    try {
      const node = parse((await ask({ path: `mappings/${part(this.name)}` })).text);
      const mapping = member(node, "mapping");
      const members = mapping?.kind === "object" ? mapping.members : [];
      fill(this.#fields, ...members.flatMap(({ key, node }) => [h("dt", { class: "mono" }, JSON.parse(key)), h("dd", { class: "mono" }, h("pre", {}, print(node, "  ")))]));
    } catch (error) {
      fill(this.#fields, h("dd", {}, String(error instanceof Error ? error.message : error)));
    }
  }

  #update() {
    const cards = store.rowsOf(this.name).map((row) => {
      const facts = Object.entries({
        "in/s": rate(row.rate_in),
        "out/s": rate(row.rate_out),
        lag: count(row.lag),
        "in flight": count(row.queue),
        read: count(row.source_count),
        copied: count(row.target_count),
        filtered: count(row.filtered_count),
        dropped: count(row.dropped_count),
        "not decoded": count(row.decode_error_count),
        "filter errors": count(row.error_count),
        "no such partition": count(row.partition_error_count),
        unmapped: count(row.unmapped_count),
        lost: count(row.lost_count),
        "bytes in": bytes(Number(row.bytes_in)),
        "bytes out": bytes(Number(row.bytes_out)),
        "age p50 / p99": `${row.latency_ms_p50} / ${row.latency_ms_p99} ms`,
        last: row.last_message_at ? `${duration((store.stats[0]?.time_ms ?? 0) - row.last_message_at)} ago` : "–",
      });
      if (typeof row.progress === "number") facts.push(["file", `${Math.round(row.progress * 100)} %`]);
      return h(
        "section",
        { class: "card", "aria-label": `${row.source_topic_name} to ${row.target_topic_name}` },
        h("div", { class: "card-head" }, badge(row.state, row.detail), place(row.source_topic_name, row.source_is_file), "→", place(row.target_topic_name, row.target_is_file)),
        row.detail ? h("p", { class: row.state === "error" ? "problem" : "note" }, row.detail) : null,
        h("dl", { class: "facts" }, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: value === "0" ? "zero" : null }, value)))),
      );
    });
    fill(this.#now, ...cards);
    this.#workers.update();
    if (Date.now() - this.#at > 5000) void this.#slow();
  }

  async #slow() {
    this.#at = Date.now();
    const [history, parts] = await Promise.allSettled([get(this.#historyCall()), get({ path: `mappings/${part(this.name)}/partitions` })]);
    if (history.status === "rejected") {
      say(this.#chartsNote, `Cannot be read: ${history.reason.message} It is tried again in a few seconds.`);
      this.#charts.querySelectorAll(".skeleton").forEach((figure) => figure.remove());
    } else this.#draw(history.value);
    if (parts.status === "rejected") say(this.#partsNote, `Cannot be read: ${parts.reason.message}`);
    else this.#partitions(parts.value);
  }

  /** @param {import("../api/types.js").PairHistory[]} pairs */
  #draw(pairs) {
    const useful = pairs.filter((pair) => pair.samples.length > 1);
    say(this.#chartsNote, useful.length > 0 ? "" : "Nothing was measured yet: a mapping has a past as soon as it ran for two ticks.");
    const charts = useful.flatMap(({ source, target, samples }) => {
      const times = samples.map((sample) => sample.time_ms);
      const many = useful.length > 1 ? `${source} → ${target}: ` : "";
      /** @param {string} title @param {{ name: string, values: number[] }[]} lines */
      const chart = (title, lines) => {
        const element = new LineChart();
        element.show(many + title, times, lines);
        return element;
      };
      const of = (/** @type {"rate_in" | "rate_out" | "lag" | "latency_ms_p50" | "latency_ms_p99" | "errors"} */ name) => samples.map((sample) => Number(sample[name]));
      return [
        chart("Records a second", [{ name: "in", values: of("rate_in") }, { name: "out", values: of("rate_out") }]),
        chart("Lag, records", [{ name: "lag", values: of("lag") }]),
        chart("Age when handled, ms", [{ name: "p50", values: of("latency_ms_p50") }, { name: "p99", values: of("latency_ms_p99") }]),
        chart("Errors so far", [{ name: "errors", values: of("errors") }]),
      ];
    });
    fill(this.#charts, ...charts);
  }

  /** @param {import("../api/types.js").PartitionInfo[]} parts */
  #partitions(parts) {
    this.#partsTable.hidden = parts.length === 0;
    say(this.#partsNote, parts.length > 0 ? "" : "It reads no partitions here: it is off, waits, or its source is a file.");
    const cell = (/** @type {number | null | undefined} */ value) => h("td", { class: "number" }, value === null || value === undefined ? "–" : count(value));
    fill(
      this.#parts,
      ...parts.map((at) => h("tr", {}, h("th", { scope: "row", class: "mono" }, at.source), cell(at.partition), cell(at.first), cell(at.position), cell(at.end), cell(at.lag), cell(at.in_flight), cell(at.worker))),
    );
  }
}

customElements.define("mapping-overview", MappingOverview);
