/** What the service says, as soon as it says it; everybody who shows it listens here. */

import { get, part } from "../api/client.js";
import { together } from "./merge.js";
import { Source } from "./source.js";

/** @typedef {import("../api/types.js").Row} Row */

const POINTS = 60;
/** In milliseconds: no answer takes so long. */
const FAR = 60_000;
/** In milliseconds: a past that could not be had is asked for again after so long, and not with every tick. */
const AGAIN = 60_000;

/** @param {Row} row */
export const keyOf = (row) => JSON.stringify([row.name, row.source_topic_name, row.target_topic_name]);

class Store extends EventTarget {
  /** @type {import("../api/types.js").ServiceInfo | null} */
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
  /** From when on the past of a mapping may be asked for. @type {Map<string, number>} */
  #asked = new Map();
  #drawn = 0;
  #source = new Source(
    (news) => {
      // An answer that was under way while the stream went on is no news.
      if (!this.#isOlder(news.stats)) {
        this.service = news.service;
        this.#take(news.stats);
      }
      this.#heard = Date.now();
      this.staleSince = null;
      this.dispatchEvent(new Event("tick"));
    },
    (error) => {
      this.trouble = error instanceof Error ? error.message : String(error);
      this.staleSince = this.#heard;
      this.dispatchEvent(new Event("tick"));
    },
  );

  start() {
    this.#source.start();
  }

  /** Asks now, whatever the stream brings. */
  refresh() {
    return this.#source.refresh();
  }

  /** Whether news come by themselves; otherwise they are asked for. */
  get live() {
    return this.#source.live;
  }

  /**
   * Whether more is known already; a service that started anew, or whose clock was set back, is believed.
   * @param {import("../api/types.js").Stats[]} stats
   */
  #isOlder(stats) {
    const [now, before] = [stats[0], this.stats[0]];
    if (!now || !before || now.started !== before.started || now.worker !== before.worker) return false;
    const behind = before.time_ms - now.time_ms;
    return behind > 0 && behind < FAR;
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
    // Whoever asks between two ticks gets the same tick again.
    const at = stats[0]?.time_ms ?? 0;
    if (at < this.#drawn || at - this.#drawn >= (this.service?.stats_every_ms ?? 0) / 2) {
      this.#drawn = at;
      this.#grow();
    }
    if (changed.length > 0) this.dispatchEvent(new CustomEvent("states", { detail: changed }));
  }

  #grow() {
    for (const [key, row] of this.rows) {
      const trend = this.trends.get(key) ?? [];
      trend.push(row.rate_out);
      if (trend.length > POINTS) trend.shift();
      this.trends.set(key, trend);
    }
    for (const key of this.trends.keys()) if (!this.rows.has(key)) this.trends.delete(key);
  }

  /**
   * Fills a row's trend with what the service remembers, once.
   * @param {Row} row
   */
  async remember(row) {
    if (!row.enabled || Date.now() < (this.#asked.get(row.name) ?? 0)) return;
    this.#asked.set(row.name, Infinity);
    try {
      /** @type {import("../api/types.js").PairHistory[]} */
      const pairs = await get({ path: `mappings/${part(row.name)}/history`, query: { minutes: 5 } });
      for (const pair of pairs) {
        const key = JSON.stringify([row.name, pair.source, pair.target]);
        if (this.rows.has(key)) this.trends.set(key, pair.samples.slice(-POINTS).map((sample) => sample.rate_out));
      }
    } catch {
      // The trend grows tick by tick instead.
      this.#asked.set(row.name, Date.now() + AGAIN);
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

  /** How many workers of those that are heard run this version of the configuration. @param {string} version */
  running(version) {
    return this.stats.filter((worker) => worker.version === version).length;
  }
}

export const store = new Store();
