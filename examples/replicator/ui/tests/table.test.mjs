// The table of mappings and the frame around it. How to run this: support.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CUSTOMERS, ITALY, URL_, api, change, deaf, open, page, row, service, shot } from "./support.mjs";

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

test("U1: a row shows every number of its mapping, its trend, its partitions, its service group and its last record", async () => {
  let tick = 0;
  await change("stats*", (stats) => {
    tick += 1;
    Object.assign(stats[0].mappings.find(({ name }) => name === ITALY), {
      rate_in: 1234.5, rate_out: 98.76, lag: 5000 + tick, filtered_count: 12_345_678, dropped_count: 77, error_count: 1, decode_error_count: 2, held_count: 3, lost_count: 4,
      assignments: [0, 1, 5], last_message_at: stats[0].time_ms - 125_000, target_service_consumer_group: "billing", consumer_group_up: true, state: "catching_up", detail: "because",
    });
  });
  await open();
  const line = row(ITALY);
  await line.getByText("↗").waitFor();
  const heads = await page.getByRole("columnheader").allTextContents();
  const cells = await line.locator("> *").allTextContents();
  const shown = Object.fromEntries(heads.slice(0, cells.length).map((head, at) => [head, cells[at].trim()]));
  assert.match(shown.Lag, /^↗ 5,00\d$/);
  assert.deepEqual(
    { ...shown, Lag: "", On: "" },
    { On: "", Mapping: `${ITALY}⚠ billing is running`, State: "catching up", "Source → target": "topic orders → topic italy", "In/s": "1,235", "Out/s": "98.8", "Last minute": "", Lag: "", Filtered: "12,345,678", Dropped: "77", Errors: "10", Partitions: "3", Last: "2 min" },
  );
  assert.equal(await line.getByRole("switch").getAttribute("aria-checked"), "true");
  assert.equal(await line.locator("state-badge").getAttribute("title"), "because");
  // Sixty points fit into the trend; each tick adds one.
  const points = await line.locator("spark-line polyline").getAttribute("points");
  assert.ok(points.split(" ").length >= 2 && points.split(" ").length <= 60);
});

test("U4: every state is a word, a shape and a colour of its own kind", async () => {
  const STATES = ["starting", "running", "catching_up", "idle", "paused", "waiting", "error", "completed", "disabled"];
  await change("stats*", (stats) => {
    const [base] = stats[0].mappings;
    stats[0].mappings = STATES.map((state) => ({ ...base, name: state, group: "", state, enabled: state !== "disabled" }));
  });
  await open();
  await row("disabled").waitFor();
  const seen = await page.locator("tbody state-badge").evaluateAll((badges) => badges.map((badge) => ({ word: badge.textContent, shape: badge.querySelector("path").getAttribute("d"), colour: getComputedStyle(badge).color, state: badge.dataset.state })));
  assert.deepEqual(seen.map(({ word }) => word).sort(), STATES.map((state) => state.replace("_", " ")).sort());
  assert.equal(new Set(seen.map(({ shape }) => shape)).size, STATES.length);
  const colour = (state) => seen.find((one) => one.state === state).colour;
  assert.equal(new Set([colour("running"), colour("error"), colour("waiting"), colour("disabled")]).size, 4);
});

test("U2: a page that nobody sees asks for nothing, and goes on when it is seen again", async () => {
  await page.addInitScript(() => {
    globalThis.away = false;
    Object.defineProperty(document, "hidden", { get: () => globalThis.away });
    globalThis.leave = (away) => {
      globalThis.away = away;
      document.dispatchEvent(new Event("visibilitychange"));
    };
    const { EventSource } = globalThis;
    globalThis.streams = [];
    globalThis.EventSource = class extends EventSource {
      constructor(...how) {
        super(...how);
        globalThis.streams.push(this);
      }
    };
  });
  await open();
  const cell = row("a tenth of all orders").locator("td.number").nth(3);
  await page.waitForFunction(() => globalThis.streams.some((stream) => stream.readyState === 1));
  await page.evaluate(() => globalThis.leave(true));
  await page.waitForFunction(() => globalThis.streams.every((stream) => stream.readyState === 2));
  let asked = 0;
  page.on("request", () => (asked += 1));
  const before = await cell.textContent();
  // Three ticks of the service.
  const ticks = async () => (await (await fetch(new URL("api/stats", URL_))).json())[0].mappings.find(({ name }) => name === "a tenth of all orders").source_count;
  for (const from = await ticks(); (await ticks()) < from + 90; await new Promise((done) => setTimeout(done, 200)));
  assert.deepEqual([asked, await cell.textContent()], [0, before]);
  await page.evaluate(() => globalThis.leave(false));
  await page.waitForFunction(([node, before]) => node.textContent !== before, [await cell.elementHandle(), before]);
  await page.waitForFunction(() => globalThis.streams.some((stream) => stream.readyState === 1));
});

