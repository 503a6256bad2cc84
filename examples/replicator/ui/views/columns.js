/** The columns of the table of mappings, and how they sort. */

import { h } from "../app/dom.js";
import { count, rate } from "../app/text.js";

/** @typedef {import("../api/types.js").Row} Row */

/**
 * @typedef {object} Column
 * @property {string} id
 * @property {string} title
 * @property {string} [hint]
 * @property {boolean} [number]
 * @property {(row: Row) => string | number} [by] What it sorts by; none: it does not.
 */

/** @param {Row} row */
export const problems = (row) =>
  Number(row.error_count) + Number(row.decode_error_count) + Number(row.held_count) + Number(row.lost_count);

/** @type {Column[]} */
export const COLUMNS = [
  { id: "on", title: "On", by: (row) => (row.enabled ? 0 : 1) },
  { id: "name", title: "Mapping", by: (row) => row.name.toLowerCase() },
  { id: "state", title: "State", by: (row) => row.state },
  { id: "topics", title: "Source → target", by: (row) => row.source_topic_name },
  { id: "in", title: "In/s", hint: "Records read a second", number: true, by: (row) => -row.rate_in },
  { id: "out", title: "Out/s", hint: "Records acknowledged by the target a second", number: true, by: (row) => -row.rate_out },
  { id: "trend", title: "Last minute", hint: "Records out a second, tick by tick" },
  { id: "lag", title: "Lag", hint: "Records that wait at the source", number: true, by: (row) => -Number(row.lag) },
  { id: "filtered", title: "Filtered", hint: "Left out by filter or sample", number: true, by: (row) => -Number(row.filtered_count) },
  { id: "dropped", title: "Dropped", hint: "Dropped by key:partition", number: true, by: (row) => -Number(row.dropped_count) },
  { id: "errors", title: "Errors", hint: "Not decoded, no answer of the filter, no such partition, lost", number: true, by: (row) => -problems(row) },
  { id: "parts", title: "Partitions", hint: "Partitions of the source that are read", number: true, by: (row) => -row.assignments.length },
  { id: "age", title: "Last", hint: "Since the last record was read", number: true, by: (row) => -(row.last_message_at ?? 0) },
];

/** @param {Row[]} rows */
export function subTotal(rows) {
  const sum = (/** @type {(row: Row) => number} */ value) => rows.reduce((all, row) => all + Number(value(row)), 0);
  const off = rows.filter((row) => !row.enabled).length;
  const bad = rows.filter((row) => row.state === "error").length;
  return [
    `${rows.length} ${rows.length === 1 ? "row" : "rows"}`,
    off > 0 && `${off} off`,
    bad > 0 && `${bad} with errors`,
    `${rate(sum((row) => row.rate_out))}/s out`,
    `lag ${count(sum((row) => row.lag))}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/**
 * Where records come from or go to.
 * @param {string} name
 * @param {boolean} file
 */
export const place = (name, file) => h("span", { class: "place" }, h("span", { class: "kind" }, file ? "file" : "topic"), " ", h("span", { class: "mono" }, name));
