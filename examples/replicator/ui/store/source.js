/**
 * Where news come from: a stream of events; while there is none (a proxy keeps it back, the service restarts)
 * the same is asked for again and again, later and later while nobody answers.
 */

import { address, ask } from "../api/client.js";
import { read } from "../api/json.js";

/** @typedef {{ service: import("../api/types.js").ServiceInfo, stats: import("../api/types.js").Stats[] }} News */

const EVERY = 1000;
const SLOWEST = 15_000;
/** A stream that says nothing for so many ticks is dead, whatever the browser believes. */
const SILENT_TICKS = 4;
const LOOK_ROUND = 10;

export class Source {
  /** @type {EventSource | undefined} */
  #stream;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watch;
  #wait = EVERY;
  /** Whether more than one worker was heard. */
  #several = false;
  #asking = false;
  #ticks = 0;
  /** When the stream is tried again, and how much later then. */
  #again = 0;
  #later = EVERY;
  /** Whether news come by themselves. */
  live = false;

  /**
   * @param {(news: News) => void} take
   * @param {(error: unknown) => void} fail
   */
  constructor(take, fail) {
    this.take = take;
    this.fail = fail;
  }

  start() {
    // A page that nobody sees asks for nothing, and leaves its connection to others.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#stop() : void this.refresh()));
    void this.refresh();
  }

  #stop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#stream?.close();
    this.#stream = undefined;
    this.live = false;
  }

  /** Asks now; then the stream tells, or it is asked again. */
  async refresh() {
    clearTimeout(this.#timer);
    try {
      const [service, stats] = await Promise.all([ask({ path: "service" }), ask({ path: "stats", query: { all: 1 } })]);
      this.#wait = EVERY;
      this.#hear(read(service.text), read(stats.text));
      if (!this.#stream && Date.now() >= this.#again) this.#listen();
    } catch (error) {
      this.#lost();
      this.#wait = Math.min(this.#wait * 2, SLOWEST);
      this.fail(error);
    }
    clearTimeout(this.#timer);
    if (!document.hidden && !this.live) this.#timer = setTimeout(() => void this.refresh(), this.#wait);
  }

  /**
   * @param {News["service"]} service
   * @param {News["stats"]} stats Those of all workers.
   */
  #hear(service, stats) {
    this.#several = stats.length > 1;
    this.take({ service, stats });
  }

  /**
   * The stream tells of the worker alone that serves it: where there are several, it says when to ask for all.
   * @param {News["service"]} service
   */
  async #askAll(service) {
    if (this.#asking) return;
    this.#asking = true;
    try {
      this.#hear(service, read((await ask({ path: "stats", query: { all: 1 } })).text));
    } catch (error) {
      this.fail(error);
    } finally {
      this.#asking = false;
    }
  }

  #listen() {
    if (document.hidden) return;
    const stream = new EventSource(address({ path: "events" }));
    this.#stream = stream;
    stream.addEventListener("message", (event) => {
      clearTimeout(this.#timer);
      this.live = true;
      this.#later = EVERY;
      const news = read(event.data);
      this.#guard(news.service.stats_every_ms);
      this.#ticks += 1;
      // Now and then it is looked whether others have come.
      if (this.#several || this.#ticks % LOOK_ROUND === 0) void this.#askAll(news.service);
      else this.take(news);
    });
    stream.addEventListener("error", () => {
      this.#lost();
      void this.refresh();
    });
    // One that opens and brings nothing is watched too.
    this.#guard(EVERY * 5);
  }

  /** @param {number} every */
  #guard(every) {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.#lost();
      void this.refresh();
    }, Math.max(every, EVERY) * SILENT_TICKS);
  }

  #lost() {
    if (this.#stream) {
      this.#again = Date.now() + this.#later;
      this.#later = Math.min(this.#later * 2, SLOWEST);
    }
    this.#stop();
  }
}
