// History, templates, replay, the service's group, read-only. How to run this: support.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CUSTOMERS, ITALY, api, change, context, open, page, remove, row, service, shot } from "./support.mjs";

const MORNING = "a recorded morning";
const path = (name) => `mappings/${encodeURIComponent(name)}`;

test("U13: every change is in the history, with its difference, and is taken back with a comment", async (t) => {
  const name = `for history ${Date.now()}`;
  t.after(() => remove(name));
  const mapping = { name, enabled: false, source_topic_name: "orders", target_topic_name: "orders" };
  assert.equal((await api("mappings", { mapping, comment: `add ${name}` })).status, 200);
  assert.equal((await api(path(name), { mapping: { ...mapping, group: "second" }, comment: `change ${name}` }, "PUT")).status, 200);
  await open();
  await page.getByRole("link", { name: "History", exact: true }).click();
  const entry = page.locator("li.card", { hasText: `change ${name}` });
  await entry.getByText("What it changed").click();
  await entry.locator(".diff .added", { hasText: "second" }).waitFor();
  await shot("history");
  await entry.getByRole("button", { name: /^Restore what was before/ }).click();
  const box = page.getByRole("dialog", { name: "Restore mappings.json?" });
  await box.getByText(new RegExp(`changed.*“${name}” \\(group\\)`)).waitFor();
  const agree = box.getByRole("button", { name: "Restore" });
  await box.getByLabel("Comment").fill("");
  assert.ok(await agree.isDisabled());
  await box.getByLabel("Comment").fill(`take back ${name}`);
  await shot("restore");
  await agree.click();
  await page.getByText("Restored.").waitFor();
  await page.locator("li.card", { hasText: `take back ${name}` }).waitFor();
  assert.equal((await api(path(name))).body.mapping.group, "");
});

test("U13: who restores what somebody else has changed meanwhile is refused and told", async (t) => {
  const name = `raced ${Date.now()}`;
  t.after(() => remove(name));
  const mapping = { name, enabled: false, source_topic_name: "orders", target_topic_name: "orders" };
  await api("mappings", { mapping, comment: `add ${name}` });
  await open("?page=history");
  await page.locator("li.card", { hasText: `add ${name}` }).getByRole("button", { name: /^Restore/ }).click();
  const box = page.getByRole("dialog");
  await box.getByText(new RegExp(`removed.*“${name}”`)).waitFor();
  await api(path(name), { mapping: { ...mapping, group: "quicker" }, comment: "quicker" }, "PUT");
  await box.getByRole("button", { name: "Restore" }).click();
  await page.getByText(/It was not restored: somebody else has changed the configuration/).waitFor();
  assert.equal((await api(path(name))).body.mapping.group, "quicker");
});

test("U13: older changes are read page by page, and each still has its own difference", async () => {
  const PAGE = 50;
  // Of one file, which had the text N before change N + 1.
  const version = (id) => ({ id, file: "templates/long.json", comment: `change ${id}`, text: id === 1 ? null : `text ${id - 1}` });
  const asked = [];
  await page.route("**/api/versions?*", (route) => {
    const { searchParams } = new URL(route.request().url());
    asked.push(searchParams.toString());
    const newest = Number(searchParams.get("before") ?? PAGE + 3) - 1;
    const ids = Array.from({ length: Math.min(newest, Number(searchParams.get("limit"))) }, (_, index) => newest - index);
    return route.fulfill({ json: ids.map(version) });
  });
  await open("?page=history");
  const cards = page.locator("li.card");
  await page.getByText(`change ${PAGE + 2}`, { exact: true }).waitFor();
  assert.equal(await cards.count(), PAGE);
  const more = page.getByRole("button", { name: "Show older changes" });
  await more.click();
  await page.getByText("change 1", { exact: true }).waitFor();
  assert.equal(await cards.count(), PAGE + 2);
  assert.ok(await more.isHidden());
  assert.deepEqual(asked, [`limit=${PAGE}`, `limit=${PAGE}&before=3`, "limit=1&before=1"]);
  // The first of the second page made `text 2`, which only the first page says.
  const second = cards.nth(PAGE);
  await second.getByText("What it changed").click();
  await second.locator(".diff .added", { hasText: "text 2" }).waitFor();
  await second.locator(".diff .removed", { hasText: "text 1" }).waitFor();
});

