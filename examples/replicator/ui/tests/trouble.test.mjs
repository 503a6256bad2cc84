// What is wrong is said where it belongs, and the page goes on: bad files, dead clusters, secrets, a prefix, the first
// mapping. How to run this: support.mjs.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { CUSTOMERS, ITALY, api, change, open, page, row, service, shot } from "./support.mjs";

/** A folder with a configuration, which is gone with the test. */
function folder(t, mappings) {
  const at = mkdtempSync(join(tmpdir(), "trouble-"));
  writeFileSync(join(at, "mappings.json"), JSON.stringify({ mappings }));
  t.after(() => rmSync(at, { recursive: true, force: true }));
  return at;
}
const DEAD = "127.0.0.1:9";
const mapping = (name, more = {}) => ({ name, source_topic_name: "orders", target_topic_name: "orders", ...more });
const VIEWS = ["", "&tab=messages", "&tab=filter", "&tab=values", "&tab=edit"];

test("Bad input: a bad mapping file is shown with line and column while the last good one keeps running", async (t) => {
  const own = await service(t);
  const file = join(own.folder(), "mappings.json");
  const good = readFileSync(file, "utf8");
  await open("", own.url);
  await row(ITALY).locator("state-badge", { hasText: "running" }).waitFor();
  writeFileSync(file, '{\n  "mappings": [\n    {"name" 1}\n  ]\n}');
  const told = page.getByRole("alert").getByText(/mappings\.json, line 3, column 13: /);
  await told.waitFor();
  await page.getByText(/the configuration before them keeps running/).waitFor();
  // It goes on, and still copies.
  const cell = row("a tenth of all orders").locator("td.number").nth(3);
  const before = await cell.textContent();
  await page.waitForFunction(([node, before]) => node.textContent !== before, [await cell.elementHandle(), before]);
  await row(ITALY).locator("state-badge", { hasText: "running" }).waitFor();
  await shot("bad-file");
  writeFileSync(file, good);
  await told.waitFor({ state: "hidden" });
});

