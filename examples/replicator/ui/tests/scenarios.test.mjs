// What the Replicator is for, from the first mapping to the service's return; two browsers. How to run this: support.mjs.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { URL_, another, api, open, page, remove, row, service, shot, tabTo } from "./support.mjs";

const save = async (on, comment) => {
  await on.getByText(/^It can be saved/).waitFor();
  await on.getByLabel("Comment").fill(comment);
  await on.getByRole("button", { name: "Save", exact: true }).click();
};

/** A service of staging that writes into a topic of the target itself: a file, again and again. */
async function writer(t, target, topic) {
  const folder = mkdtempSync(join(tmpdir(), "staging-"));
  const line = (at) => `${JSON.stringify({ timestamp: 1_700_000_000_000 + at * 100, key: `s${at}`, value: { from: "staging", n: at } })}\n`;
  writeFileSync(join(folder, "staging.json"), Array.from({ length: 20 }, (_, at) => line(at)).join(""));
  const mapping = { name: "staging itself", source_topic_name: "staging", target_topic_name: topic, source_is_file: true, replay: { loop: true } };
  writeFileSync(join(folder, "mappings.json"), JSON.stringify({ mappings: [mapping] }));
  const writes = await service(t, { KAFKA_TARGET_SERVER_URL: target, FILE_DATA_PATH: folder, CACULATE_STATS_EVERY_SECONDS: "1" });
  // It has ended by then: hooks run in the order they were made.
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return writes;
}

/** How many of the last records of the target fit, as the page shows them. */
async function shown(where, atLeast) {
  const pane = page.locator("message-pane").nth(1);
  await page.getByLabel("where").fill(where);
  for (;;) {
    await page.getByRole("button", { name: "Read" }).click();
    const text = await pane.getByText(/\d+ shown · \d+ scanned/).textContent();
    if (Number(text.split(" ")[0]) >= atLeast) return;
  }
}

test("S1 to S6: chosen topics to staging, off while staging writes itself, on again, mixed, and the service's group", async (t) => {
  const own = await service(t);
  const name = "orders for staging";
  const at = (tab = "") => `?mapping=${encodeURIComponent(name)}${tab}`;

  // S1: a topic is chosen, and what production writes arrives.
  await open("", own.url);
  await page.getByRole("link", { name: "New mapping" }).click();
  await page.getByText("Nothing is changed.").waitFor();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Group", { exact: true }).fill("walk");
  await page.getByLabel("Enabled").check();
  await page.getByLabel("Source topic").fill("orders");
  await page.getByLabel("Target topic").fill("morning");
  await page.getByText(/added “orders for staging”.*starts at the latest record/).waitFor();
  await save(page, "orders for the tests of staging");
  await page.getByRole("heading", { name }).waitFor();
  await page.locator(".card-head state-badge", { hasText: "running" }).waitFor();
  await page.getByRole("link", { name: "Messages" }).click();
  await shown("value.country", 5);

  // S2: off by the switch, and staging writes into the same topic.
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  const toggle = page.getByRole("switch", { name: `Replicate ${name}` });
  await toggle.click();
  const question = page.getByRole("dialog").getByRole("button", { name: "Switch off" });
  const off = row(name).locator("state-badge", { hasText: "disabled" });
  await question.or(off).first().waitFor();
  if (await question.isVisible()) await question.click();
  await off.waitFor();
  const staging = await writer(t, own.cluster("target"), "morning");
  await open(at("&tab=messages"), own.url);
  await shown("value.from == 'staging'", 5);

  // S3 and S5: back to production, at the latest record.
  await open("", own.url);
  await page.getByRole("switch", { name: `Replicate ${name}` }).click();
  await page.getByText(`“${name}” is on. It starts at the latest record.`).waitFor();
  await row(name).locator("state-badge", { hasText: "running" }).waitFor();
  assert.equal(Number((await (await fetch(`${own.url}api/stats`)).json())[0].mappings.find((row) => row.name === name).lag) < 1000, true);

  // S4: a tenth of production beside what staging writes.
  await open(at("&tab=edit"), own.url);
  await page.getByText("Nothing is changed.").waitFor();
  await page.getByLabel("Share in percent").fill("10");
  await page.getByText(/changed.*sample_percent/).waitFor();
  await save(page, "a tenth of production");
  await page.getByRole("heading", { name }).waitFor();
  await open(at("&tab=messages"), own.url);
  await page.locator("message-pane").nth(1).getByText(/shown/).waitFor();
  await shown("value.from == 'staging'", 1);
  await shown("value.country", 1);
  await page.getByLabel("where").fill("");
  await page.getByRole("button", { name: "Read" }).click();
  await shot("scenario-mixed");

  // S6: the service is away; its group is looked after, so that it finds no lag.
  await staging.stop();
  await open(at("&tab=edit"), own.url);
  await page.getByText("Nothing is changed.").waitFor();
  await page.getByLabel("Its consumer group").fill("billing");
  await page.getByText(/deletes the group `billing` on the target whenever it has no members/).waitFor();
  await save(page, "billing finds no lag");
  const named = page.getByRole("dialog", { name: "Delete the group “billing”?" });
  await named.getByLabel("Type its name: billing").fill("billing");
  await named.getByRole("button", { name: "Save" }).click();
  await page.getByRole("region", { name: "Service group" }).getByText("billing", { exact: true }).waitFor();
  await page.getByRole("link", { name: "History", exact: true }).click();
  for (const comment of ["billing finds no lag", "a tenth of production", "orders for the tests of staging"]) await page.getByText(comment, { exact: true }).first().waitFor();
});

