/** Records of one topic, once or live. */

import { address, ask } from "../api/client.js";
import { parse, print } from "../api/json.js";
import { fill, h, say } from "../app/dom.js";
import { bytes } from "../app/text.js";
import { copyAsCurl } from "./curl.js";
import { message, messagesOf } from "./message-list.js";

const MOST = 200;

export class MessagePane extends HTMLElement {
  /** @type {EventSource | undefined} */
  #live;
  /** @type {AbortController | undefined} */
  #asked;
  /** @type {import("../api/json.js").Node_[]} */
  #lines = [];
  #paused = false;
  #list = h("ol", { class: "messages" });
  #status = h("p", { class: "muted", role: "status" });
  #stop = h("button", { type: "button", hidden: true, onclick: () => this.stop() }, "Stop");
  #pause = h("button", { type: "button", hidden: true, onclick: () => this.#hold() }, "Pause");
  #save = h("button", { type: "button", class: "quiet small", onclick: () => this.#download() }, "Download JSON lines");
  #call = { path: "messages", query: /** @type {Record<string, string | number>} */ ({}) };

  /**
   * @param {string} cluster `source` or `target`.
   * @param {string} topic
   */
  constructor(cluster = "", topic = "") {
    super();
    this.cluster = cluster;
    this.topic = topic;
  }

  connectedCallback() {
    if (this.firstChild) return;
    this.append(
      h("h3", {}, `${this.cluster} `, h("span", { class: "mono" }, this.topic)),
      h("div", { class: "tools" }, this.#stop, this.#pause, this.#save, copyAsCurl(`records of ${this.topic} (${this.cluster})`, () => this.#call)),
      this.#status,
      this.#list,
    );
  }

  disconnectedCallback() {
    this.stop();
  }

  stop() {
    this.#live?.close();
    this.#live = undefined;
    this.#asked?.abort();
    this.#asked = undefined;
    this.#stop.hidden = this.#pause.hidden = true;
  }

  /** @param {{ from: string, limit: number, filter: string, partition: string }} wanted `from`: `live` as well; no `partition`: all. */
  async load(wanted) {
    this.stop();
    this.#lines = [];
    const live = wanted.from === "live";
    this.#call = { path: "messages", query: { cluster: this.cluster, topic: this.topic, from: live ? "latest" : wanted.from, limit: wanted.limit, filter: wanted.filter, partition: wanted.partition } };
    this.#stop.hidden = false;
    if (live) return this.#follow();
    const asked = new AbortController();
    this.#asked = asked;
    say(this.#status, "Reading …");
    try {
      const found = messagesOf((await ask({ ...this.#call, signal: asked.signal })).text);
      this.#lines = found.lines.reverse();
      this.#show();
      const facts = [`${this.#lines.length} shown`, `${found.scanned} scanned`, `${found.elapsed} ms`, bytes(found.bytes)];
      if (found.filterErrors !== "0") facts.push(`no answer of the filter for ${found.filterErrors}`);
      if (found.truncated) facts.push("there are more");
      if (found.timedOut) facts.push("the time was over before the end: these are not all");
      say(this.#status, facts.join(" · "));
    } catch (error) {
      say(this.#status, asked.signal.aborted ? "Stopped." : `Cannot be read: ${error instanceof Error ? error.message : error}`);
    }
    if (this.#asked === asked) this.stop();
  }

  #follow() {
    this.#paused = false;
    this.#pause.hidden = false;
    say(this.#pause, "Pause");
    say(this.#status, "Live: waiting for records …");
    fill(this.#list);
    let seen = 0;
    const live = new EventSource(address(this.#call));
    this.#live = live;
    live.addEventListener("message", (event) => {
      seen += 1;
      this.#lines.unshift(parse(event.data));
      this.#lines.length = Math.min(this.#lines.length, MOST);
      if (!this.#paused) {
        this.#list.prepend(message(this.#lines[0]));
        while (this.#list.childElementCount > MOST) this.#list.lastElementChild?.remove();
      }
      say(this.#status, `Live: ${seen} so far, the last ${this.#lines.length} kept${this.#paused ? " (paused)" : ""}`);
    });
    live.addEventListener("problem", (event) => say(this.#status, /** @type {MessageEvent} */ (event).data));
    live.addEventListener("error", () => say(this.#status, "Live: the connection broke; the browser tries again."));
  }

  #hold() {
    this.#paused = !this.#paused;
    say(this.#pause, this.#paused ? "Go on" : "Pause");
    if (!this.#paused) this.#show();
  }

  #show() {
    fill(this.#list, ...this.#lines.map((line) => message(line)));
  }

  #download() {
    const lines = this.#lines.map((line) => `${print(line)}\n`).reverse();
    const url = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
    h("a", { href: url, download: `${this.topic}.json` }).click();
    URL.revokeObjectURL(url);
  }
}

customElements.define("message-pane", MessagePane);
