// What axe finds on every view and state, in both themes; widths. How to run this: support.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { CUSTOMERS, ITALY, change, deaf, open, page, picture, row, shot } from "./support.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const MORNING = "a recorded morning";

const at = (name, more = "") => `?mapping=${encodeURIComponent(name)}${more}`;
const running = () => row(ITALY).locator("state-badge", { hasText: "running" }).waitFor();
const settled = () => page.getByText("Nothing is changed.").waitFor();
const press = (name) => page.getByRole("button", { name }).first().click();

/** Each with its address, what makes it whole, and what is changed before. */
const VIEWS = {
  table: ["", running],
  "table with errors, a group and no past": [
    "",
    () => page.getByText("⚠ billing is running").first().waitFor(),
    () => change("stats*", (stats) => stats[0].mappings.forEach((row, at) => Object.assign(row, { state: ["error", "waiting", "paused", "completed", "catching_up"][at], detail: "why", error_count: 3, target_service_consumer_group: "billing", consumer_group_up: true }))),
  ],
  "no mappings": ["", () => page.getByRole("heading", { name: "No mappings yet" }).waitFor(), () => change("stats*", (stats) => (stats[0].mappings = []))],
  "environment, read-only and a refused file": [
    "",
    () => page.getByText(/cannot be used; the configuration before/).waitFor(),
    () => change("service", (service) => Object.assign(service, { environment: "PRODUCTION", colour: "#c00", read_only: true, refused: [{ severity: "error", origin: "mappings.json", place: { line: 3, column: 9 }, message: "a comma is missing" }] })),
  ],
  stale: ["", () => page.getByText(/^Stale since/).waitFor(), async () => (await deaf(), page.route("**/api/stats*", (route) => route.abort()))],
  question: ["", async () => (await running(), page.keyboard.press("?"), page.getByRole("dialog").waitFor())],
  overview: [at(CUSTOMERS), () => page.locator("line-chart").nth(3).waitFor()],
  replay: [at(MORNING), () => page.getByText(/\d+ of 10/).waitFor()],
  messages: [at(CUSTOMERS, "&tab=messages"), () => page.getByText(/[1-9]\d* shown/).nth(1).waitFor()],
  filter: [at(ITALY, "&tab=filter"), () => page.getByText(/% of [1-9]\d* records/).waitFor()],
  values: [at(CUSTOMERS, "&tab=values"), () => page.getByText("✎ changed").first().waitFor()],
  form: [at(CUSTOMERS, "&tab=edit"), settled],
  "form with errors": [
    "?new=1",
    async () => {
      await settled();
      await page.getByLabel("Filter (JMESPath)").fill("value ==");
      await page.locator(".wrong", { hasText: "column" }).waitFor();
      await page.locator(".issues .problem").first().waitFor();
    },
  ],
  "json with a difference": [
    at(CUSTOMERS, "&tab=edit&view=json"),
    async () => {
      await settled();
      const area = page.getByLabel("This mapping, as JSON");
      await area.fill((await area.inputValue()).replace("identities", "others"));
      await page.getByText("It can be saved.").waitFor();
    },
  ],
  template: [at(ITALY, "&tab=edit"), settled],
  templates: ["?page=templates", () => page.getByText(/Makes \d/).waitFor()],
  history: ["?page=history", () => page.getByText(/Nothing was changed here yet|What it changed/).first().waitFor()],
  "question of deletion": [at(CUSTOMERS, "&tab=edit"), async () => (await settled(), await press("Delete …"), page.getByRole("dialog").waitFor())],
};

for (const [view, [query, whole, before]] of Object.entries(VIEWS)) {
  test(`U21 U23: nothing serious in both themes, and no wider than 320 pixels: ${view}`, async () => {
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    await before?.();
    await open(query);
    await whole();
    await page.evaluate(AXE);
    const found = [];
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      found.push(...grave.map(({ id, help, nodes }) => `${colorScheme}: ${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html + node.failureSummary)}`));
    }
    assert.deepEqual(found, []);
    // 320 pixels are 1280 at 400 % zoom, too.
    for (const width of [320, 768]) {
      await page.setViewportSize({ width, height: 800 });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide} pixels at ${width}`);
      await shot(`${view.replaceAll(" ", "-")}-${width}`);
    }
  });
}

test("U23: the page reads from right to left as well", async () => {
  await open();
  await running();
  await page.evaluate(() => (document.documentElement.dir = "rtl"));
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1440);
  const box = await page.getByRole("switch").first().boundingBox();
  assert.ok(box.x > 700, "the first column is at the right");
  await shot("rtl");
});

test("U21: everything to press is at least 24 pixels wide and high", async () => {
  for (const query of ["", at(CUSTOMERS), at(MORNING), at(CUSTOMERS, "&tab=edit"), "?page=templates", "?page=history"]) {
    await open(query);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    const small = await page.evaluate(() =>
      [...document.querySelectorAll("button, input, select, a[href], summary")]
        .filter((element) => element.checkVisibility() && !element.closest(".skip"))
        .map((element) => ({ text: element.getAttribute("aria-label") ?? element.textContent, box: element.getBoundingClientRect(), inline: element.matches("p a, td a") }))
        .filter(({ box, inline }) => !inline && (box.width < 24 || box.height < 24) && box.width > 1)
        .map(({ text, box }) => `${text}: ${box.width.toFixed(0)} × ${box.height.toFixed(0)}`),
    );
    assert.deepEqual(small, [], query);
  }
});

// For docs/replicator.md.
test("The pictures of the documents, light and dark", async () => {
  await page.setViewportSize({ width: 1000, height: 600 });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await open();
    await running();
    await row(ITALY).locator("spark-line").waitFor();
    await picture(`table-${colorScheme}`);
    await open(at(CUSTOMERS));
    await page.locator("line-chart").nth(3).waitFor();
    await picture(`details-${colorScheme}`);
    await open(at(MORNING));
    await page.getByText(/\d+ of 10/).waitFor();
    await picture(`replay-${colorScheme}`);
    await open("?new=1");
    await settled();
    await page.getByLabel("Name", { exact: true }).fill("orders from Italy");
    await page.getByLabel("Group", { exact: true }).fill("staging");
    await page.getByLabel("Source topic").fill("orders");
    await page.getByLabel("Target topic").fill("italy");
    await page.getByLabel("Filter (JMESPath)").fill("value.country == 'IT' && value.amount >= `50`");
    await page.getByText("Try the filter on the last records").click();
    await page.getByText("✓ kept").first().waitFor();
    await page.getByLabel("Filter (JMESPath)").evaluate((element) => element.closest("fieldset").scrollIntoView());
    await picture(`edit-${colorScheme}`);
    await open(at(CUSTOMERS, "&tab=edit"));
    await settled();
    await page.getByLabel("Share in percent").fill("10");
    await page.getByLabel("Target topic").fill("morning");
    await page.getByText("It can be saved.").waitFor();
    await page.getByLabel("Comment").fill("a tenth is enough for staging");
    await page.getByLabel("Comment").scrollIntoViewIfNeeded();
    await picture(`diff-${colorScheme}`);
    await page.getByRole("link", { name: "← All mappings" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
  }
});
