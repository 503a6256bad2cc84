// Every flow by keys alone: the mouse is not there. How to run this: support.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CUSTOMERS, ITALY, api, change, open, page, remove, row, shot, tabTo } from "./support.mjs";

const MORNING = "a recorded morning";
const path = (name) => `mappings/${encodeURIComponent(name)}`;
const press = async (...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const type = (text) => page.keyboard.type(text);
/** The text that has the focus, replaced. */
const retype = async (text) => (await press("Control+a"), await type(text));
const focused = (text) => page.waitForFunction((text) => document.activeElement.textContent.trim() === text, text);
const off = async (t, more = {}) => {
  const name = `by keys ${Date.now()}`;
  t.after(() => remove(name));
  const mapping = { name, enabled: false, source_topic_name: "orders", target_topic_name: "orders", ...more };
  assert.equal((await api("mappings", { mapping, comment: `add ${name}` })).status, 200);
  return { name, mapping };
};

test("U22: by keys: the table is searched, sorted, filtered and folded, and a mapping is opened", async () => {
  await open();
  await row(ITALY).waitFor();
  await press("/");
  await type("ital");
  await page.getByText("1 of 5 rows").waitFor();
  await retype("");
  await press("Backspace");
  await tabTo("State");
  await type("dis");
  await page.getByText("No mapping fits.").waitFor();
  await tabTo("Show all");
  await press("Enter");
  await row(ITALY).waitFor();
  await tabTo("Errors");
  await press("Enter");
  assert.equal(await page.locator("thead th", { hasText: "Errors" }).getAttribute("aria-sort"), "ascending");
  await tabTo("staging", { fits: ({ tag }) => tag === "button" });
  await press("Enter");
  await row(ITALY).waitFor({ state: "detached" });
  await press("Enter");
  await tabTo(ITALY);
  await press("Enter");
  await focused(ITALY);
  await press("Escape");
  await focused("Mappings");
});

test("U22: by keys: records are read, filtered, opened, followed live, held and stopped", async () => {
  await open(`?mapping=${encodeURIComponent(ITALY)}`);
  await tabTo("Messages");
  await press("Enter");
  const pane = page.locator("message-pane").first();
  await pane.getByText(/20 shown/).waitFor();
  await tabTo("where");
  await type("value.country == 'IT'");
  await press("Enter");
  await pane.getByText(/[1-9]\d* shown · 20 scanned/).waitFor();
  await tabTo(/^\d+:\d+/);
  await press("Enter");
  for (const view of ["Tree", "Raw", "Hex"]) {
    await tabTo(view);
    await press("Enter");
    await pane.getByRole("button", { name: view, pressed: true }).waitFor();
  }
  await tabTo("Show", { back: true });
  await type("live");
  await tabTo("where");
  await retype("");
  await press("Backspace", "Enter");
  await pane.getByText(/Live: [1-9]/).waitFor();
  await tabTo("Pause", { fits: ({ place }) => place.startsWith("source") });
  await press("Enter");
  await pane.getByText(/\(paused\)/).waitFor();
  await tabTo("Stop", { back: true });
  await press("Enter");
  assert.ok(await pane.getByRole("button", { name: "Stop" }).isHidden());
});

test("U22: by keys: value mappings are tried, and saved with Ctrl+S and a comment", async (t) => {
  const values = (await api("topic-mappings")).body.customers;
  t.after(() => api("topic-mappings/customers", { text: values, comment: "as before" }, "PUT"));
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}&tab=values`);
  await page.getByText("Nothing is changed.").waitFor();
  await tabTo(/^Tables for records/);
  await retype('{"value.plan": {"gold": "by keys"}}');
  await page.locator(".diff .added", { hasText: "by keys" }).first().waitFor();
  await page.getByText("It can be saved; no mapping changes.").waitFor();
  await press("Control+s");
  await type("a plan by keys");
  await press("Enter");
  await page.getByText("Saved.", { exact: true }).waitFor();
  assert.equal((await api("topic-mappings")).body.customers, '{"value.plan": {"gold": "by keys"}}');
});

test("U22: by keys: form and JSON are switched, a conflict is met and decided, the history takes it back", async (t) => {
  const { name, mapping } = await off(t);
  await open(`?mapping=${encodeURIComponent(name)}`);
  await page.getByRole("heading", { name }).waitFor();
  await press("e");
  await page.getByText("Nothing is changed.").waitFor();
  await tabTo("JSON");
  await press("Enter");
  await tabTo("This mapping, as JSON");
  await retype(JSON.stringify({ ...mapping, target_topic_name: "italy" }));
  await page.getByText("It can be saved.", { exact: true }).waitFor();
  await tabTo("Form", { back: true });
  await press("Enter");
  await tabTo("Group");
  await type("mine");
  await page.getByText("It can be saved.", { exact: true }).waitFor();
  assert.equal((await api(path(name), { mapping: { ...mapping, group: "theirs" }, comment: "quicker" }, "PUT")).status, 200);
  await press("Control+s");
  await tabTo("Comment");
  await type("mine");
  await press("Enter");
  await page.getByRole("heading", { name: "Somebody else has changed the configuration" }).waitFor();
  await tabTo("Go on with mine", { back: true });
  await press("Enter");
  await page.getByText("It can be saved.", { exact: true }).waitFor();
  await tabTo("Comment");
  await press("Enter");
  await page.getByText("Saved.", { exact: true }).waitFor();
  assert.equal((await api(path(name))).body.mapping.group, "mine");
  await tabTo("History", { back: true });
  await press("Enter");
  await focused("History");
  await page.locator("li.card", { hasText: "mine" }).first().waitFor();
  await tabTo("What it changed");
  await press("Enter");
  await page.locator(".diff .added", { hasText: "mine" }).first().waitFor();
  await tabTo(/^Restore what was before: mine/);
  await press("Enter");
  const box = page.getByRole("dialog");
  await box.getByText(/changed.*\(group/).waitFor();
  await tabTo("Restore");
  await press("Enter");
  await page.getByText("Restored.").waitFor();
  assert.equal((await api(path(name))).body.mapping.group, "theirs");
});

test("U22: by keys: a template is edited, a replay is held, moved and hastened", async () => {
  await open();
  await row(ITALY).waitFor();
  await tabTo("Templates");
  await press("Enter");
  await focused("Templates");
  await tabTo("Edit the template");
  await press("Enter");
  await page.getByText("Nothing is changed.").waitFor();
  await tabTo(/^The template “staging”/);
  await press("Control+End");
  await type(" ");
  await page.getByText(/It can be saved; no mapping changes|It can be saved/).waitFor();
  await press("Backspace");
  await page.getByText("Nothing is changed.").waitFor();
  await tabTo("Mappings", { back: true });
  await press("Enter");
  await row(MORNING).waitFor();
  await tabTo(MORNING, { fits: ({ tag }) => tag === "a" });
  await press("Enter");
  const panel = page.getByRole("region", { name: "Replay" });
  await panel.getByText(/\d+ of 10/).waitFor();
  await tabTo("Pause");
  await press("Enter");
  await panel.getByText("paused", { exact: true }).waitFor();
  await tabTo("Speed");
  await press("ArrowDown");
  await panel.locator(".facts").getByText("2 ×", { exact: true }).waitFor();
  await press("ArrowUp");
  await panel.locator(".facts").getByText("as recorded", { exact: true }).waitFor();
  await tabTo("Go to");
  await press("Home");
  await panel.locator("output").getByText("2023-11-15 07:00:00.000 UTC").waitFor();
  await tabTo("Resume", { back: true });
  await press("Enter");
  await panel.getByRole("button", { name: "Pause", exact: true }).waitFor();
});

test("U21 U22: a dialog keeps the focus while it is open, closes with Escape, and gives the focus back", async () => {
  let lag = 0;
  await change("stats*", (stats) => stats[0].mappings.forEach((row) => (row.lag = lag)));
  await open();
  await row(ITALY).waitFor();
  await tabTo("Keys");
  await press("Enter");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  for (let step = 0; step < 8; step += 1) {
    await press("Tab");
    // The browser's own controls are on the way around; nothing of the page behind is.
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog") !== null));
  }
  await press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Keys");
  // A question behind a switch, too.
  lag = 1258;
  await row(ITALY).getByText("1,258").waitFor();
  await tabTo(`Replicate ${ITALY}`);
  await press("Space");
  await page.getByRole("dialog").waitFor();
  await press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), `Replicate ${ITALY}`);
});

test("U22: keys do nothing while something is typed, and nothing once they are switched off", async () => {
  await open("?new=1");
  await page.getByText("Nothing is changed.").waitFor();
  await tabTo("Name");
  await type("n/e?");
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "n/e?");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await shot("keys-typed");
  await open();
  await row(ITALY).waitFor();
  await page.evaluate(() => localStorage.setItem("keys", "off"));
  await press("n");
  assert.ok(await page.getByRole("heading", { name: "Mappings" }).isVisible());
  await page.evaluate(() => localStorage.removeItem("keys"));
  await press("n");
  await page.getByRole("heading", { name: "New mapping" }).waitFor();
});
