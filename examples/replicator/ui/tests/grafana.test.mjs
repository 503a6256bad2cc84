// Whether the dashboard is what Grafana's Infinity data source documents, and asks for what there is. How to run this:
// support.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { URL_ } from "./support.mjs";

const DASHBOARD = JSON.parse(readFileSync(new URL("../../../../docs/grafana/replicator.json", import.meta.url), "utf8"));
const PLUGIN = "yesoreyeram-infinity-datasource";

const oneOf = (...words) => (value) => words.includes(value);
const isText = (value) => typeof value === "string" && value !== "";

/** A query of the type JSON from an address, with the parser of the backend: what it must have. */
const NEEDED = {
  refId: isText,
  datasource: ({ type, uid }) => type === PLUGIN && uid === "${DS_INFINITY}",
  type: oneOf("json"),
  source: oneOf("url"),
  parser: oneOf("backend"),
  format: oneOf("table", "timeseries", "dataframe", "as-is", "node-graph-nodes", "node-graph-edges"),
  url: isText,
  url_options: ({ method, ...rest }) => ["GET", "POST"].includes(method) && Object.keys(rest).every(oneOf("params", "headers", "data", "body_type", "body_content_type", "body_form")),
  root_selector: (value) => typeof value === "string",
  columns: Array.isArray,
};
/** And what it may have. */
const ALLOWED = { filters: Array.isArray, computed_columns: Array.isArray, filterExpression: isText, summarizeExpression: isText, summarizeBy: isText };
const COLUMN_TYPES = { string: (value) => value === null || typeof value === "string", number: (value) => typeof value === "number", timestamp: (value) => !Number.isNaN(Date.parse(value)), timestamp_epoch: Number.isInteger };

/** What is wrong with a query. */
function faults(query) {
  const known = { ...NEEDED, ...ALLOWED };
  const wrong = Object.keys(query).filter((name) => !(name in known)).map((name) => `nobody knows \`${name}\``);
  for (const [name, fits] of Object.entries(known)) {
    if (!(name in query)) wrong.push(...(name in NEEDED ? [`\`${name}\` is missing`] : []));
    else if (!fits(query[name])) wrong.push(`\`${name}\` is ${JSON.stringify(query[name])}`);
  }
  for (const { selector, text, type, ...rest } of query.columns ?? []) {
    if (!isText(selector) || !isText(text) || !(type in COLUMN_TYPES)) wrong.push(`a column is ${JSON.stringify({ selector, text, type })}`);
    wrong.push(...Object.keys(rest).filter((name) => name !== "timestampFormat").map((name) => `a column has \`${name}\``));
  }
  return wrong;
}

const panels = DASHBOARD.panels.filter(({ type }) => type !== "row");
const queries = panels.flatMap(({ title, targets }) => targets.map((query) => ({ title, query })));

test("Grafana: every query of the dashboard has the documented format of the Infinity data source", () => {
  assert.ok(queries.length >= 6);
  for (const { title, query } of queries) assert.deepEqual(faults(query), [], title);
  // The check finds what is wrong.
  const [{ query }] = queries;
  const { parser: _, ...without } = query;
  const spoilt = [without, { ...query, format: "rows" }, { ...query, columns: [{ selector: "lag", text: "lag", type: "integer" }] }, { ...query, rows: "" }];
  for (const one of spoilt) assert.equal(faults(one).length, 1);
});

test("Grafana: the dashboard is imported with one data source, one address, and panels side by side", () => {
  const [input, ...others] = DASHBOARD.__inputs;
  assert.deepEqual([input.name, input.type, input.pluginId, others], ["DS_INFINITY", "datasource", PLUGIN, []]);
  assert.deepEqual(DASHBOARD.templating.list.map(({ name, type }) => [name, type]), [["url", "textbox"]]);
  const ids = new Set(panels.map(({ id }) => id));
  assert.equal(ids.size, panels.length);
  for (const { title, datasource, gridPos } of panels) {
    assert.deepEqual(datasource, { type: PLUGIN, uid: "${DS_INFINITY}" }, title);
    assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title);
  }
  const cross = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
  for (const [at, one] of panels.entries()) for (const other of panels.slice(at + 1)) assert.ok(!cross(one.gridPos, other.gridPos), `${one.title} and ${other.title}`);
});

test("Grafana: panels with a row for each mapping and worker name the worker; a bar's label is made of texts", () => {
  const wanted = { table: ["worker", "number"], bargauge: ["worker_name", "string"] };
  const shown = panels.filter(({ type }) => type in wanted);
  assert.ok(shown.length >= 4);
  for (const { title, type, targets } of shown) {
    const [selector, kind] = wanted[type];
    for (const { columns } of targets) assert.equal(columns.find((column) => column.selector === selector)?.type, kind, title);
  }
});

test("Grafana: the service answers each query of the dashboard with the columns and types it asks for", async () => {
  for (const { title, query } of queries) {
    assert.ok(query.url.startsWith("${url}/"), title);
    const answer = await fetch(query.url.replace("${url}", URL_.replace(/\/$/, "")), { method: query.url_options.method });
    assert.equal(answer.status, 200, title);
    const rows = await answer.json();
    // Without a selector the answer itself is the list.
    assert.ok(query.root_selector === "" && Array.isArray(rows) && rows.length > 0, title);
    for (const row of rows) {
      for (const { selector, type } of query.columns) assert.ok(selector in row && COLUMN_TYPES[type](row[selector]), `${title}: ${selector} is ${row[selector]}`);
    }
  }
});
