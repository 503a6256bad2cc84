/** A filter, tried on the last records of its topic or on your own, before it is saved. */

import { ask, Problem } from "../api/client.js";
import { member, parse, print, text as textOf } from "../api/json.js";
import { fill, h, say } from "../app/dom.js";
import { mappingAddress } from "../app/route.js";
import { copyAsCurl } from "../components/curl.js";
import { message } from "../components/message-list.js";
import { store } from "../store/store.js";

const SOON = 200;

/** @param {string} text One record a line. */
export const samplesOf = (text) => text.split("\n").filter((line) => line.trim());

/** @param {string} name */
export function filter(name) {
  const rows = store.rowsOf(name);
  const topics = [...new Set(rows.filter((row) => !row.source_is_file).map((row) => row.source_topic_name))];
  const expression = h("textarea", { id: "expression", class: "code", rows: 3, spellcheck: "false", autocomplete: "off", "aria-describedby": "filter-error" });
  expression.value = rows[0]?.valid_jmespath ?? "";
  const topic = h("select", { id: "filter-topic" }, ...topics.map((topic) => h("option", { value: topic }, topic)), h("option", { value: "" }, "only my own"));
  const limit = h("select", { id: "filter-limit" }, ...[20, 50, 100, 200].map((count) => h("option", { value: count }, count)));
  const own = h("textarea", { id: "own", class: "code", rows: 3, spellcheck: "false", placeholder: '{"key": "1", "value": {"country": "IT"}}' });
  const wrong = h("div", { id: "filter-error" });
  const status = h("p", { role: "status" });
  const list = h("ol", { class: "messages" });
  let turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const call = () => ({
    path: "filter-test",
    body: { expression: expression.value, topic: topic.value || null, limit: Number(limit.value), samples: samplesOf(own.value) },
  });
  const run = async () => {
    const mine = ++turn;
    if (!expression.value.trim()) {
      fill(wrong);
      fill(list);
      return say(status, "Without an expression every record is taken.");
    }
    try {
      const node = parse((await ask(call())).text);
      if (mine !== turn) return;
      fill(wrong);
      expression.removeAttribute("aria-invalid");
      const messages = member(node, "messages");
      const tried = messages?.kind === "array" ? messages.items : [];
      let nanos = 0;
      const items = tried.map((one) => {
        const kept = print(member(one, "kept") ?? one) === "true";
        const reason = textOf(member(one, "reason"));
        const took = Number(print(member(one, "nanos") ?? one));
        nanos += took;
        const word = h("span", { class: kept ? "verdict kept" : "verdict" }, reason ? "⚠ no answer" : kept ? "✓ kept" : "– left out");
        const why = [word, h("span", { class: "muted" }, `${(took / 1000).toFixed(1)} µs`)];
        if (reason) why.push(h("span", { class: "problem" }, reason));
        return message(/** @type {import("../api/json.js").Node_} */ (member(one, "message")), why, "judged");
      });
      fill(list, ...items.reverse());
      const percent = Number(print(member(node, "pass_percent") ?? node));
      const fast = print(member(node, "compiled") ?? node) === "true";
      const mean = tried.length ? ` · ${(nanos / tried.length / 1000).toFixed(1)} µs each` : "";
      say(status, tried.length ? `${percent.toFixed(0)} % of ${tried.length} records are taken${mean} · ${fast ? "runs on the bytes" : "builds each value first"}` : "There are no records to try it on: write some of your own below.");
    } catch (error) {
      if (mine !== turn) return;
      fill(list);
      say(status, "");
      expression.setAttribute("aria-invalid", "true");
      fill(wrong, ...failure(error));
    }
  };
  /** @param {unknown} error */
  const failure = (error) => {
    const detail = h("p", { class: "problem" }, error instanceof Error ? error.message : String(error));
    if (!(error instanceof Problem) || error.more.field !== "expression" || !error.more.column) return [detail];
    const line = expression.value.split("\n")[error.more.line - 1] ?? "";
    return [h("pre", { class: "code", "aria-hidden": "true" }, `${line}\n${" ".repeat(error.more.column - 1)}▲`), detail];
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void run(), SOON);
  };
  for (const input of [expression, own]) input.addEventListener("input", soon);
  for (const select of [topic, limit]) select.addEventListener("change", () => void run());
  void run();
  return h(
    "div",
    {},
    h("label", { for: "expression" }, "JMESPath expression on key, value, headers, topic, partition, offset, timestamp"),
    expression,
    wrong,
    h("div", { class: "tools" }, h("label", { for: "filter-topic" }, "Last records of"), topic, h("label", { for: "filter-limit" }, "how many"), limit, h("button", { type: "button", onclick: () => void run() }, "Try again"), copyAsCurl("try this filter", call)),
    h("details", {}, h("summary", {}, "Records of your own"), h("label", { for: "own" }, "One JSON record a line"), own),
    status,
    list,
    store.readOnly ? null : h("p", { class: "muted" }, "Nothing is saved here. Put it into valid_jmespath under ", h("a", { href: mappingAddress(name, "edit"), "data-in": true }, "Edit"), "."),
  );
}