test("U2: what changes is seen within a second after the tick of the stats", async (t) => {
  await page.addInitScript(() => {
    globalThis.late = [];
    const { EventSource } = globalThis;
    globalThis.EventSource = class extends EventSource {
      constructor(...how) {
        super(...how);
        this.addEventListener("message", (event) => {
          const told = JSON.parse(event.data).stats[0].time_ms;
          requestAnimationFrame(() => setTimeout(() => globalThis.late.push(Date.now() - told)));
        });
      }
    };
  });
  await open();
  await page.waitForFunction(() => globalThis.late.length >= 5);
  const late = (await page.evaluate(() => globalThis.late)).sort((a, b) => a - b);
  t.diagnostic(`seen after ${late.join(", ")} ms`);
  assert.ok(late[Math.floor(late.length / 2)] <= 1000, `${late}`);
});

test("U2: without an answer the page asks later and later, and again at once when it is there", async () => {
  await deaf();
  await open();
  await row(ITALY).waitFor();
  const asked = [];
  await page.route("**/api/stats*", (route) => (asked.push(Date.now()), route.abort()));
  await page.waitForFunction(() => document.querySelector(".stale:not([hidden])"));
  while (asked.length < 3) await new Promise((done) => setTimeout(done, 100));
  const waits = asked.slice(1).map((at, index) => at - asked[index]);
  assert.ok(waits[1] > waits[0] * 1.3, `${waits}`);
});

test("U3: each column sorts both ways, and a group tells its sub-total", async () => {
  const values = { name: ["a", "b", "c"], state: ["error", "idle", "running"], source_topic_name: ["a", "b", "c"], rate_in: [30, 20, 10], rate_out: [30, 20, 10], lag: [3000, 200, 10], filtered_count: [9, 8, 7], dropped_count: [9, 8, 7], error_count: [9, 8, 7], assignments: [[0, 1, 2], [0, 1], [0]], last_message_at: [3e12, 2e12, 1e12], enabled: [true, true, false] };
  await change("stats*", (stats) => {
    const [base] = stats[0].mappings;
    stats[0].mappings = [0, 1, 2].map((at) => ({ ...base, decode_error_count: 0, held_count: 0, lost_count: 0, group: "g", ...Object.fromEntries(Object.entries(values).map(([name, all]) => [name, all[at]])) }));
  });
  await open();
  await row("a").waitFor();
  const total = await page.locator("tr.group").textContent();
  assert.match(total, /g3 rows · 1 off · 1 with errors · 60\/s out · lag 3,210/);
  const order = () => page.locator("tbody tr:not(.group) a").allTextContents();
  const heads = ["On", "State", "Mapping", "Source → target", "In/s", "Out/s", "Lag", "Filtered", "Dropped", "Errors", "Partitions", "Last"];
  for (const head of heads) {
    const button = page.locator("thead button.sort", { hasText: new RegExp(`^${head}$`) });
    for (const [way, expected] of [["ascending", "abc"], ["descending", head === "On" ? "cab" : "cba"]]) {
      await button.click();
      await page.waitForFunction(([button, way]) => button.closest("th").ariaSort === way, [await button.elementHandle(), way]);
      assert.equal((await order()).join(""), expected, `${head}, ${way}`);
    }
  }
});

test("U2: numbers come by themselves, and rows are not made anew", async () => {
  let asked = 0;
  await page.addInitScript(() => {
    globalThis.told = 0;
    const { EventSource } = globalThis;
    globalThis.EventSource = class extends EventSource {
      constructor(...how) {
        super(...how);
        this.addEventListener("message", () => (globalThis.told += 1));
      }
    };
  });
  await open();
  const line = row("orders to orders");
  await line.locator("state-badge", { hasText: "running" }).waitFor();
  await line.evaluate((element) => (element.dataset.mine = "yes"));
  const told = () => page.evaluate(() => globalThis.told);
  const first = await told();
  page.on("request", (request) => (asked += request.url().includes("/api/stats") ? 1 : 0));
  const cell = row("a tenth of all orders").locator("td.number").nth(3);
  for (let round = 0; round < 3; round += 1) {
    const before = await cell.textContent();
    await page.waitForFunction(([node, before]) => node.textContent !== before, [await cell.elementHandle(), before]);
  }
  assert.equal(await line.getAttribute("data-mine"), "yes");
  // On a machine that stands still for a moment the page may ask in between.
  const events = (await told()) - first;
  assert.ok(events >= 3 && asked < events, `${asked} asked, ${events} told`);
});

