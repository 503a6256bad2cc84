// What axe finds on every view and state, in both themes; widths. How to run this: support.mjs.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
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
  "error of a mapping": [
    at(CUSTOMERS),
    () => page.getByText("the topic `x` has no partition 7").waitFor(),
    async () => (await page.route("**/api/**/history*", (route) => route.abort()), change("stats*", (stats) => stats[0].mappings.forEach((row) => Object.assign(row, { state: "error", detail: "the topic `x` has no partition 7" })))),
  ],
  "records opened": [
    at(CUSTOMERS, "&tab=messages"),
    async () => {
      const pane = page.locator("message-pane").first();
      const records = pane.locator("li.message");
      await records.nth(0).locator("summary").first().click();
      await records.nth(0).getByRole("button", { name: "Tree" }).click();
      await records.nth(1).locator("summary").first().click();
      await records.nth(1).getByRole("button", { name: "Hex" }).click();
    },
  ],
  "records live": [at(CUSTOMERS, "&tab=messages&from=live"), () => page.getByText(/Live: [1-9]/).first().waitFor()],
  "filter with an error": [
    at(ITALY, "&tab=filter"),
    async () => {
      await page.getByText(/% of [1-9]\d* records/).waitFor();
      await page.getByLabel(/^JMESPath expression/).fill("value.country ==");
      await page.getByText(/line 1, column 17/).waitFor();
    },
  ],
  "json that is none": [
    at(CUSTOMERS, "&tab=edit&view=json"),
    async () => {
      await settled();
      await page.getByLabel("This mapping, as JSON").fill("{ none");
      await press("Form");
      await page.getByText(/cannot be shown as a form/).waitFor();
    },
  ],
  conflict: [
    at(CUSTOMERS, "&tab=edit&view=json"),
    async () => {
      await settled();
      const area = page.getByLabel("This mapping, as JSON");
      const text = await area.inputValue();
      await page.route("**/api/file", async (route) => {
        if (route.request().method() === "PUT") return route.fulfill({ status: 412, json: { detail: "it was changed", version: "another" } });
        const answer = await route.fetch();
        const file = await answer.json();
        return route.fulfill({ response: answer, json: { ...file, text: file.text.replace("identities", "theirs") } });
      });
      await area.fill(text.replace("identities", "mine"));
      await page.getByText("It can be saved.").waitFor();
      await page.getByLabel("Comment").fill("mine");
      await press("Save");
      await page.getByRole("heading", { name: "Somebody else has changed the configuration" }).waitFor();
    },
  ],
  workers: [
    at(CUSTOMERS),
    () => page.getByRole("region", { name: "Workers" }).locator("tbody tr").nth(1).waitFor(),
    () => change("stats*", (stats) => stats.push({ ...structuredClone(stats[0]), worker: 1, version: "0" })),
  ],
  "service group": [
    at(CUSTOMERS),
    () => page.getByText("billing-1 (10.0.0.7)").waitFor(),
    async () => {
      const known = { state: "stable", members: 1, looked_at: Date.now(), acted_at: Date.now() - 120_000, error: "not allowed" };
      await page.route("**/api/mappings/*/service-group", (route) => route.fulfill({ json: { group: "billing", action: "delete", every_ms: 30_000, known } }));
      await page.route("**/api/clusters/target/groups/billing", (route) => route.fulfill({ json: { group: { group: "billing", state: "stable", members: [{ client_id: "billing-1", host: "10.0.0.7", member_id: "x", partitions: [] }] }, offsets: [] } }));
      await change("stats*", (stats) => stats[0].mappings.forEach((row) => Object.assign(row, { target_service_consumer_group: "billing", consumer_group_up: true })));
    },
  ],
  "question of a group": [
    at(CUSTOMERS, "&tab=edit"),
    async () => {
      await settled();
      await page.getByLabel("Its consumer group").fill("billing");
      await page.getByText("It can be saved.").waitFor();
      await page.getByLabel("Comment").fill("why");
      await press("Save");
      await page.getByRole("dialog").waitFor();
    },
  ],
  "switched off, with the way back": [
    "",
    async () => {
      await running();
      await page.getByText("“x” is off.").waitFor();
    },
    () => page.addInitScript(() => addEventListener("load", () => setTimeout(async () => (await import(document.querySelector("script[type=module]").src.replace("app/main.js", "components/toast.js"))).toast("“x” is off.", { undo: () => {} }), 500))),
  ],
  "question of deletion": [at(CUSTOMERS, "&tab=edit"), async () => (await settled(), await press("Delete …"), page.getByRole("dialog").waitFor())],
};