test("U13: a page of long texts ends early, and an answer that comes late is not mixed with newer ones", async () => {
  const MOST = 20;
  const version = (id) => ({ id, file: "templates/long.json", comment: `change ${id}`, text: `text ${id}` });
  /** @type {(() => void) | null} */
  let release = null;
  await page.route("**/api/versions?*", async (route) => {
    const { searchParams } = new URL(route.request().url());
    const newest = Number(searchParams.get("before") ?? 3 * MOST + 1) - 1;
    const ids = Array.from({ length: Math.min(newest, MOST, Number(searchParams.get("limit"))) }, (_, index) => newest - index);
    if (searchParams.get("before") === `${MOST + 1}` && searchParams.get("limit") !== "1") await new Promise((done) => (release = () => done(undefined)));
    return route.fulfill({ json: ids.map(version) });
  });
  await open("?page=history");
  const cards = page.locator("li.card");
  const more = page.getByRole("button", { name: "Show older changes" });
  await more.click();
  await cards.nth(2 * MOST - 1).waitFor();
  const asked = page.waitForRequest((request) => request.url().includes(`limit=50&before=${MOST + 1}`));
  await more.click();
  await asked;
  await page.getByRole("button", { name: "Read again" }).click();
  await page.waitForFunction((count) => document.querySelectorAll("li.card").length === count, MOST);
  assert.ok(release, "the older page is still on its way");
  release();
  await page.waitForFunction(() => [...document.querySelectorAll("button")].some((button) => button.textContent === "Show older changes" && !button.disabled));
  assert.equal(await cards.count(), MOST);
  await more.click();
  await page.getByText(`change ${MOST + 1}`, { exact: true }).waitFor();
  assert.equal(await cards.count(), 2 * MOST);
});

test("U11: templates show their variables, what they make, and warn of what nobody uses", async () => {
  await open("?page=templates");
  await page.getByRole("rowheader", { name: "{{TARGET}}" }).waitFor();
  await page.getByText("Makes 3 mappings").waitFor();
  await page.getByRole("link", { name: "orders to orders" }).waitFor();
  await shot("templates");
  await page.getByRole("link", { name: "Edit the template" }).click();
  const area = page.getByLabel(/^The template “staging”/);
  await page.getByText("Nothing is changed.").waitFor();
  await area.fill((await area.inputValue()).replace("{{TARGET}}", "fixed").replace("{{TARGET}}", "fixed"));
  await page.locator(".issues .note", { hasText: "TARGET" }).first().waitFor();
  await area.fill((await area.inputValue()).replace("orders", "{{NOBODY}}"));
  await page.locator(".issues .problem", { hasText: "NOBODY" }).first().waitFor();
  await page.getByRole("link", { name: "← All templates" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  await page.getByText("Makes 3 mappings").waitFor();
});

test("U19: a replay is paused, resumed, hastened and moved, and says how far it is", async () => {
  await open(`?mapping=${encodeURIComponent(MORNING)}`);
  const panel = page.getByRole("region", { name: "Replay" });
  await panel.getByText(/\d+ of 10/).waitFor();
  await panel.getByText(/^last record was late by$/).waitFor();
  await panel.getByRole("button", { name: "Pause", exact: true }).click();
  await panel.getByRole("button", { name: "Resume", exact: true }).waitFor();
  await panel.getByText("paused", { exact: true }).waitFor();
  const place = () => panel.locator("output").textContent();
  const slider = panel.getByRole("slider", { name: "Go to" });
  await slider.focus();
  await page.keyboard.press("Home");
  await page.waitForFunction((element) => element.textContent === "2023-11-15 07:00:00.000 UTC", await panel.locator("output").elementHandle());
  await page.keyboard.press("PageUp");
  const later = await place();
  assert.notEqual(later, "2023-11-15 07:00:00.000 UTC");
  assert.equal(await slider.getAttribute("aria-valuetext"), later);
  await shot("replay");
  await panel.getByLabel("Speed", { exact: true }).selectOption("2");
  await page.waitForFunction((name) => fetch(`api/mappings/${encodeURIComponent(name)}/replay`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }).then((a) => a.json()).then(([r]) => r.speed === 2 && r.paused), MORNING);
  await panel.getByRole("button", { name: "Resume", exact: true }).click();
  await panel.getByRole("button", { name: "Pause", exact: true }).waitFor();
  await panel.getByLabel("Speed", { exact: true }).selectOption("1");
  await panel.locator(".facts").getByText("as recorded").waitFor();
});

test("U4 U26: a mapping is paused and goes on where it was", async () => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator("state-badge", { hasText: "paused" }).waitFor();
  await page.getByText(/is paused until it is resumed/).waitFor();
  await page.getByRole("button", { name: "Copy as curl: pausing or resuming this mapping" }).click();
  await page.getByText("Copied as curl.").waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl -X POST '.*\/resume'$/);
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.locator("state-badge", { hasText: "running" }).waitFor();
});

