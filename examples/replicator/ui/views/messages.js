/** What stands in the source and in the target, side by side. */

import { h } from "../app/dom.js";
import { go, param } from "../app/route.js";
import { MessagePane } from "../components/message-pane.js";
import { store } from "../store/store.js";

const MODES = {
  newest: "newest",
  live: "live",
  earliest: "from the beginning",
  offset: "from offset",
  timestamp: "from time",
};

/** A field with its label, which stay together. @param {...Node} parts */
const pair = (...parts) => h("span", { class: "pair" }, ...parts);

/** @param {string} name */
export function messages(name) {
  const rows = store.rowsOf(name);
  const pairs = h("select", { id: "pair" }, ...rows.map((row, at) => h("option", { value: at }, `${row.source_topic_name} → ${row.target_topic_name}`)));
  const mode = h("select", { id: "mode" }, ...Object.entries(MODES).map(([value, words]) => h("option", { value }, words)));
  mode.value = param("from") in MODES ? param("from") : "newest";
  const start = h("input", { id: "start", value: param("at") });
  const startLabel = h("label", { for: "start" }, "offset");
  const begin = pair(startLabel, start);
  const partition = h("input", { id: "partition", size: 3, inputmode: "numeric", pattern: "[0-9]*", value: param("partition"), placeholder: "all" });
  const limit = h("select", { id: "limit" }, ...[20, 50, 100, 500].map((count) => h("option", { value: count }, count)));
  const filter = h("input", { id: "only", size: 28, class: "mono", value: param("only"), placeholder: "value.country == 'IT'", spellcheck: "false" });
  const panes = h("div", { class: "panes" });
  /** @type {MessagePane[]} */
  let shown = [];
  const build = () => {
    const row = rows[Number(pairs.value)] ?? rows[0];
    shown = [];
    const side = (/** @type {string} */ cluster, /** @type {string} */ topic, /** @type {boolean} */ file) => {
      if (file) return h("div", {}, h("h3", {}, `${cluster} `, h("span", { class: "mono" }, topic)), h("p", { class: "muted" }, "This is a file; its records are not shown here."));
      const pane = new MessagePane(cluster, topic);
      shown.push(pane);
      return pane;
    };
    if (row) panes.replaceChildren(side("source", row.source_topic_name, row.source_is_file), side("target", row.target_topic_name, row.target_is_file));
  };
  const form = () => {
    const needs = mode.value === "offset" || mode.value === "timestamp";
    begin.hidden = !needs;
    startLabel.textContent = mode.value === "offset" ? "offset" : "ms or RFC 3339";
  };
  const load = () => {
    const from = { newest: `-${limit.value}`, live: "live", earliest: "earliest", offset: `offset:${start.value.trim()}`, timestamp: `timestamp:${start.value.trim()}` }[mode.value] ?? "latest";
    go({ from: mode.value === "newest" ? null : mode.value, at: begin.hidden ? null : start.value, only: filter.value, partition: partition.value.trim() });
    for (const pane of shown) void pane.load({ from, limit: Number(limit.value), filter: filter.value, partition: partition.value.trim() });
  };
  pairs.addEventListener("change", () => (build(), load()));
  mode.addEventListener("change", form);
  form();
  build();
  queueMicrotask(load);
  return h(
    "div",
    {},
    h(
      "form",
      { class: "tools", onsubmit: (/** @type {Event} */ event) => (event.preventDefault(), load()) },
      rows.length > 1 && pair(h("label", { for: "pair" }, "Topics"), pairs),
      pair(h("label", { for: "mode" }, "Show"), mode),
      begin,
      pair(h("label", { for: "partition" }, "partition"), partition),
      pair(h("label", { for: "limit" }, "at most"), limit),
      pair(h("label", { for: "only" }, "where"), filter),
      h("button", { class: "primary" }, "Read"),
    ),
    panes,
  );
}
