/** What the service says, once a second; everybody who shows it listens here. */

import { ask, get, part } from "../api/client.js";
import { read } from "../api/json.js";

/** @typedef {import("../api/types.js").Row} Row */

const POINTS = 60;
const EVERY = 1000;
const SLOWEST = 15000;

/** @param {Row} row */
export const keyOf = (row) => JSON.stringify([row.name, row.source_topic_name, row.target_topic_name]);

class Store extends EventTarget {
  /** @type {import("../api/types.js").Service | null} */
  service = null;
  /** @type {import("../api/types.js").Stats[]} */
  stats = [];
  /** @type {Map<string, Row>} */
  rows = new Map();
  /** Rates of the last ticks, by row. @type {Map<string, number[]>} */
  trends = new Map();
  /** Since when nothing was heard; `null`: all is fresh. @type {number | null} */
  staleSince = null;
  /** What went wrong last. */
  trouble = "";
  #heard = Date.now();
  #wait = EVERY;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asked = new Set();

  start() {
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.#timer);
      if (!document.hidden) void this.refresh();
    });
    void this.refresh();
  }

  /** Asks now, and from now on again. */
  async refresh() {
    clearTimeout(this.#timer);
    try {
      const [service, stats] = await Promise.all([ask({ path: "service" }), ask({ path: "stats", query: { all: 1 } })]);
      this.service = read(service.text);
      this.#take(read(stats.text));
      this.#heard = Date.now();
      this.staleSince = null;
      this.#wait = EVERY;
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : String(error);
      this.staleSince = this.#heard;
      this.#wait = Math.min(this.#wait * 2, SLOWEST);
    }
    this.dispatchEvent(new Event("tick"));
    clearTimeout(this.#timer);
    if (!document.hidden) this.#timer = setTimeout(() => void this.refresh(), this.#wait);
  }

  /** @param {import("../api/types.js").Stats[]} stats */
  #take(stats) {
    this.stats = stats;
    const before = this.rows;
    this.rows = new Map();
    const changed = [];
    for (const row of stats.flatMap((worker) => worker.mappings)) {
      const key = keyOf(row);
      const sooner = this.rows.get(key);
      const merged = sooner ? together(sooner, row) : row;
      this.rows.set(key, merged);
      const known = before.get(key);
      if (known && known.state !== merged.state) changed.push(merged);
    }
    for (const [key, row] of this.rows) {
      const trend = this.trends.get(key) ?? [];
      trend.push(row.rate_out);
      if (trend.length > POINTS) trend.shift();
      this.trends.set(key, trend);
    }
    for (const key of this.trends.keys()) if (!this.rows.has(key)) this.trends.delete(key);
    if (changed.length > 0) this.dispatchEvent(new CustomEvent("states", { detail: changed }));
  }

  /**
   * Fills a row's trend with what the service remembers, once.
   * @param {Row} row
   */
  async remember(row) {
    if (this.#asked.has(row.name) || !row.enabled) return;
    this.#asked.add(row.name);
    try {
      /** @type {import("../api/types.js").PairHistory[]} */
      const pairs = await get({ path: `mappings/${part(row.name)}/history`, query: { minutes: 5 } });
      for (const pair of pairs) {
        const key = JSON.stringify([row.name, pair.source, pair.target]);
        if (this.rows.has(key)) this.trends.set(key, pair.samples.slice(-POINTS).map((sample) => sample.rate_out));
      }
    } catch {
      // The trend grows tick by tick instead; the next one may ask again.
      this.#asked.delete(row.name);
    }
  }

  get version() {
    return this.service?.version ?? "";
  }

  get readOnly() {
    return this.service?.read_only ?? true;
  }

  /** @param {string} name */
  rowsOf(name) {
    return [...this.rows.values()].filter((row) => row.name === name);
  }
}

/**
 * The same row of two workers.
 * @param {Row} a
 * @param {Row} b
 * @returns {Row}
 */
function together(a, b) {
  const sum = { ...a };
  for (const name of /** @type {const} */ ([
    "lag", "source_count", "target_count", "queue", "filtered_count", "dropped_count", "decode_error_count",
    "error_count", "partition_error_count", "unmapped_count", "lost_count", "bytes_in", "bytes_out", "rate_in", "rate_out",
  ])) {
    // Either may be a `bigint`; both together are shown, not calculated with.
    sum[name] = typeof a[name] === typeof b[name] ? a[name] + b[name] : Number(a[name]) + Number(b[name]);
  }
  sum.assignments = [...a.assignments, ...b.assignments].sort((x, y) => x - y);
  sum.last_message_at = Math.max(a.last_message_at ?? 0, b.last_message_at ?? 0) || null;
  if (b.state === "error") [sum.state, sum.detail] = [b.state, b.detail];
  return sum;
}

export const store = new Store();
