// Tests of the page in a real browser, each named by the point it shows. By hand:
//
//   cargo run -p replicator &                       # the demonstration, on port 8000
//   npm install --prefix /tmp/browser playwright-core
//   NODE_PATH=/tmp/browser/node_modules node --test examples/replicator/ui/tests/browser.mjs
//
// REPLICATOR_URL is another address; `chromium` is taken from the PATH (or CHROMIUM); SHOTS is a folder for
// screenshots. Types are checked with `tsc --noEmit -p examples/replicator/ui`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, beforeEach, afterEach, test } from "node:test";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const URL_ = process.env.REPLICATOR_URL ?? "http://127.0.0.1:8000/";
const CUSTOMERS = "customers with the ids of staging";
const ITALY = "large orders from Italy";

let browser;
let context;
let page;
let wrong;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});
after(() => browser.close());

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(10_000);
  page = await context.newPage();
  wrong = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  // A refused request is told by the page itself; what remains is a fault of the page, or of its policy.
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) wrong.push(message.text());
  });
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(wrong, []);
});

const open = async (query = "") => {
  await page.goto(URL_ + query);
  await page.locator("replicator-app h1:visible").first().waitFor();
};
const row = (name) => page.locator("tr", { has: page.getByRole("link", { name, exact: true }) });
const shot = async (name) => process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true });
const api = async (path, body, method = "POST") => {
  const options = body === undefined ? {} : { method, headers: { "content-type": "application/json", "if-match": "*" }, body: JSON.stringify(body) };
  const answer = await fetch(new URL(`api/${path}`, URL_), options);
  return { status: answer.status, body: await answer.json() };
};
const change = (path, edit) =>
  page.route(`**/api/${path}`, async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    edit(json);
    await route.fulfill({ response: answer, json });
  });

test("U1 U4: one row per mapping, with state, rates, lag, trend and counts", async () => {
  await open();
  await row(CUSTOMERS).locator("state-badge", { hasText: "running" }).waitFor();
  assert.equal(await page.locator("tbody tr:not(.group)").count(), 5);
  assert.match(await row(CUSTOMERS).textContent(), /topic customers → topic customers/);
  assert.match(await row("a recorded morning").textContent(), /file morning → topic morning/);
  assert.ok(await row(CUSTOMERS).locator("state-badge path").getAttribute("d"));
  const words = await row("orders to orders").getByRole("img").getAttribute("aria-label");
  assert.match(words, /a second, at most .* ticks/);
  await shot("table");
});

test("U2: numbers change by themselves, rows are not made anew, and an outage is told and ends", async () => {
  await open();
  const line = row("orders to orders");
  await line.locator("state-badge", { hasText: "running" }).waitFor();
  await line.evaluate((element) => (element.dataset.mine = "yes"));
  const cell = row("a tenth of all orders").locator("td.number").nth(3);
  const before = await cell.textContent();
  await page.waitForFunction(([node, before]) => node.textContent !== before, [await cell.elementHandle(), before]);
  assert.equal(await line.getAttribute("data-mine"), "yes");
  await page.route("**/api/stats*", (route) => route.abort());
  await page.getByText(/^Stale since \d\d:/).waitFor();
  await shot("stale");
  await page.unroute("**/api/stats*");
  await page.getByText(/^Stale since/).waitFor({ state: "hidden", timeout: 20_000 });
});

test("U3: search, state, order and closed groups are in the address", async () => {
  await open();
  await page.keyboard.press("/");
  await page.keyboard.type("ital");
  await page.getByText("1 of 5 rows").waitFor();
  await page.getByRole("searchbox").fill("");
  await page.getByRole("button", { name: "Lag" }).click();
  await page.getByRole("button", { name: "Lag" }).click();
  assert.equal(await page.locator("thead th", { hasText: "Lag" }).getAttribute("aria-sort"), "descending");
  await page.locator("button.group", { hasText: "staging" }).click();
  await page.reload();
  await row(CUSTOMERS).waitFor();
  assert.equal(await row(ITALY).count(), 0);
  assert.equal(new URL(page.url()).searchParams.get("sort"), "-lag");
  await page.locator("button.group", { hasText: "staging" }).click();
  await row(ITALY).waitFor();
  await page.getByLabel("State", { exact: true }).selectOption("error");
  await page.getByText("No mapping fits.").waitFor();
});

