/** Value mappings of a source topic: tried on its last records, and saved. */

import { ask, part } from "../api/client.js";
import { member, parse, pretty, print, text as textOf } from "../api/json.js";
import { fill, h, say } from "../app/dom.js";
import { diff } from "../components/diff.js";
import { copyAsCurl } from "../components/curl.js";
import { SavePanel } from "../components/save-panel.js";
import { store } from "../store/store.js";
import { samplesOf } from "../components/filter-test.js";

/** @typedef {import("../api/json.js").Node_} Node_ */

const SOON = 200;

/** @param {Node_ | undefined} node */
const raw = (node) => (node ? print(node) : "null");

/** @param {Node_} one */
function changed(one) {
  const before = member(one, "before");
  const [key, value] = [member(before, "key"), member(before, "value")];
  const reason = textOf(member(one, "reason"));
  const partition = textOf(member(one, "partition")) ?? "";
  const dropped = partition.startsWith("dropped");
  const old = `key ${textOf(key) ?? raw(key)}\nvalue ${pretty(raw(value))}`;
  const now = dropped || reason ? old : `key ${textOf(member(one, "key")) ?? "null"}\nvalue ${pretty(textOf(member(one, "value")) ?? "null")}`;
  const unmapped = raw(member(one, "unmapped"));
  const same = old === now;
  return h(
    "li",
    { class: "message" },
    h(
      "p",
      {},
      h("span", { class: "mono muted" }, `${raw(member(before, "partition"))}:${raw(member(before, "offset"))} `),
      h("span", { class: dropped || reason || same ? "verdict" : "verdict kept" }, reason ? "⚠ not decoded" : dropped ? "✕ dropped (-1000)" : same ? "= unchanged" : "✎ changed"),
      dropped || reason ? "" : ` partition: ${partition}`,
      unmapped !== "0" && !dropped ? ` · in no table: ${unmapped}` : "",
    ),
    reason ? h("p", { class: "problem" }, reason) : null,
    reason || same ? h("p", { class: "mono whole" }, h("strong", {}, textOf(key) ?? raw(key)), ` ${raw(value)}`) : diff(old, now),
  );
}

/** @param {string} name */
export function values(name) {
  const topics = [...new Set(store.rowsOf(name).map((row) => row.source_topic_name))];
  const files = new Set(store.rowsOf(name).filter((row) => row.source_is_file).map((row) => row.source_topic_name));
  const topic = h("select", { id: "values-topic" }, ...topics.map((topic) => h("option", { value: topic }, topic)));
  const place = h("div", {});
  const build = () => fill(place, one(topic.value, files.has(topic.value)));
  topic.addEventListener("change", build);
  build();
  return h("div", {}, topics.length > 1 ? h("div", { class: "tools" }, h("label", { for: "values-topic" }, "Source"), topic) : null, place);
}

/**
 * @param {string} topic
 * @param {boolean} isFile
 */
function one(topic, isFile) {
  const area = h("textarea", { id: "values", class: "code", rows: 12, spellcheck: "false", autocomplete: "off", readonly: store.readOnly });
  const own = h("textarea", { id: "values-own", class: "code", rows: 3, spellcheck: "false", placeholder: '{"key": "1", "value": {"id": 1}}' });
  const status = h("p", { class: "muted", role: "status" });
  const list = h("ol", { class: "messages" });
  let turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const call = () => ({ path: "value-mapping-preview", body: { text: area.value || "{}", topic: isFile ? null : topic, limit: 20, samples: samplesOf(own.value) } });
  const run = async () => {
    const mine = ++turn;
    try {
      const node = parse((await ask(call())).text);
      if (mine !== turn) return;
      const items = node.kind === "array" ? node.items : [];
      say(status, items.length ? `The last ${items.length} records, the newest first.` : "There are no records to try it on: write some of your own below.");
      fill(list, ...items.reverse().map(changed));
    } catch (error) {
      if (mine !== turn) return;
      fill(list);
      say(status, error instanceof Error ? error.message : String(error));
    }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void run(), SOON);
  };
  for (const input of [area, own]) input.addEventListener("input", soon);
  const load = async () => {
    const answer = await ask({ path: "topic-mappings" });
    const found = textOf(member(parse(answer.text), topic)) ?? "";
    return { text: found, version: answer.version };
  };
  const panel = new SavePanel({
    area,
    load,
    draft: (text) => ({ topic_mappings: { [topic]: text } }),
    call: (text, comment) => ({ method: "PUT", path: `topic-mappings/${part(topic)}`, body: { text, comment } }),
  });
  return h(
    "div",
    { class: "panes" },
    h(
      "div",
      {},
      h("label", { for: "values" }, `Tables for records of ${topic}: key, value.…, key:partition (-1000 drops)`),
      area,
      panel,
    ),
    h(
      "div",
      {},
      h("h3", {}, "Before and after"),
      h("div", { class: "tools" }, h("button", { type: "button", onclick: () => void run() }, "Try again"), copyAsCurl("try these value mappings", call)),
      h("details", {}, h("summary", {}, "Records of your own"), h("label", { for: "values-own" }, "One JSON record a line"), own),
      status,
      list,
    ),
  );
}