test("Bad input: each error of the form stands at its field with why and what would be right, as the API says it", async () => {
  /** Field, what is typed, and what is said there. */
  const TABLE = [
    ["Name", "name", "", /name/],
    ["Target topic", "target_topic_name", "no topic!", /`no topic!` is no topic.*(letters|a-z)/i],
    ["Filter (JMESPath)", "valid_jmespath", "value.country ==", /column 17/],
    ["Share in percent", "sample_percent", "101", /101 is above 100/],
    ["More pairs", "topics", '[{"source": 1}]', /string|text/],
    ["Tables of its own", "value_mappings", '{"valu.x": {}}', /valu/],
  ];
  for (const [label, field, typed, said] of TABLE) {
    await open("?new=1");
    await page.getByText("Nothing is changed.").waitFor();
    for (const [name, value] of [["Name", "x"], ["Source topic", "orders"], ["Target topic", "orders"]]) await page.getByLabel(name, { exact: true }).fill(value);
    await page.getByText("It can be saved.", { exact: true }).waitFor();
    const control = page.getByLabel(label, { exact: true });
    await control.fill(typed);
    const wrong = page.locator(".field", { has: control }).locator(".wrong", { hasText: said });
    await wrong.waitFor();
    assert.equal(await control.getAttribute("aria-invalid"), "true", label);
    assert.ok(await page.getByRole("button", { name: "Save", exact: true }).isDisabled(), label);
    // The API says the very same.
    const record = { ...mapping("x"), enabled: false, group: "", [field]: field === "sample_percent" ? Number(typed) : /^[[{]/.test(typed) ? JSON.parse(typed) : typed };
    const { body } = await api("validate", { mappings: JSON.stringify([record]) });
    assert.ok(!body.valid && body.issues.some(({ message }) => message === null || said.test(message)), `${label}: ${JSON.stringify(body.issues)}`);
    await control.fill("");
    await page.getByRole("link", { name: "← All mappings" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  }
});

test("Bad input, U25: clusters that are dead from the start are a state of their rows, no view is blank, and no secret is told", async (t) => {
  const SECRET = "hunter2-of-the-cluster";
  const side = (name) => ({ [`KAFKA_${name}_SERVER_URL`]: DEAD, [`KAFKA_${name}_SASL_MECHANISM`]: "PLAIN", [`KAFKA_${name}_SASL_USERNAME`]: "replicator", [`KAFKA_${name}_SASL_PASSWORD`]: SECRET });
  const seen = [];
  page.on("response", async (answer) => seen.push(await answer.text().catch(() => "")));
  const at = folder(t, [mapping("from a dead cluster"), mapping("switched off", { enabled: false })]);
  const own = await service(t, { ...side("SOURCE"), ...side("TARGET"), KAFKA_SOURCE_GROUP_NAME: "copies", FILE_DATA_PATH: at, CACULATE_STATS_EVERY_SECONDS: "1" });
  await open("", own.url);
  await row("from a dead cluster").locator("state-badge", { hasText: /waiting|error/ }).waitFor({ timeout: 60_000 });
  await row("switched off").locator("state-badge", { hasText: "disabled" }).waitFor();
  await shot("dead-cluster");
  for (const tab of VIEWS) {
    await open(`?mapping=${encodeURIComponent("from a dead cluster")}${tab}`, own.url);
    await page.getByRole("heading", { name: "from a dead cluster", level: 1 }).waitFor();
    await page.waitForFunction(() => document.querySelector("main").innerText.length > 200);
    seen.push(await page.content());
  }
  // Why is written out, and what cannot be asked says so.
  await open(`?mapping=${encodeURIComponent("from a dead cluster")}`, own.url);
  await page.locator(".card .note, .card .problem").first().waitFor();
  await open(`?mapping=${encodeURIComponent("from a dead cluster")}&tab=messages`, own.url);
  await page.locator("message-pane").first().getByText(/Cannot be read: |the time was over before the end/).waitFor({ timeout: 60_000 });
  await open(`?mapping=${encodeURIComponent("from a dead cluster")}&tab=edit`, own.url);
  await page.getByText("The source cluster cannot be asked for its topics.").waitFor({ timeout: 60_000 });
  for (const path of ["openapi.json", "api/service", "api/stats?all=1"]) seen.push(await (await fetch(own.url + path)).text());
  assert.ok(seen.length > 20 && seen.some((text) => text.includes("from a dead cluster")));
  assert.ok(!seen.some((text) => text.includes(SECRET)));
});

test("Bad input: a source cluster that dies while a mapping runs is a state of its row, and the page goes on", async (t) => {
  const clusters = await service(t);
  const at = folder(t, [mapping("from there", { target_topic_name: "tenth" })]);
  const own = await service(t, {
    KAFKA_SOURCE_SERVER_URL: clusters.cluster("source"), KAFKA_TARGET_SERVER_URL: clusters.cluster("target"),
    KAFKA_SOURCE_GROUP_NAME: "copies", FILE_DATA_PATH: at, CACULATE_STATS_EVERY_SECONDS: "1",
  });
  await open("", own.url);
  await row("from there").locator("state-badge", { hasText: /running|idle/ }).waitFor({ timeout: 60_000 });
  await clusters.stop();
  await row("from there").locator("state-badge", { hasText: /waiting|error/ }).waitFor({ timeout: 90_000 });
  await shot("died-cluster");
  await row("from there").getByRole("link").click();
  await page.locator(".card .note, .card .problem").getByText(/does not answer|acknowledged nothing/).first().waitFor();
});

test("Bad input: a service that has not taken its mappings yet says so, and does not ask for the first one", async () => {
  await change("stats*", (stats) => (stats[0].mappings = []));
  await change("service", (service) => (service.version = ""));
  await open();
  await page.getByText(/^The service starts: it has not taken its mappings yet/).waitFor();
  assert.ok(await page.getByRole("heading", { name: "No mappings yet" }).isHidden());
});

test("U24: the page works below a prefix: links, addresses that are opened directly, and calls", async (t) => {
  const own = await service(t, { API_PREFIX: "/kafka/replicator" });
  const url = `${own.url}kafka/replicator`;
  const outside = [];
  page.on("request", (request) => request.url().startsWith(url) || outside.push(request.url()));
  await open("", url);
  await row(ITALY).locator("state-badge", { hasText: "running" }).waitFor();
  await row(CUSTOMERS).getByRole("link").click();
  await page.locator("line-chart").first().waitFor();
  await page.reload();
  await page.getByRole("heading", { name: CUSTOMERS }).waitFor();
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator("state-badge", { hasText: "paused" }).waitFor();
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  await row(CUSTOMERS).locator("state-badge", { hasText: "paused" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/kafka/replicator");
  assert.deepEqual(outside, []);
});

test("U27: an empty service leads to the first mapping, which then runs", async (t) => {
  const own = await service(t);
  writeFileSync(join(own.folder(), "mappings.json"), '{ "mappings": [] }');
  await open("", own.url);
  await page.getByRole("heading", { name: "No mappings yet" }).waitFor();
  await shot("first");
  await page.getByRole("link", { name: "Add the first one here" }).click();
  await page.getByText("Nothing is changed.").waitFor();
  await page.getByText("It begins switched off").waitFor();
  await page.locator("#form-source option[value=orders]").waitFor({ state: "attached" });
  for (const [name, value] of [["Name", "the first"], ["Source topic", "orders"], ["Target topic", "orders"]]) await page.getByLabel(name, { exact: true }).fill(value);
  await page.getByLabel("Enabled").check();
  await page.getByText(/added “the first”.*starts at the latest record/).waitFor();
  await page.getByText("It can be saved.", { exact: true }).waitFor();
  await page.getByLabel("Comment").fill("the first mapping");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "the first" }).waitFor();
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  await row("the first").locator("state-badge", { hasText: "running" }).waitFor();
});