test("U2 U24: where streams are kept back the page asks, and tells an outage until it ends", async () => {
  await deaf();
  await open();
  const cell = row("a tenth of all orders").locator("td.number").nth(3);
  const before = await cell.textContent();
  await page.waitForFunction(([node, before]) => node.textContent !== before, [await cell.elementHandle(), before]);
  await page.route("**/api/stats*", (route) => route.abort());
  await page.getByText(/^Stale since \d\d:/).waitFor();
  await shot("stale");
  await page.unroute("**/api/stats*");
  await page.getByText(/^Stale since/).waitFor({ state: "hidden", timeout: 40_000 });
});

test("U2: a service that is started anew is found again, and what was typed is still there", async (t) => {
  const first = await service(t);
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}&tab=edit&view=json`, first.url);
  await page.getByText("Nothing is changed.").waitFor();
  const area = page.getByLabel("This mapping, as JSON");
  const mine = (await area.inputValue()).replace("identities", "typed before");
  await area.fill(mine);
  await page.getByText("It can be saved.").waitFor();
  await first.stop();
  await page.getByText(/^Stale since \d\d:/).waitFor();
  await service(t, {}, first.at);
  await page.getByText(/^Stale since/).waitFor({ state: "hidden", timeout: 40_000 });
  assert.equal(await area.inputValue(), mine);
  await page.getByLabel("Comment").fill("after the restart");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.", { exact: true }).waitFor();
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
  await deaf();
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
  await deaf();
  await open();
  await row(ITALY).locator("state-badge", { hasText: "running" }).waitFor();
  await change("service", (service) => (service.version = "0000000000000000"));
  await page.waitForResponse("**/api/service");
  await page.waitForResponse("**/api/service");
  // It asks again when it has read the answer.
  await page.waitForRequest("**/api/service");
  await page.getByRole("switch", { name: "Replicate a recorded morning" }).click();
  await page.getByText(/somebody else has changed/).waitFor();
});

test("U24: where a stream is taken and nothing comes through it, the page asks", async () => {
  await page.route("**/api/events", () => {});
  await open();
  const cell = row("a tenth of all orders").locator("td.number").nth(3);
  for (let round = 0; round < 2; round += 1) {
    const before = await cell.textContent();
    await page.waitForFunction(([node, before]) => node.textContent !== before, [await cell.elementHandle(), before]);
  }
  assert.ok(await page.getByText(/^Stale since/).isHidden());
});

test("U23: the first frame is in the theme that was chosen", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.addInitScript(() => requestAnimationFrame(() => (globalThis.first = getComputedStyle(document.documentElement).backgroundColor)));
  await open();
  const light = await page.evaluate(() => globalThis.first);
  await page.getByLabel("Theme").selectOption("dark");
  const dark = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.reload();
  await row(ITALY).waitFor();
  const first = await page.evaluate(() => globalThis.first);
  assert.notEqual(light, dark);
  // A frame before the style sheet has no ground at all.
  assert.ok([dark, "rgba(0, 0, 0, 0)"].includes(first), first);
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

test("U25: the environment is unmistakable, and read-only hides what changes", async () => {
  await change("service", (service) => Object.assign(service, { read_only: true, environment: "PRODUCTION", colour: "#c00" }));
  await open();
  await page.getByText("PRODUCTION", { exact: true }).waitFor();
  await page.getByText("read-only", { exact: true }).waitFor();
  assert.ok(await page.getByRole("switch").first().isDisabled());
  await page.getByRole("link", { name: CUSTOMERS }).click();
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByText("This service is read-only.").waitFor();
  assert.equal(await page.getByRole("button", { name: /^(Save|Switch)/ }).count(), 0);
  assert.ok(await page.getByLabel("Source topic").isDisabled());
  await page.getByRole("button", { name: "JSON", exact: true }).click();
  assert.equal(await page.getByLabel("This mapping, as JSON").isEditable(), false);
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
