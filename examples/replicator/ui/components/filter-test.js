/** A filter, tried on the last records of a topic and on your own: what it takes, what it leaves out and why. */

import { ask, Problem } from "../api/client.js";
import { member, parse, print, text as textOf } from "../api/json.js";
import { fill, h, say, unique } from "../app/dom.js";
import { copyAsCurl } from "./curl.js";
import { message } from "./message-list.js";

const SOON = 200;

/** @param {string} text One record a line. */
export const samplesOf = (text) => text.split("\n").filter((line) => line.trim());

/** @param {import("../api/json.js").Node_} one What came of one record. */
function judged(one) {
  const kept = print(member(one, "kept") ?? one) === "true";
  const reason = textOf(member(one, "reason"));
  const took = Number(print(member(one, "nanos") ?? one));
  const word = h("span", { class: kept ? "verdict kept" : "verdict" }, reason ? "⚠ no answer" : kept ? "✓ kept" : "– left out");
  const why = [word, h("span", { class: "muted took" }, `${(took / 1000).toFixed(1)} µs`)];
  if (reason) why.push(h("span", { class: "problem" }, reason));
  return { took, item: message(/** @type {import("../api/json.js").Node_} */ (member(one, "message")), why, "judged") };
}

export class FilterTest extends HTMLElement {
  #topic = h("select", { id: unique() });
  #limit = h("select", { id: unique() }, ...[20, 50, 100, 200].map((count) => h("option", { value: count }, count)));
  #own = h("textarea", { id: unique(), class: "code", rows: 3, spellcheck: "false", placeholder: '{"key": "1", "value": {"country": "IT"}}' });
  #wrong = h("div", {});
  #status = h("p", { role: "status" });
  #list = h("ol", { class: "messages" });
  #turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLTextAreaElement} [expression] Typed into, here or elsewhere.
   * @param {string[]} [topics] Of the source.
   */
  constructor(expression, topics = []) {
    super();
    this.expression = expression ?? h("textarea");
    this.topics(topics);
  }

  /** @param {string[]} topics What there is to try it on. */
  topics(topics) {
    const before = this.#topic.value;
    const options = [...topics.map((topic) => h("option", { value: topic }, topic)), h("option", { value: "" }, "only my own")];
    if (options.map((option) => option.value).join("\n") === [...this.#topic.options].map((option) => option.value).join("\n")) return;
    fill(this.#topic, ...options);
    if (topics.includes(before)) this.#topic.value = before;
    this.#soon();
  }

  connectedCallback() {
    if (this.firstChild) return;
    this.#wrong.id = unique();
    this.expression.setAttribute("aria-describedby", this.#wrong.id);
    for (const input of [this.expression, this.#own]) input.addEventListener("input", () => this.#soon());
    for (const select of [this.#topic, this.#limit]) select.addEventListener("change", () => void this.#run());
    this.append(
      this.#wrong,
      h(
        "div",
        { class: "tools" },
        h("label", { for: this.#topic.id }, "Last records of"),
        this.#topic,
        h("label", { for: this.#limit.id }, "how many"),
        this.#limit,
        h("button", { type: "button", onclick: () => void this.#run() }, "Try again"),
        copyAsCurl("try this filter", () => this.#call()),
      ),
      h("details", {}, h("summary", {}, "Records of your own"), h("label", { for: this.#own.id }, "One JSON record a line"), this.#own),
      this.#status,
      this.#list,
    );
    void this.#run();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#run(), SOON);
  }

  #call() {
    return {
      path: "filter-test",
      body: { expression: this.expression.value, topic: this.#topic.value || null, limit: Number(this.#limit.value), samples: samplesOf(this.#own.value) },
    };
  }

  async #run() {
    if (!this.isConnected) return;
    const turn = ++this.#turn;
    if (!this.expression.value.trim()) {
      fill(this.#wrong);
      fill(this.#list);
      return say(this.#status, "Without an expression every record is taken.");
    }
    try {
      const node = parse((await ask(this.#call())).text);
      if (turn !== this.#turn) return;
      fill(this.#wrong);
      this.expression.removeAttribute("aria-invalid");
      const messages = member(node, "messages");
      const tried = (messages?.kind === "array" ? messages.items : []).map(judged);
      fill(this.#list, ...tried.map(({ item }) => item).reverse());
      const percent = Number(print(member(node, "pass_percent") ?? node));
      const fast = print(member(node, "compiled") ?? node) === "true";
      const micros = tried.reduce((sum, { took }) => sum + took, 0) / Math.max(1, tried.length) / 1000;
      const said = `${percent.toFixed(0)} % of ${tried.length} records are taken · ${micros.toFixed(1)} µs each · ${fast ? "runs on the bytes" : "builds each value first"}`;
      say(this.#status, tried.length ? said : "There are no records to try it on: write some of your own.");
    } catch (error) {
      if (turn !== this.#turn) return;
      fill(this.#list);
      say(this.#status, "");
      this.expression.setAttribute("aria-invalid", "true");
      fill(this.#wrong, ...this.#failure(error));
    }
  }

  /** @param {unknown} error */
  #failure(error) {
    const detail = h("p", { class: "problem" }, error instanceof Error ? error.message : String(error));
    if (!(error instanceof Problem) || error.more.field !== "expression" || !error.more.column) return [detail];
    const line = this.expression.value.split("\n")[error.more.line - 1] ?? "";
    return [h("pre", { class: "code", "aria-hidden": "true" }, `${line}\n${" ".repeat(error.more.column - 1)}▲`), detail];
  }
}

customElements.define("filter-test", FilterTest);