test("U13: two browsers edit one mapping, and none overwrites what it has not seen", async (t) => {
  const name = `for two ${Date.now()}`;
  t.after(() => remove(name));
  const query = `?mapping=${encodeURIComponent(name)}&tab=edit`;
  assert.equal((await api("mappings", { mapping: { name, enabled: false, source_topic_name: "orders", target_topic_name: "orders" }, comment: "a test" })).status, 200);
  const second = await another(URL_, query);
  await open(query);
  for (const one of [page, second.page]) await one.getByText("Nothing is changed.").waitFor();
  await page.getByLabel("Group", { exact: true }).fill("first");
  await second.page.getByLabel("Target topic").fill("italy");
  await save(page, "the first");
  await page.getByText("Saved.", { exact: true }).waitFor();
  await save(second.page, "the second");
  await second.page.getByRole("heading", { name: "Somebody else has changed the configuration" }).waitFor();
  await second.page.locator(".conflict .added", { hasText: "first" }).first().waitFor();
  const seen = async () => (await api(`mappings/${encodeURIComponent(name)}`)).body.mapping;
  assert.deepEqual([(await seen()).group, (await seen()).target_topic_name], ["first", "orders"]);
  await second.page.getByRole("button", { name: "Take theirs" }).click();
  assert.equal(await second.page.getByLabel("Group", { exact: true }).inputValue(), "first");
  await second.page.getByLabel("Target topic").fill("italy");
  await save(second.page, "the second, after the first");
  await second.page.getByText("Saved.", { exact: true }).waitFor();
  assert.deepEqual([(await seen()).group, (await seen()).target_topic_name], ["first", "italy"]);
  await second.close();
});

test("U22: from the table to a mapping that is tried, saved, switched and deleted, by keys alone", async () => {
  const name = `by keys ${Date.now()}`;
  const keys = page.keyboard;
  const to = tabTo;
  // So many keys take longer than the way back is there on a loaded machine.
  await page.addInitScript(() => {
    const { setTimeout } = globalThis;
    globalThis.setTimeout = (work, wait, ...more) => setTimeout(work, wait === 10_000 ? 120_000 : wait, ...more);
  });
  await open();
  await row("orders to orders").waitFor();
  await keys.press("n");
  await page.getByText("Nothing is changed.").waitFor();
  await page.waitForFunction(() => document.activeElement.textContent === "New mapping");
  for (const [field, value] of [["Name", name], ["Source topic", "orders"], ["Target topic", "italy"], ["Filter (JMESPath)", "value.country == 'IT'"]]) {
    await to(field);
    await keys.type(value);
    await keys.press("Escape");
  }
  await to("Try the filter on the last records");
  await keys.press("Enter");
  await page.getByText("✓ kept").first().waitFor();
  await page.getByText("It can be saved.", { exact: true }).waitFor();
  await to("Comment");
  await keys.type("by keys");
  await keys.press("Enter");
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  await page.getByText("Switch on", { exact: true }).waitFor();
  await to("Switch on");
  await keys.press("Enter");
  await page.getByText("Switch off", { exact: true }).waitFor();
  await to("Undo");
  await keys.press("Enter");
  await page.getByText("Switch on", { exact: true }).waitFor();
  await keys.press("e");
  await page.getByText("Nothing is changed.").waitFor();
  await to("Delete …");
  await keys.press("Enter");
  await page.getByRole("dialog").waitFor();
  await to(`Type its name: ${name}`);
  await keys.type(name);
  await to("Comment");
  await keys.type("done");
  await to("Delete");
  await keys.press("Enter");
  await page.getByText("is deleted.").waitFor();
  await page.waitForFunction(() => document.activeElement.textContent === "Mappings");
});
