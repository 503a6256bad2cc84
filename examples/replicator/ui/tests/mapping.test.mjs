// The page of a mapping. How to run this: support.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CUSTOMERS, ITALY, URL_, api, change, context, open, page, row, shot } from "./support.mjs";

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

test("U16: each partition tells what is kept, where it is, what waits, what is in flight, and who reads it", async () => {
  const asked = (await api(`mappings/${encodeURIComponent(CUSTOMERS)}/partitions`)).body;
  assert.equal(asked.length, 3);
  for (const { position, first, end, lag, in_flight, worker } of asked) assert.ok(first === 0 && position <= end && lag >= 0 && in_flight >= 0 && worker === 0);
  await page.route("**/api/mappings/*/partitions", (route) => route.fulfill({ json: [{ source: "customers", target: "customers", partition: 7, first: 1200, position: 9007, end: 10265, lag: 1258, in_flight: 42, worker: 1 }] }));
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  const table = page.getByRole("region", { name: "Partitions" });
  await table.getByRole("row").nth(1).waitFor();
  assert.deepEqual(await table.getByRole("columnheader").allTextContents(), ["Topic", "Partition", "First kept", "Position", "End", "Lag", "In flight", "Worker"]);
  assert.deepEqual(await table.getByRole("row").nth(1).locator("th, td").allTextContents(), ["customers", "7", "1,200", "9,007", "10,265", "1,258", "42", "1"]);
});

test("U15: charts have room while they load, say when there is nothing yet, and come back after an error", async () => {
  let answer;
  const held = new Promise((done) => (answer = done));
  let how = "empty";
  await page.route("**/api/**/history*", async (route) => {
    await held;
    if (how === "empty") return route.fulfill({ json: [] });
    return how === "broken" ? route.abort() : route.continue();
  });
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.locator("figure.skeleton").nth(3).waitFor();
  answer();
  await page.getByText(/Nothing was measured yet/).waitFor();
  assert.equal(await page.locator("figure.skeleton").count(), 0);
  how = "broken";
  await page.getByText(/Cannot be read: .* It is tried again in a few seconds/).waitFor();
  how = "whole";
  await page.locator("line-chart").nth(3).waitFor();
  await page.getByText(/Cannot be read/).waitFor({ state: "detached" });
  assert.deepEqual(await page.getByLabel("Range").locator("option").allTextContents(), ["5 minutes", "1 hour", "6 hours", "24 hours"]);
  assert.deepEqual(await page.locator("line-chart strong").allTextContents(), ["Records a second", "Lag, records", "Age when handled, ms", "Errors so far"]);
});

test("U15: what cannot be read is told where it belongs, and an error of a mapping is written out", async () => {
  await page.route("**/api/**/history*", (route) => route.abort());
  await change("stats*", (stats) => stats[0].mappings.forEach((row) => Object.assign(row, { state: "error", detail: "the topic `x` has no partition 7" })));
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.getByText(/Cannot be read: The service does not answer/).waitFor();
  await page.getByText("the topic `x` has no partition 7").waitFor();
  await shot("error");
});

