/** A file that is replayed: how far it is, and the handles on it. */

import { ask, get, part, Problem } from "../api/client.js";
import { fill, h, say, unique } from "../app/dom.js";
import { count, duration, moment } from "../app/text.js";
import { store } from "../store/store.js";
import { copyAsCurl } from "./curl.js";
import { toast } from "./toast.js";

/** @typedef {import("../api/types.js").ReplayInfo} ReplayInfo */

const SPEEDS = [0.25, 0.5, 1, 2, 5, 10, 100, 0];

/** @param {number} speed */
const word = (speed) => (speed === 0 ? "as fast as possible" : speed === 1 ? "as recorded" : `${speed} ×`);

export class ReplayPanel extends HTMLElement {
  #bar = h("progress", { max: 1, value: 0 });
  #facts = h("dl", { class: "facts" });
  #hold = h("button", { type: "button", onclick: () => void this.#act(this.#holdCall()) }, "Pause");
  #speed = h("select", { onchange: () => void this.#act(this.#call({ speed: Number(this.#speed.value) })) });
  #seek = h("input", { type: "range", step: 1, onchange: () => void this.#goTo() });
  #at = h("output", { class: "mono" });
  #status = h("p", { class: "problem", role: "status", hidden: true });
  #paused = false;
  /** Who drags is not pulled back. */
  #held = false;
  #busy = false;
  #tick = () => void this.#update();

  /** @param {string} name */
  constructor(name = "") {
    super();
    this.name = name;
  }

  connectedCallback() {
    if (!this.firstChild) {
      const [speed, seek] = [unique(), unique()];
      this.#speed.id = speed;
      this.#seek.id = seek;
      this.#bar.setAttribute("aria-label", "How far the replay is");
      this.#seek.addEventListener("input", () => ((this.#held = true), this.#place(Number(this.#seek.value))));
      const handles = [
        h("div", { class: "tools" }, this.#hold, copyAsCurl("pause or resume this replay", () => this.#holdCall()), h("label", { for: speed }, "Speed"), this.#speed, copyAsCurl("speed of this replay", () => this.#call({ speed: Number(this.#speed.value) }))),
        h("div", { class: "tools seek" }, h("label", { for: seek }, "Go to"), this.#seek, this.#at, copyAsCurl("go to a time of this replay", () => this.#call({ seek: Number(this.#seek.value) }))),
      ];
      this.append(h("section", { class: "card", "aria-label": "Replay" }, h("h2", {}, "Replay"), this.#bar, this.#facts, this.#status, ...(store.readOnly ? [] : handles)));
    }
    store.addEventListener("tick", this.#tick);
    void this.#update();
  }

  disconnectedCallback() {
    store.removeEventListener("tick", this.#tick);
  }

  /** @param {import("../api/types.js").Control} [control] @returns {import("../api/client.js").Call} */
  #call(control = {}) {
    return { path: `mappings/${part(this.name)}/replay`, body: control };
  }

  /** @returns {import("../api/client.js").Call} */
  #holdCall() {
    return { method: "POST", path: `mappings/${part(this.name)}/${this.#paused ? "resume" : "pause"}` };
  }

  /** @param {import("../api/client.js").Call} call */
  async #act(call) {
    try {
      await ask(call);
    } catch (error) {
      toast(`The replay was not changed: ${error instanceof Error ? error.message : error}`, { bad: true });
    }
    await this.#update();
  }

  async #goTo() {
    await this.#act(this.#call({ seek: Number(this.#seek.value) }));
    this.#held = false;
  }

  /** @param {number} time */
  #place(time) {
    say(this.#at, moment(time));
    this.#seek.setAttribute("aria-valuetext", moment(time));
  }

  async #update() {
    if (this.#busy || !this.isConnected) return;
    this.#busy = true;
    try {
      /** @type {ReplayInfo[]} */
      const [replay] = await get(this.#call());
      this.#status.hidden = true;
      if (replay) this.#show(replay);
    } catch (error) {
      this.#status.hidden = false;
      const off = error instanceof Problem && error.status === 404;
      say(this.#status, off ? "Nothing is replayed: the mapping is off, or it waits." : `Cannot be read: ${error instanceof Error ? error.message : error}`);
    } finally {
      this.#busy = false;
    }
  }

  /** @param {ReplayInfo} replay */
  #show(replay) {
    const [first, last] = [replay.first ?? replay.position, replay.last ?? replay.position];
    const at = Math.min(Math.max(replay.position, first), last);
    this.#bar.value = replay.of > 0 ? replay.records / replay.of : 0;
    const left = replay.speed > 0 ? duration((last - at) / replay.speed) : "–";
    const facts = {
      file: `${replay.source}.json`,
      records: `${count(replay.records)} of ${count(replay.of)}`,
      elapsed: duration(at - first),
      remaining: replay.paused ? "paused" : left,
      speed: word(replay.speed),
      "last record was late by": `${count(replay.drift_ms)} ms`,
    };
    fill(this.#facts, ...Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
    this.#paused = replay.paused;
    say(this.#hold, replay.paused ? "Resume" : "Pause");
    const speeds = [...new Set([...SPEEDS, replay.speed])];
    if (this.#speed.options.length !== speeds.length) fill(this.#speed, ...speeds.map((speed) => h("option", { value: speed }, word(speed))));
    if (document.activeElement !== this.#speed) this.#speed.value = String(replay.speed);
    [this.#seek.min, this.#seek.max] = [String(first), String(Math.max(last, first + 1))];
    if (this.#held) return;
    this.#seek.value = String(at);
    this.#place(at);
  }
}

customElements.define("replay-panel", ReplayPanel);