test("U5: totals, and the configuration with its comment", async () => {
  await open();
  const facts = page.locator("dl.facts");
  await facts.getByText(/ago$/).waitFor();
  assert.match(await facts.textContent(), /Records\/s.*Bytes\/s.*Lag.*In flight.*Workers1 of 1.*“/s);
});

test("U14: a switch asks if records wait, and can be undone", async () => {
  await open();
  const toggle = page.getByRole("switch", { name: "Replicate a recorded morning" });
  await toggle.focus();
  await page.keyboard.press("Space");
  await row("a recorded morning").locator("state-badge", { hasText: "disabled" }).waitFor();
  await shot("undo");
  await page.getByRole("button", { name: "Undo" }).click();
  await row("a recorded morning").locator("state-badge", { hasText: "running" }).waitFor();
  await change("stats*", (stats) => stats[0].mappings.forEach((row) => (row.lag = 1258)));
  await row(ITALY).getByText("1,258").waitFor();
  await page.getByRole("switch", { name: `Replicate ${ITALY}` }).click();
  await page.getByRole("dialog").getByText(/1,258 records wait/).waitFor();
  await shot("ask");
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("switch", { name: `Replicate ${ITALY}` }).getAttribute("aria-checked"), "true");
});

test("U13: a switch on a configuration that somebody else changed is refused and told", async () => {
  await open();
  await row(ITALY).locator("state-badge", { hasText: "running" }).waitFor();
  await change("service", (service) => (service.version = "0000000000000000"));
  await page.waitForResponse("**/api/service");
  await page.waitForResponse("**/api/service");
  await page.getByRole("switch", { name: "Replicate a recorded morning" }).click();
  await page.getByText(/somebody else has changed/).waitFor();
});

test("U23: light, dark and auto without a flash, and no wider than 320 pixels", async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await open();
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await ground();
  await row(ITALY).waitFor();
  await shot("table-dark");
  await page.getByLabel("Theme").selectOption("light");
  assert.notEqual(await ground(), dark);
  await page.reload();
  assert.notEqual(await ground(), dark);
  await page.getByLabel("Theme").selectOption("auto");
  assert.equal(await ground(), dark);
  await page.setViewportSize({ width: 320, height: 700 });
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320);
  await shot("table-320");
});

test("U24: a strict policy, nothing from elsewhere, little to transfer", async () => {
  let size = 0;
  page.on("request", (request) => assert.equal(new URL(request.url()).origin, new URL(URL_).origin));
  page.on("response", async (answer) => {
    if (answer.url().includes("/ui/")) size += (await answer.body()).length;
  });
  const answer = await page.goto(URL_);
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  await row(ITALY).waitFor();
  await page.waitForLoadState("load");
  assert.ok(size > 0 && size < 150_000, `${size} bytes`);
});

test("U25: the environment is unmistakable, and read-only hides what changes", async () => {
  await change("service", (service) => Object.assign(service, { read_only: true, environment: "PRODUCTION", colour: "#c00" }));
  await open();
  await page.getByText("PRODUCTION", { exact: true }).waitFor();
  await page.getByText("read-only", { exact: true }).waitFor();
  assert.ok(await page.getByRole("switch").first().isDisabled());
  await shot("read-only");
});

test("U27: without mappings the page says how to begin", async () => {
  await change("stats*", (stats) => (stats[0].mappings = []));
  await open();
  await page.getByRole("heading", { name: "No mappings yet" }).waitFor();
});

test("Texts are shown and never run, wherever they come from", async () => {
  const evil = `<img src=x onerror="window.ran=1"><script>window.ran=1</script>`;
  await change("stats*", (stats) =>
    stats[0].mappings.forEach((row, at) => Object.assign(row, { name: evil + at, group: evil, source_topic_name: evil, detail: evil, target_service_consumer_group: evil })),
  );
  await change("service", (service) => Object.assign(service, { environment: evil, comment: evil, colour: `red;}*{display:none`, refused: [{ severity: "error", origin: evil, message: evil }] }));
  await open();
  await page.getByRole("link", { name: `${evil}0`, exact: true }).waitFor();
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.equal(await page.locator("img").count(), 0);
});

