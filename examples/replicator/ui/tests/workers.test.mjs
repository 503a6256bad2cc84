// Several workers: what each does, and which of them run what was saved. How to run this: support.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { CUSTOMERS, api, change, open, page, remove, row, shot } from "./support.mjs";

const source = readFileSync(new URL("../store/merge.js", import.meta.url), "utf8");
const { together } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const OLDER = "0000000000000000";

/** A second worker, which has one more partition and does what `differs` says. */
const twice = (differs = () => {}) =>
  change("stats*", (stats) => {
    const second = structuredClone(stats[0]);
    second.worker = 1;
    stats[0].mappings.forEach((row) => row.enabled && Object.assign(row, { assignments: [0, 2], lag: 30, queue: 3 }));
    second.mappings.forEach((row) => row.enabled && Object.assign(row, { assignments: [1], lag: 12, queue: 4, rate_in: 250, rate_out: 125 }));
    differs(second);
    stats.push(second);
  });
const ofTwo = () => change("service", (service) => (service.worker = [0, 2]));

test("U12 U16: a mapping's page says of each worker what it reads, how it is, and which configuration it runs", async () => {
  await ofTwo();
  await twice((second) => {
    second.version = OLDER;
    const row = second.mappings.find(({ name }) => name === CUSTOMERS);
    Object.assign(row, { state: "error", detail: "the second worker has trouble" });
  });
  await open();
  await row(CUSTOMERS).locator("state-badge", { hasText: "error" }).waitFor();
  const numbers = await row(CUSTOMERS).locator("td.number").allTextContents();
  assert.ok(numbers.some((text) => text.endsWith("42")), `the lag of both: ${numbers}`);
  assert.equal(await row(CUSTOMERS).locator("td[title='0, 1, 2']").textContent(), "3");
  await page.locator("dl.facts").getByText("2 of 2", { exact: true }).waitFor();
  await page.locator("dl.facts").getByText(/ · on 1 of 2 workers$/).waitFor();
  await row(CUSTOMERS).getByRole("link").click();
  const table = page.getByRole("region", { name: "Workers" });
  const line = (at) => table.locator("tbody tr").nth(at);
  await line(1).waitFor();
  const cells = async (at) => (await line(at).locator("th, td").allTextContents()).map((text) => text.trim());
  assert.deepEqual([await cells(0)].map(([worker, pair, , partitions, , , lag, queue, runs]) => [worker, pair, partitions, lag, queue, runs])[0], ["0", "customers → customers", "0, 2", "30", "3", "this one"]);
  assert.deepEqual(await cells(1), ["1", "customers → customers", "error", "1", "250", "125", "12", "4", "another one"]);
  await page.getByText("the second worker has trouble").waitFor();
  await shot("workers");
});

test("U12: all workers are shown while news come as a stream, which is that of one", async () => {
  const heard = page.locator("dl.facts").getByText(/^\d+ of \d+$/);
  const shown = [];
  await page.route("**/api/stats*", async (route) => {
    const answer = await route.fetch();
    const [first] = await answer.json();
    if (shown.length > 0 || (await heard.isVisible())) shown.push(await heard.textContent());
    await route.fulfill({ response: answer, json: [first, { ...structuredClone(first), worker: 1 }] });
  });
  const stream = page.waitForRequest("**/api/events");
  await open();
  await stream;
  await page.waitForFunction(() => document.querySelector("dl.facts")?.textContent?.includes("2 of 2"));
  while (shown.filter((text) => text === "2 of 2").length < 5) await page.waitForResponse("**/api/stats*");
  assert.deepEqual([...new Set(shown.slice(shown.indexOf("2 of 2")))], ["2 of 2"]);
});

test("U12: who pauses a mapping is told which workers have not done it", async () => {
  await page.route("**/api/mappings/*/pause", (route) => route.fulfill({ headers: { "citizenk-failed-workers": "http://10.0.0.7:8000" }, json: { runs: 1 } }));
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator(".toasts").getByText(/^Not all workers have done it: http:\/\/10.0.0.7:8000/).waitFor();
});

test("U12: one worker alone has no table of workers", async () => {
  await open(`?mapping=${encodeURIComponent(CUSTOMERS)}`);
  await page.locator("line-chart").first().waitFor();
  assert.ok(await page.getByRole("heading", { name: "Workers" }).isHidden());
});

test("U12: after a save the page tells how many workers run it, until all do", async (t) => {
  const name = `adopted ${Date.now()}`;
  t.after(() => remove(name));
  const mapping = { name, enabled: false, source_topic_name: "orders", target_topic_name: "orders" };
  assert.equal((await api("mappings", { mapping, comment: "a test" })).status, 200);
  let adopted = false;
  await ofTwo();
  await twice((second) => {
    if (!adopted) second.version = OLDER;
  });
  await open(`?mapping=${encodeURIComponent(name)}&tab=edit`);
  await page.getByText("Nothing is changed.").waitFor();
  await page.getByLabel("Group", { exact: true }).fill("both");
  await page.getByText("It can be saved.", { exact: true }).waitFor();
  await page.getByLabel("Comment").fill("for both");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const toasts = page.locator(".toasts");
  await toasts.getByText("Saved. 1 of 2 workers run it so far.").waitFor();
  await page.locator("dl.facts").getByText(/“for both”.* · on 1 of 2 workers$/).waitFor();
  await toasts.locator(".toast").hover();
  adopted = true;
  await toasts.getByText("Saved. All 2 workers run it.").waitFor();
  await page.locator("dl.facts").getByText(/“for both”.* ago$/).waitFor();
});

test("U12: rows of two workers become one: sums, the worse state, and the service that runs for either", () => {
  const plain = { lag: 1, source_count: 9007199254740993n, target_count: 2, queue: 0, filtered_count: 0, dropped_count: 0, decode_error_count: 0, error_count: 0, partition_error_count: 0, held_count: 0, unmapped_count: 0, gap_count: 1, lost_count: 0, bytes_in: 5, bytes_out: 5, rate_in: 1.5, rate_out: 1, latency_ms_p50: 3, latency_ms_p99: 9, assignments: [0, 2], state: "idle", detail: null, enabled: true, consumer_group_up: false, last_message_at: null, progress: null };
  const other = { ...plain, source_count: 7n, assignments: [1, 2], state: "running", consumer_group_up: true, last_message_at: 12, latency_ms_p99: 4 };
  for (const both of [together(plain, other), together(other, plain)]) {
    assert.deepEqual([both.source_count, both.lag, both.gap_count, both.rate_in, both.assignments], [9007199254741000n, 2, 2, 3, [0, 1, 2]]);
    assert.deepEqual([both.state, both.consumer_group_up, both.last_message_at, both.latency_ms_p99], ["running", true, 12, 9]);
  }
  const bad = { ...plain, state: "error", detail: "why" };
  assert.deepEqual([together(plain, bad).state, together(bad, other).detail], ["error", "why"]);
  // Who does not replay a file only looks on.
  const file = { ...plain, source_is_file: true, state: "running", progress: 0.5 };
  const looks = { ...file, state: "waiting", detail: "another worker replays files", progress: null };
  for (const both of [together(file, looks), together(looks, file)]) assert.deepEqual([both.state, both.detail, both.progress], ["running", null, 0.5]);
});