/**
 * What is lost or covered: texts that are cut off without a way to see them, and controls that something lies upon. What
 * scrolls by itself, fields too, loses nothing; a record's line is whole once it is opened.
 */
function lost() {
  const faults = [];
  const name = (element) => `${element.localName}.${element.className}: ${element.textContent.slice(0, 60)}`;
  const CUT = ".hidden, .skip, .key-text, .value-text, svg *, option, input";
  const modal = document.querySelector("dialog[open]");
  for (const element of document.body.querySelectorAll("*")) {
    if (!element.checkVisibility() || element.matches(CUT)) continue;
    const { overflowX, overflowY } = getComputedStyle(element);
    const isCut = (overflow, inner, outer) => ["hidden", "clip"].includes(overflow) && inner > outer + 1;
    if (isCut(overflowX, element.scrollWidth, element.clientWidth) || isCut(overflowY, element.scrollHeight, element.clientHeight)) faults.push(`cut off: ${name(element)}`);
  }
  for (const control of (modal ?? document).querySelectorAll("button, input, select, textarea, a[href], summary")) {
    if (!control.checkVisibility() || control.closest(".toasts, .skip") || control.getBoundingClientRect().width < 2) continue;
    control.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const box = control.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + Math.min(box.height, innerHeight) / 2];
    const top = document.elementFromPoint(x, y);
    if (!top || !(control.contains(top) || top.contains(control) || top.closest("label") || top.closest(".toasts"))) faults.push(`covered by ${top && name(top)}: ${name(control)}`);
  }
  scrollTo(0, 0);
  return faults;
}

/** The whole page as it is laid out now: a picture by other means begins with the size of the window. */
async function keep(client, name, width) {
  if (!process.env.SHOTS) return;
  const { cssContentSize } = await client.send("Page.getLayoutMetrics");
  const clip = { x: 0, y: 0, width, height: cssContentSize.height, scale: 1 };
  const { data } = await client.send("Page.captureScreenshot", { captureBeyondViewport: true, clip });
  writeFileSync(`${process.env.SHOTS}/${name}.png`, Buffer.from(data, "base64"));
}

/** Widths, and 1440 pixels at 200 % zoom: half as many, each twice as large. */
const SIZES = { 320: [320, 800, 1], 768: [768, 1024, 1], 1440: [1440, 900, 1], "200-percent": [720, 450, 2] };