test("U20: the group of the target's service is shown with members, last act and next look", async (t) => {
  const name = `with a group ${Date.now()}`;
  t.after(() => remove(name));
  const mapping = { name, source_topic_name: "customers", target_topic_name: "morning", target_service_consumer_group: "billing" };
  assert.equal((await api("mappings", { mapping, comment: "a test" })).status, 200);
  await open(`?mapping=${encodeURIComponent(name)}`);
  const panel = page.getByRole("region", { name: "Service group" });
  await panel.getByText("billing", { exact: true }).waitFor();
  await panel.getByText(/It is deleted while it has no members/).waitFor();
  await page.goto("about:blank");
  await change("mappings/*/service-group", (group) => Object.assign(group.known, { state: "stable", members: 1, looked_at: Date.now(), acted_at: Date.now() - 120_000, error: "not allowed" }));
  await page.route("**/api/clusters/target/groups/billing", (route) => route.fulfill({ json: { group: { group: "billing", state: "stable", members: [{ client_id: "billing-1", host: "10.0.0.7", member_id: "x", partitions: [] }] }, offsets: [] } }));
  await change("stats*", (stats) => stats[0].mappings.forEach((row) => (row.consumer_group_up = true)));
  await open(`?mapping=${encodeURIComponent(name)}`);
  await panel.getByText("billing-1 (10.0.0.7)").waitFor();
  await panel.getByText(/The service runs while its topic is replicated/).waitFor();
  await panel.getByText("2 min ago").waitFor();
  await panel.getByText(/^in \d+ s$/).waitFor();
  await panel.getByText("not allowed").waitFor();
  await shot("group");
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  await row(name).getByText("⚠ billing is running").waitFor();
});

test("U25: a read-only service shows where it is, offers nothing that changes, and refuses it", async (t) => {
  const own = await service(t, { READ_ONLY: "1", ENVIRONMENT_NAME: "PRODUCTION", ENVIRONMENT_COLOUR: "#c00" });
  await open("", own.url);
  await page.getByText("PRODUCTION", { exact: true }).waitFor();
  await row(ITALY).locator("state-badge", { hasText: "running" }).waitFor();
  assert.match(await page.title(), /^PRODUCTION/);
  assert.equal(await page.getByRole("link", { name: "New mapping" }).count(), 0);
  assert.ok(await page.getByRole("switch").first().isDisabled());
  await page.keyboard.press("n");
  for (const query of [`?mapping=${encodeURIComponent(CUSTOMERS)}&tab=edit`, `?mapping=${encodeURIComponent(MORNING)}`, `?mapping=${encodeURIComponent(CUSTOMERS)}&tab=values`, "?page=history", "?page=templates&template=staging"]) {
    await open(query, own.url);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    assert.equal(await page.getByRole("button", { name: /^(Save|Switch|Delete|Pause|Resume|Restore)/ }).count(), 0, query);
  }
  const refused = await fetch(`${own.url}api/${path(CUSTOMERS)}/disable`, { method: "POST", headers: { "if-match": "*", "content-type": "application/json" }, body: '{"comment":"x"}' });
  assert.equal(refused.status, 403);
});
