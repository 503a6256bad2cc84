// A thousand mappings, what is transferred, and how soon it is there. How to run this: support.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { ITALY, URL_, deaf, open, page, row } from "./support.mjs";

const MANY = 1000;
const TICKS = 12;

/** Numbers of so many mappings, others at each tick. */
async function many() {
  const [real] = await (await fetch(new URL("api/stats?all=1", URL_))).json();
  const base = real.mappings[0];
  let tick = 0;
  await deaf();
  await page.route("**/api/stats*", (route) => {
    tick += 1;
    const mappings = Array.from({ length: MANY }, (_, at) => ({
      ...base,
      name: `mapping ${String(at).padStart(4, "0")}`,
      group: `group ${at % 10}`,
      source_topic_name: `source-${at}`,
      target_topic_name: `target-${at}`,
      source_count: tick * 1000 + at,
      lag: (tick * 7 + at) % 500,
      rate_in: tick + (at % 70) / 10,
      rate_out: tick + (at % 90) / 10,
      last_message_at: real.time_ms + tick * 1000,
    }));
    return route.fulfill({ json: [{ ...real, mappings, time_ms: real.time_ms + tick * 1000 }] });
  });
}

test("U2: a thousand mappings that change every second cost a tick at most 16 ms, and scrolling has no long task", async (t) => {
  await many();
  await open();
  await page.getByRole("rowheader", { name: "mapping 0000" }).waitFor();
  // Other work of the machine makes measurements longer, never shorter: the quickest third tells what it costs.
  const quick = (all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 3)];
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  const spent = async (name) => (await cdp.send("Performance.getMetrics")).metrics.find((metric) => metric.name === name).value * 1000;
  const answered = () => page.waitForResponse("**/api/stats*");
  const costs = [];
  await answered();
  for (let tick = 0; tick < TICKS; tick += 1) {
    const before = await spent("ScriptDuration");
    await answered();
    costs.push((await spent("ScriptDuration")) - before);
  }
  const told = (all) => all.map((cost) => cost.toFixed(1)).join(", ");
  t.diagnostic(`scripting of a tick: ${told(costs)} ms`);
  assert.ok(quick(costs) <= 16, told(costs));
  await page.mouse.move(700, 600);
  const steps = [];
  for (let step = 0; step < 30; step += 1) {
    const before = await spent("TaskDuration");
    await page.mouse.wheel(0, 300);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    steps.push((await spent("TaskDuration")) - before);
  }
  t.diagnostic(`two frames of scrolling: ${told(steps)} ms`);
  assert.ok(quick(steps) <= 50, told(steps));
  assert.ok((await page.locator("tbody tr").count()) < 150);
  await page.getByRole("searchbox").fill("mapping 0999");
  await page.getByText("1 of 1000 rows").waitFor();
});

test("U24: a strict policy, nothing from elsewhere, at most 150 kB compressed, and the first view within a second", async (t) => {
  const texts = [];
  page.on("request", (request) => assert.equal(new URL(request.url()).origin, new URL(URL_).origin));
  page.on("response", (answer) => {
    if (answer.url().includes("/ui/") || answer.url() === URL_) texts.push(answer.body());
  });
  const answer = await page.goto(URL_);
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  await row(ITALY).waitFor();
  const size = (await Promise.all(texts)).reduce((sum, body) => sum + gzipSync(body).length, 0);
  t.diagnostic(`${texts.length} files, ${size} bytes compressed`);
  assert.ok(texts.length > 20 && size < 150_000, `${size} bytes`);
  const times = [];
  for (let round = 0; round < 5; round += 1) {
    await page.reload();
    await row(ITALY).waitFor();
    times.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
  }
  t.diagnostic(`first paint after ${times.map((time) => time.toFixed(0)).join(", ")} ms`);
  assert.ok(Math.min(...times) <= 1000, `${times}`);
});