for (const [view, [query, whole, before]] of Object.entries(VIEWS)) {
  test(`U21 U23: nothing serious in both themes, and nothing lost at 320, 768 and 1440 pixels and 200 % zoom: ${view}`, async () => {
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
    const client = await page.context().newCDPSession(page);
    for (const [size, [width, height, deviceScaleFactor]] of Object.entries(SIZES)) {
      await client.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor, mobile: false });
      await page.waitForFunction((width) => innerWidth === width, width);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${wide} pixels at ${size}`);
      assert.deepEqual(await page.evaluate(lost), [], size);
      await keep(client, `${view.replaceAll(/\W+/g, "-")}-${size}`, width);
    }
  });
}

test("U21: what tells controls and lines apart has a contrast of 3:1, and texts of states 4.5:1, in both themes", async () => {
  await open();
  await running();
  for (const theme of ["light", "dark"]) {
    await page.getByLabel("Theme").selectOption(theme);
    const colours = await page.evaluate(() => {
      const style = getComputedStyle(document.documentElement);
      const probe = document.body.appendChild(document.createElement("i"));
      const value = (name) => {
        probe.style.color = style.getPropertyValue(`--${name}`);
        return getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
      };
      const all = Object.fromEntries(["ground", "panel", "text", "muted", "edge", "accent", "on-accent", "good", "warn", "bad", "quiet-ground", "good-ground", "warn-ground", "bad-ground"].map((name) => [name, value(name)]));
      probe.remove();
      return all;
    });
    const light = (rgb) => {
      const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a, b) => {
      const [high, low] = [light(colours[a]), light(colours[b])].sort((x, y) => y - x);
      return (high + 0.05) / (low + 0.05);
    };
    const few = [];
    const need = (least, pairs) => pairs.forEach(([a, b]) => contrast(a, b) < least && few.push(`${theme}: ${a} on ${b}: ${contrast(a, b).toFixed(2)}`));
    need(3, ["ground", "panel", "quiet-ground"].flatMap((ground) => [["edge", ground], ["accent", ground]]));
    need(4.5, [["text", "ground"], ["text", "panel"], ["muted", "ground"], ["muted", "panel"], ["muted", "quiet-ground"], ["accent", "panel"], ["accent", "ground"], ["on-accent", "accent"], ["good", "good-ground"], ["warn", "warn-ground"], ["bad", "bad-ground"], ["bad", "panel"]]);
    assert.deepEqual(few, []);
    // The lines and edges use these colours.
    const uses = await page.evaluate(() => [getComputedStyle(document.querySelector("spark-line .line")).stroke, getComputedStyle(document.querySelector("#search")).borderTopColor, getComputedStyle(document.querySelector("[role=switch]")).borderTopColor].map((colour) => colour.match(/[\d.]+/g).map(Number)));
    assert.deepEqual(uses, [colours.accent, colours.edge, colours.accent]);
  }
});

test("U21: who wants no motion gets none, focus is seen, and trends are told in words", async () => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  await open();
  await running();
  const moving = await page.evaluate(() => document.getAnimations().length + [...document.querySelectorAll("*")].filter((element) => !/^0s(, 0s)*$/.test(getComputedStyle(element).transitionDuration)).length);
  assert.equal(moving, 0);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth);
  assert.ok(parseFloat(outline) >= 2, outline);
  assert.match(await row(ITALY).getByRole("img").getAttribute("aria-label"), /a second, at most/);
});

test("U21: a change of a state is told politely, once, and numbers are not", async () => {
  let state = "running";
  await change("stats*", (stats) => stats[0].mappings.forEach((row) => row.name === ITALY && Object.assign(row, { state, detail: "why" })));
  await open();
  await running();
  const told = page.locator("replicator-app > [aria-live=polite].hidden");
  assert.equal(await told.textContent(), "");
  state = "error";
  await row(ITALY).locator("state-badge", { hasText: "error" }).waitFor();
  assert.equal(await told.textContent(), `${ITALY}: error, why`);
  assert.equal(await page.locator("table [aria-live]").count(), 0);
});

test("U23: the page reads from right to left as well", async () => {
  await open();
  await running();
  await page.evaluate(() => (document.documentElement.dir = "rtl"));
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1440);
  const box = await page.getByRole("switch").first().boundingBox();
  assert.ok(box.x > 700, "the first column is at the right");
  await shot("rtl");
  for (const query of [at(CUSTOMERS), at(CUSTOMERS, "&tab=edit"), at(CUSTOMERS, "&tab=messages"), "?page=history"]) {
    await open(query);
    await page.evaluate(() => (document.documentElement.dir = "rtl"));
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1440, query);
    assert.deepEqual(await page.evaluate(lost), [], query);
  }
});

test("U23: on a wide wall the page uses its width and loses nothing", async () => {
  await page.setViewportSize({ width: 3840, height: 2160 });
  await open();
  await running();
  assert.ok((await page.locator("table.mappings").boundingBox()).width > 3000);
  assert.deepEqual(await page.evaluate(lost), []);
  await shot("table-3840");
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
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    // All columns.
    await page.setViewportSize({ width: 1280, height: 600 });
    await open();
    await running();
    await row(ITALY).locator("spark-line").waitFor();
    await page.locator("dl.facts").getByText(/[kM]?B$/).waitFor();
    await picture(`table-${colorScheme}`);
    await page.setViewportSize({ width: 1000, height: 600 });
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
    // From the filter down to what it does.
    await page.setViewportSize({ width: 1000, height: 960 });
    await page.getByLabel("Filter (JMESPath)").evaluate((element) => element.closest("fieldset").scrollIntoView());
    await picture(`edit-${colorScheme}`);
    await page.setViewportSize({ width: 1000, height: 600 });
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
