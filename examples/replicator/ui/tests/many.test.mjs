// A thousand mappings, what is transferred, and how soon it is there. How to run this: support.mjs.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { ITALY, URL_, open, page, row } from "./support.mjs";

const MANY = 1000;
const TICKS = 8;
/** Other work of the machine makes what is measured longer, CPU time too, and never shorter: so often it is tried. */
const ROUNDS = 5;

/**
 * The service with so many mappings instead of its own, all of them others every second, told as it tells: by a stream
 * of events. What is neither news nor their past is what the real one answers.
 * @param {{ remembers?: boolean }} how Whether their past is told, or refused.
 */
async function many(t, { remembers = true } = {}) {
  const get = async (path) => (await fetch(new URL(path, URL_))).json();
  const [[real], service] = await Promise.all([get("api/stats?all=1"), get("api/service")]);
  const [base] = real.mappings;
  const [past] = await get(`api/mappings/${encodeURIComponent(base.name)}/history?minutes=5`);
  const begun = Date.now();
  const stats = (tick) => [
    {
      ...real,
      time_ms: begun + tick * 1000,
      mappings: Array.from({ length: MANY }, (_, at) => ({
        ...base,
        name: `mapping ${String(at).padStart(4, "0")}`,
        group: `group ${at % 10}`,
        source_topic_name: `source-${at}`,
        target_topic_name: `target-${at}`,
        source_count: tick * 1000 + at,
        lag: (tick * 7 + at) % 500,
        rate_in: tick + (at % 70) / 10,
        rate_out: tick + (at % 90) / 10,
        last_message_at: begun + tick * 1000,
      })),
    },
  ];
  /** How often the past of a mapping was asked for. */
  const asked = new Map();
  let tick = 0;
  let told = () => {};
  let news = new Promise((done) => (told = done));
  const answer = async (request, response) => {
    const { pathname } = new URL(request.url, URL_);
    if (pathname === "/api/stats") return response.end(JSON.stringify(stats(tick)));
    const at = /^\/api\/mappings\/mapping%20(\d+)\/history$/.exec(pathname)?.[1];
    if (at) {
      asked.set(at, (asked.get(at) ?? 0) + 1);
      if (!remembers) {
        response.statusCode = 503;
        response.setHeader("content-type", "application/problem+json");
        return response.end(JSON.stringify({ status: 503, detail: "not now" }));
      }
      return response.end(JSON.stringify([{ ...past, source: `source-${Number(at)}`, target: `target-${Number(at)}` }]));
    }
    if (pathname !== "/api/events") {
      const real = await fetch(new URL(request.url, URL_));
      for (const name of ["content-type", "content-security-policy", "etag"]) if (real.headers.has(name)) response.setHeader(name, real.headers.get(name));
      response.statusCode = real.status;
      return response.end(Buffer.from(await real.arrayBuffer()));
    }
    response.setHeader("content-type", "text/event-stream");
    const say = () => {
      response.write(`data: ${JSON.stringify({ service: { ...service, stats_every_ms: 1000 }, stats: stats((tick += 1)) })}\n\n`);
      told();
      news = new Promise((done) => (told = done));
    };
    say();
    const timer = setInterval(say, 1000);
    request.on("close", () => clearInterval(timer));
  };
  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => (server.closeAllConnections(), server.close()));
  /** When so many ticks were told. */
  const reach = async (wanted) => {
    while (tick < wanted) await news;
    return tick;
  };
  await open("", `http://127.0.0.1:${server.address().port}/`);
  await page.getByRole("rowheader", { name: "mapping 0000" }).waitFor();
  // The first ticks also ask for the past of each row in sight, and scripts are compiled.
  await reach(5);
  return { reach, now: () => tick, asked };
}

/** Threads and their work, without what other programs do meanwhile: CPU time, in milliseconds. */
class Trace {
  #page;
  #main;

  constructor(page) {
    this.#page = page;
  }