test("U15 U16: the page of a mapping has charts of its past, its partitions and its fields", async () => {
  await open();
  await page.getByRole("link", { name: CUSTOMERS }).click();
  await page.getByRole("heading", { name: CUSTOMERS }).waitFor();
  await page.getByText(/Records a second from .* now in/).waitFor({ state: "attached" });
  await page.getByRole("region", { name: "Partitions" }).getByRole("rowheader", { name: "customers" }).nth(2).waitFor();
  await page.getByText('"identities"').waitFor();
  await shot("overview");
  await page.getByLabel("Range").selectOption("60");
  assert.equal(new URL(page.url()).searchParams.get("range"), "60");
  await page.goBack();
  await row(CUSTOMERS).waitFor();
});

test("U15: what cannot be read is told where it belongs, and an error of a mapping is written out", async () => {
  await page.route("**/history*", (route) => route.abort());
  await change("stats*", (stats) => stats[0].mappings.forEach((row) => Object.assign(row, { state: "error", detail: "the topic `x` has no partition 7" })));
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.getByText(/Cannot be read: The service does not answer/).waitFor();
  await page.getByText("the topic `x` has no partition 7").waitFor();
  await shot("error");
});

test("U17: records of source and target side by side, filtered, and live with a pause", async () => {
  await open(`?mapping=${encodeURIComponent(ITALY)}&tab=messages`);
  const panes = page.locator("message-pane");
  await panes.nth(1).getByText(/20 shown/).waitFor();
  await panes.nth(0).getByText(/20 shown/).waitFor();
  await page.getByLabel("where").fill("value.country == 'nowhere'");
  await page.getByRole("button", { name: "Read" }).click();
  await panes.nth(0).getByText(/0 shown · 20 scanned/).waitFor();
  await page.getByLabel("where").fill("value.country ==");
  await page.keyboard.press("Enter");
  await panes.nth(0).getByText(/Cannot be read: line 1, column/).waitFor();
  await page.getByLabel("where").fill("");
  await page.getByLabel("Show").selectOption("live");
  await page.getByRole("button", { name: "Read" }).click();
  await panes.nth(0).getByText(/Live: [1-9]/).waitFor();
  await panes.nth(0).getByRole("button", { name: "Pause" }).click();
  await panes.nth(0).getByText(/\(paused\)/).waitFor();
  await panes.nth(0).getByRole("button", { name: "Stop" }).click();
});

test("U18: 64-bit numbers and members of the same name are shown as they were written", async () => {
  const line = `{"timestamp":1,"key":"k","value":{"id":9007199254740993,"id":-0.10,"x":1e400},"partition":0,"offset":9223372036854775806,"topic":"t"}`;
  await page.route("**/api/messages*", (route) =>
    route.fulfill({ contentType: "application/json", body: `{"messages":[${line}],"scanned":1,"filter_errors":0,"truncated":false,"timed_out":true,"elapsed_ms":1}` }),
  );
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}&tab=messages`);
  const pane = page.locator("message-pane").first();
  await pane.getByText(/these are not all/).waitFor();
  await pane.locator("summary").click();
  const shown = await pane.locator("pre").textContent();
  assert.equal(shown, `{\n  "id": 9007199254740993,\n  "id": -0.10,\n  "x": 1e400\n}`);
  assert.match(await pane.textContent(), /0:9223372036854775806/);
});

test("U22: keys open, close and can be switched off", async () => {
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.getByRole("heading", { name: CUSTOMERS }).waitFor();
  await page.keyboard.press("Escape");
  await row(CUSTOMERS).waitFor();
  await page.keyboard.press("?");
  await page.getByLabel("Single keys do something").click();
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  assert.equal(await page.getByRole("dialog").count(), 0);
});

test("U26: an action is copied as curl", async () => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.getByRole("button", { name: "Copy as curl: switching this mapping" }).click();
  await page.getByText("Copied as curl.").waitFor();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(text, /^curl -X POST -H 'If-Match: "[0-9a-f]{16}"' .*\/api\/mappings\/customers%20with%20the%20ids%20of%20staging\/disable'$/);
});