test("U17: records of source and target side by side, filtered, and live with a pause", async () => {
  await open(`?mapping=${encodeURIComponent(ITALY)}&tab=messages`);
  const panes = page.locator("message-pane");
  await panes.nth(1).getByText(/[1-9]\d* shown/).waitFor();
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

test("U17: every start is asked for as it is chosen, a question is stopped, and what it cost is told", async () => {
  const asked = [];
  let hold = false;
  await page.route("**/api/messages*", async (route) => {
    asked.push(Object.fromEntries(new URL(route.request().url()).searchParams));
    if (!hold) await route.continue();
  });
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}&tab=messages`);
  const pane = page.locator("message-pane").first();
  await pane.getByText(/20 shown · 20 scanned · \d+ ms · [\d.]+ k?B/).waitFor();
  const read = async (mode, start) => {
    await page.getByLabel("Show").selectOption(mode);
    if (start) await page.getByLabel(mode === "offset" ? "offset" : "ms or RFC 3339").fill(start);
    asked.length = 0;
    await page.getByRole("button", { name: "Read" }).click();
    await pane.getByText(/\d+ shown|Cannot be read/).waitFor();
    return asked.find(({ cluster }) => cluster === "source").from;
  };
  await page.getByLabel("at most").selectOption("50");
  assert.equal(await read("newest"), "-50");
  assert.equal(await read("earliest"), "earliest");
  assert.equal(await read("offset", "3"), "offset:3");
  // The embedded broker finds no times, and says so; what is asked is right.
  assert.equal(await read("timestamp", "2026-01-01T00:00:00Z"), "timestamp:2026-01-01T00:00:00Z");
  await page.getByLabel("partition", { exact: true }).fill("2");
  assert.equal(await read("earliest"), "earliest");
  assert.deepEqual(asked.map(({ cluster, partition }) => [cluster, partition]).sort(), [["source", "2"], ["target", "2"]]);
  const places = await pane.locator(".where").allTextContents();
  assert.ok(places.length > 0 && places.every((place) => place.startsWith("2:")), `${places}`);
  await page.getByLabel("partition", { exact: true }).fill("");
  await page.getByLabel("where").fill("value.id > `0`.x");
  await page.getByLabel("where").fill("sum(value)");
  await page.getByRole("button", { name: "Read" }).click();
  await pane.getByText(/no answer of the filter for [1-9]/).waitFor();
  hold = true;
  await page.getByRole("button", { name: "Read" }).click();
  await pane.getByText("Reading …").waitFor();
  await pane.getByRole("button", { name: "Stop" }).click();
  await pane.getByText("Stopped.").waitFor();
});

test("U18: what is shown is downloaded as lines of the replay format, each as it was written", async () => {
  const lines = [`{"timestamp":2,"key":"k","value":{"id":9007199254740993,"id":1},"headers":[["a","1"]],"partition":0,"offset":8,"topic":"customers"}`, `{"timestamp":1,"key":null,"value_b64":"AP8=","partition":1,"offset":7,"topic":"customers"}`];
  await page.route("**/api/messages*", (route) => route.fulfill({ contentType: "application/json", body: `{"messages":[${lines.toReversed()}],"scanned":2,"filter_errors":0,"truncated":true,"timed_out":false,"elapsed_ms":1}` }));
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}&tab=messages`);
  const pane = page.locator("message-pane").first();
  await pane.getByText(/2 shown.*there are more/).waitFor();
  const [file] = await Promise.all([page.waitForEvent("download"), pane.getByRole("button", { name: "Download JSON lines" }).click()]);
  assert.equal(file.suggestedFilename(), "customers.json");
  const chunks = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), `${lines.toReversed().join("\n")}\n`);
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
  await pane.getByRole("button", { name: "Raw" }).click();
  assert.equal(await pane.locator("pre").textContent(), `{"id":9007199254740993,"id":-0.10,"x":1e400}`);
  await pane.getByRole("button", { name: "Tree" }).click();
  assert.equal(await pane.locator(".tree-leaf", { hasText: '"id"' }).count(), 2);
  await pane.getByText("9007199254740993").last().waitFor();
  await pane.getByRole("button", { name: "Hex" }).click();
  await pane.getByText(/^000000 {2}7b 22 69 64 22 3a 39 30 30 37 31 39 39 32 35 34 {2}\{"id":9007199254/).waitFor();
  await shot("hex");
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await pane.getByRole("button", { name: "Copy the record" }).click();
  await page.getByText("The record is copied as a line of JSON.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), line);
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

test("U9: a filter is tried on real records and on your own, and an error shows its column", async () => {
  await open(`?mapping=${encodeURIComponent(ITALY)}&tab=filter`);
  await page.getByText(/% of 20 records are taken .* µs each/).waitFor();
  const expression = page.getByLabel(/^JMESPath expression/);
  await expression.fill("value.country == 'IT'");
  await page.getByText("✓ kept").first().waitFor();
  await page.getByText("– left out").first().waitFor();
  await shot("filter");
  await expression.fill("value.country ==");
  await page.getByText(/line 1, column 17/).waitFor();
  assert.equal(await expression.getAttribute("aria-invalid"), "true");
  await expression.fill("value.id == `9007199254740993`");
  await page.getByText("Records of your own").click();
  await page.getByLabel("Last records of").selectOption("");
  await page.getByLabel("One JSON record a line").fill('{"key":"1","value":{"id":9007199254740993}}\n{"key":"2","value":{"id":1}}');
  await page.getByText(/50 % of 2 records/).waitFor();
  await page.getByText('{"id":9007199254740993}', { exact: true }).first().waitFor();
});

test("U10: value mappings are shown before and after on real records, dropped ones too", async () => {
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}&tab=values`);
  await page.getByText("✎ changed").first().waitFor();
  await page.getByText("✕ dropped (-1000)").first().waitFor();
  await page.locator(".diff .added", { hasText: "test-gold" }).first().waitFor();
  await shot("values");
  await page.getByLabel(/^Tables for records/).fill('{"value.plan": {"gold": "other-gold"}}');
  await page.locator(".diff .added", { hasText: "other-gold" }).first().waitFor();
  await page.getByText("It can be saved; no mapping changes.").waitFor();
  await page.getByLabel(/^Tables for records/).fill('{"value.plan": {');
  await page.getByText("It cannot be saved like this.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Save", exact: true }).isDisabled());
});

test("U6 U8 U12: a mapping is edited as JSON without loss, checked, shown as a difference, saved with a comment", async () => {
  const name = `to edit ${Date.now()}`;
  const mapping = { name, enabled: false, source_topic_name: "orders", target_topic_name: "orders", mine: { a: [1] } };
  assert.equal((await api("mappings", { mapping, comment: "a test" })).status, 200);
  await open(`?mapping=${encodeURIComponent(name)}&tab=edit&view=json`);
  const area = page.getByLabel("This mapping, as JSON");
  await page.getByText("Nothing is changed.").waitFor();
  const text = await area.inputValue();
  assert.match(text, /"mine"/);
  await area.fill(text.replace('"target_topic_name": "orders"', '"target_topic_name": "italy", "valid_jmespath": "value.country =="'));
  await page.locator(".issues .problem", { hasText: "valid_jmespath" }).waitFor();
  const save = page.getByRole("button", { name: "Save", exact: true });
  assert.ok(await save.isDisabled());
  await area.fill(text.replace('"target_topic_name": "orders"', '"target_topic_name": "italy"').replace('"enabled": false', '"enabled": true'));
  await page.getByText(/changed.*enabled.*target_topic_name.*starts at the latest record/).waitFor();
  await page.locator(".diff .added", { hasText: "italy" }).waitFor();
  assert.ok(await save.isDisabled());
  await page.getByLabel("Comment").fill("to Italy");
  await shot("edit");
  await page.keyboard.press("Enter");
  await page.getByText("Saved.", { exact: true }).waitFor();
  const saved = await api(`mappings/${encodeURIComponent(name)}`);
  assert.deepEqual([saved.body.mapping.target_topic_name, saved.body.mapping.mine], ["italy", { a: [1] }]);
  await fetch(new URL(`api/mappings/${encodeURIComponent(name)}?comment=done`, URL_), { method: "DELETE", headers: { "if-match": "*" } });
});

test("U13: who saves what somebody else has changed sees all three and overwrites nothing by chance", async () => {
  const name = `to meet at ${Date.now()}`;
  const mapping = { name, enabled: false, source_topic_name: "orders", target_topic_name: "orders" };
  assert.equal((await api("mappings", { mapping, comment: "a test" })).status, 200);
  await open(`?mapping=${encodeURIComponent(name)}&tab=edit&view=json`);
  await page.getByText("Nothing is changed.").waitFor();
  const area = page.getByLabel("This mapping, as JSON");
  const text = await area.inputValue();
  const path = `mappings/${encodeURIComponent(name)}`;
  assert.equal((await api(path, { mapping: { ...mapping, group: "theirs" }, comment: "quicker" }, "PUT")).status, 200);
  const mine = text.replace('"target_topic_name": "orders"', '"target_topic_name": "italy"');
  await area.fill(mine);
  await page.getByText("It can be saved.").waitFor();
  await page.getByLabel("Comment").fill("mine");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("heading", { name: "Somebody else has changed the configuration" }).waitFor();
  await page.locator(".conflict .added", { hasText: "theirs" }).waitFor();
  await page.locator(".conflict .added", { hasText: "italy" }).waitFor();
  await shot("conflict");
  assert.equal(await area.inputValue(), mine);
  assert.equal((await api(path)).body.mapping.group, "theirs");
  await page.getByRole("button", { name: "Go on with mine" }).click();
  await page.getByText("It can be saved.").waitFor();
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.", { exact: true }).waitFor();
  assert.equal((await api(path)).body.mapping.target_topic_name, "italy");
  await fetch(new URL(`api/${path}?comment=done`, URL_), { method: "DELETE", headers: { "if-match": "*" } });
});

test("U11: a mapping of a template leads to the template", async () => {
  await open(`?mapping=${encodeURIComponent(ITALY)}`);
  await page.getByRole("heading", { name: ITALY }).waitFor();
  await page.getByRole("link", { name: "Overview" }).waitFor();
  await page.keyboard.press("e");
  await page.getByText(/all mappings that the template “staging” makes/).waitFor();
  const area = page.getByLabel(/^The template “staging”/);
  await page.getByText("Nothing is changed.").waitFor();
  await area.fill((await area.inputValue()).replace("`100`", "`150`"));
  await page.getByText(/changed “large orders from Italy” \(valid_jmespath\)/).waitFor();
});

test("U14 U22: a mapping is added by keys, and deleted by typing its name", async () => {
  const name = `added ${Date.now()}`;
  await open();
  await page.getByRole("link", { name: "New mapping" }).waitFor();
  await page.keyboard.press("n");
  await page.getByRole("button", { name: "JSON", exact: true }).click();
  const area = page.getByLabel("The new mapping, as JSON");
  await page.getByText("Nothing is changed.").waitFor();
  await area.fill((await area.inputValue()).replace('"name": ""', `"name": "${name}"`));
  await page.getByText("It cannot be saved like this.").waitFor();
  await area.fill((await area.inputValue()).replaceAll('topic_name": ""', 'topic_name": "orders"'));
  await page.getByText("It can be saved.", { exact: true }).waitFor();
  await page.getByText(`added “${name}”`).waitFor();
  await area.press("Control+s");
  await page.keyboard.type("one more");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name }).waitFor();
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByRole("button", { name: "Delete …" }).click();
  const agree = page.getByRole("dialog").getByRole("button", { name: "Delete" });
  assert.ok(await agree.isDisabled());
  await page.getByLabel(/^Type its name/).fill(name);
  await page.getByRole("dialog").getByLabel("Comment").fill("no more");
  await shot("delete");
  await agree.click();
  await page.getByText("is deleted.").waitFor();
  assert.equal((await api(`mappings/${encodeURIComponent(name)}`)).status, 404);
});