  async begin() {
    await browserOf(this.#page).startTracing(this.#page, { categories: ["toplevel", "devtools.timeline", "v8.execute", "blink.user_timing", "__metadata"] });
  }

  async end() {
    const { traceEvents } = JSON.parse((await browserOf(this.#page).stopTracing()).toString());
    const marked = traceEvents.find(({ name }) => name === "here");
    assert.ok(marked, "the page marked its thread");
    this.#main = traceEvents.filter(({ pid, tid, tdur }) => pid === marked.pid && tid === marked.tid && tdur !== undefined).sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  }

  /** Every task of the page's main thread. */
  tasks() {
    return this.#main.filter(({ name }) => name === "RunTask" || name === "ThreadControllerImpl::RunTask").map(({ tdur }) => tdur / 1000);
  }

  /**
   * What scripts took for each tick: the outermost of them, without the layout they forced. The first one begins with the
   * first news; the last one may be cut off, and is left out.
   */
  ticks() {
    const SCRIPTS = new Set(["EvaluateScript", "FunctionCall", "RunMicrotasks", "v8.callFunction", "TimerFire", "EventDispatch", "FireAnimationFrame", "MinorGC", "MajorGC"]);
    const LAYOUT = new Set(["UpdateLayoutTree", "Layout"]);
    const ticks = [];
    let [begun, end, inner] = [-Infinity, -1, -1];
    for (const { name, ts, dur, tdur } of this.#main) {
      if (SCRIPTS.has(name) && ts >= end) {
        // News come once a second, and cost more than what follows.
        if (ts - begun > 600_000 && tdur > 1000) {
          ticks.push(0);
          begun = ts;
        }
        end = ts + dur;
        if (ticks.length > 0) ticks[ticks.length - 1] += tdur / 1000;
      } else if (LAYOUT.has(name) && ts < end && ts >= inner && ticks.length > 0) {
        ticks[ticks.length - 1] -= tdur / 1000;
        inner = ts + dur;
      }
    }
    return ticks.slice(0, -1);
  }
}
const median = (all) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)];
const told = (all) => all.map((cost) => cost.toFixed(1)).join(", ");
const browserOf = (page) => page.context().browser();
const mark = () => page.evaluate(() => void performance.mark("here"));

test("U2: a thousand mappings that change every second cost at most 16 ms of scripting a tick", async (t) => {
  const ticks = await many(t);
  let cost = Infinity;
  for (let round = 0; round < ROUNDS && cost > 16; round += 1) {
    const trace = new Trace(page);
    await trace.begin();
    await mark();
    await ticks.reach(ticks.now() + TICKS + 2);
    await trace.end();
    const each = trace.ticks();
    const longest = Math.max(...trace.tasks());
    t.diagnostic(`scripting for a tick: ${told(each)} ms; the longest task ${longest.toFixed(1)} ms`);
    assert.ok(each.length >= TICKS - 2 && Math.min(...each) > 1, `every tick is seen: ${told(each)}`);
    cost = median(each);
  }
  assert.ok(cost <= 16, `${cost} ms`);
});

for (const remembers of [true, false]) {
  test(`U2: the past of a row in sight is asked for once${remembers ? "" : ", and where it cannot be had not with every tick"}`, async (t) => {
    const ticks = await many(t, { remembers });
    await ticks.reach(ticks.now() + 3);
    const times = [...ticks.asked.values()];
    assert.ok(times.length > 10 && times.length < 100, `${times.length} rows`);
    assert.deepEqual(times.filter((often) => often > 1), []);
  });
}

test("U2: a thousand mappings scroll without a task over 50 ms, and only rows in sight are drawn", async (t) => {
  await many(t);
  let longest = Infinity;
  for (let round = 0; round < ROUNDS && longest > 50; round += 1) {
    const trace = new Trace(page);
    await page.evaluate(() => scrollTo(0, 0));
    await page.mouse.move(700, 600);
    await trace.begin();
    await mark();
    for (let step = 0; step < 60; step += 1) {
      await page.mouse.wheel(0, 300);
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
    }
    await trace.end();
    const tasks = trace.tasks().sort((a, b) => b - a);
    t.diagnostic(`${tasks.length} tasks, the longest ${told(tasks.slice(0, 5))} ms`);
    assert.ok(tasks.length > 60);
    [longest] = tasks;
  }
  assert.ok(longest <= 50, `a task of ${longest} ms`);
  assert.ok((await page.evaluate(() => scrollY)) > 5000, "it scrolled");
  for (let step = 0; step < 5; step += 1) {
    await page.mouse.wheel(0, 700);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
    const drawn = await page.locator("tbody tr").count();
    assert.ok(drawn > 20 && drawn < 150, `${drawn} rows are drawn`);
  }
  // Far from the top the right rows are there.
  await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
  await page.getByRole("rowheader", { name: "mapping 0999" }).waitFor();
  assert.equal(await page.locator("table.mappings").getAttribute("aria-rowcount"), String(1 + 10 + MANY));
  // And near it again, after another view.
  await page.getByRole("link", { name: "History", exact: true }).click();
  await page.getByRole("heading", { name: "History" }).waitFor();
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  await page.evaluate(() => scrollTo(0, 0));
  await page.getByRole("rowheader", { name: "mapping 0000" }).waitFor();
  await page.getByRole("searchbox").fill("mapping 0500");
  await page.getByText("1 of 1000 rows").waitFor();
});

test("U24: a strict policy, nothing from elsewhere, at most 150 kB compressed, and the first view within a second", async (t) => {
  const texts = [];
  page.on("request", (request) => assert.equal(new URL(request.url()).origin, new URL(URL_).origin));
  const take = (answer) => {
    if (answer.url().includes("/ui/") || answer.url() === URL_) texts.push(answer.body());
  };
  page.on("response", take);
  const answer = await page.goto(URL_);
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  await row(ITALY).waitFor();
  // Bodies of what is loaded again may be gone before they are asked for.
  page.off("response", take);
  const bodies = await Promise.all(texts);
  const size = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0);
  t.diagnostic(`${texts.length} files, ${size} bytes compressed`);
  assert.ok(texts.length > 20 && size < 150_000, `${size} bytes`);
});

test("U24: the first view is there within a second", async (t) => {
  await page.addInitScript(() => {
    // When the first row of a mapping is in the page.
    new MutationObserver((_, observer) => {
      if (!document.querySelector("tbody tr:not(.group)")) return;
      observer.disconnect();
      requestAnimationFrame(() => (globalThis.drawnAt = performance.now()));
    }).observe(document, { childList: true, subtree: true });
  });
  const [paints, rows] = [[], []];
  for (let round = 0; round < 7; round += 1) {
    await page.goto(URL_);
    rows.push(await (await page.waitForFunction(() => globalThis.drawnAt)).jsonValue());
    // It is entered after the frame is shown.
    paints.push(await (await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime)).jsonValue());
  }
  t.diagnostic(`first paint after ${told(paints)} ms, mappings after ${told(rows)} ms`);
  // Other work of the machine makes one of them longer, hardly most.
  assert.ok(median(paints) <= 1000 && median(rows) <= 1000, `${told(paints)}; ${told(rows)}`);
});
