// The map in a real browser. `cargo xtask ui` runs this with all it needs: GEO_STREAM_URL is a running service,
// CHROMIUM the browser, SHOTS a folder for screenshots.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, beforeEach, test } from "node:test";

const { chromium } = createRequire(import.meta.url)("playwright-core");
const URL_ = process.env.GEO_STREAM_URL ?? "http://127.0.0.1:8000/";

let browser;
let page;
let wrong;
let asked;

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
after(() => browser.close());

beforeEach(async () => {
  const context = await browser.newContext({ viewport: { width: 1200, height: 700 } });
  context.setDefaultTimeout(15_000);
  page = await context.newPage();
  wrong = [];
  asked = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("request", (request) => asked.push(request.url()));
  page.on("websocket", (socket) => asked.push(socket.url().replace("ws:", "http:")));
});
afterEach(async () => {
  await page.context().close();
  assert.deepEqual(wrong, []);
  const here = new URL(URL_).host;
  assert.deepEqual(asked.filter((url) => new URL(url).host !== here), []);
});

const data = (name) => page.locator("#map").evaluate((map, name) => Number(map.dataset[name]), name);
const until = (what, ...values) => page.waitForFunction(what, values);
const points = (least) => until(([least]) => Number(document.getElementById("map").dataset.points) >= least, least);
const open = async (query = "") => {
  await page.goto(URL_ + query);
  await page.locator("#status", { hasText: /^connected$/ }).waitFor();
};
const post = async (name, lat, lon) => {
  const body = JSON.stringify({ name, message_id: "1", timestamp: Date.now(), lat, lon });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(new URL(`producer/geostream?key=${encodeURIComponent(name)}`, URL_), { method: "POST", headers, body });
  assert.equal(answer.status, 200, await answer.text());
};
const entity = (name) => page.locator("#entities li", { hasText: name });
/** How many pixels of the map have the colour. */
const painted = (color) =>
  page.evaluate((color) => {
    const map = document.getElementById("map");
    const probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
    const { data } = map.getContext("2d").getImageData(0, 0, map.width, map.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) count += data[at] === r && data[at + 1] === g && data[at + 2] === b;
    return count;
  }, color);
const swatch = (name) => entity(name).locator("i").evaluate((i) => getComputedStyle(i).backgroundColor);

test("each thing that moves has a line of its own colour", async () => {
  await open();
  await entity("ship-6").waitFor();
  await points(30);
  const colors = new Set();
  for (let ship = 1; ship <= 6; ship++) {
    const color = await swatch(`ship-${ship}`);
    colors.add(color);
    assert.ok((await painted(color)) > 20, `ship-${ship} is ${color} and not on the map`);
  }
  assert.equal(colors.size, 6);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/map.png` });
});

test("zooming clears the lines, what moves goes on", async () => {
  await open();
  await points(24);
  const scale = await data("scale");
  await page.locator("#map").hover({ position: { x: 600, y: 350 } });
  await page.mouse.wheel(0, -100);
  await until(([scale]) => Number(document.getElementById("map").dataset.scale) > scale, scale);
  assert.ok((await data("points")) < 24, "lines are gone");
  assert.equal(await data("lines"), await page.locator("#entities li").count());
  await points(24);
  await page.getByRole("button", { name: "Zoom out" }).click();
  await until(([scale]) => Math.abs(Number(document.getElementById("map").dataset.scale) - scale) < 0.01, scale);
});

test("the map follows pointer and keys", async () => {
  await open();
  await points(1);
  const [lon, lat] = [await data("lon"), await data("lat")];
  await page.mouse.move(600, 350);
  await page.mouse.down();
  await page.mouse.move(500, 300, { steps: 5 });
  await page.mouse.up();
  await until(([lon, lat]) => {
    const { dataset } = document.getElementById("map");
    return Number(dataset.lon) > lon + 10 && Number(dataset.lat) < lat - 5;
  }, lon, lat);
  const moved = await data("lon");
  await page.locator("#map").focus();
  await page.keyboard.press("ArrowRight");
  await until(([moved]) => Number(document.getElementById("map").dataset.lon) > moved, moved);
});

for (const via of ["", "?via=events"]) {
  test(`a posted position is on the map at once, by ${via || "websocket"}`, async () => {
    await open(via);
    const name = `ann${via ? "-events" : ""}`;
    await post(name, 0, 20);
    await post(name, 20, 20);
    await entity(name).waitFor();
    const color = await swatch(name);
    const deadline = Date.now() + 10_000;
    while ((await painted(color)) < 60 && Date.now() < deadline) await points(1);
    assert.ok((await painted(color)) >= 60, "a line of twenty degrees is drawn");
  });
}

test("nothing from elsewhere may run", async () => {
  const answer = await page.goto(URL_);
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  // What comes before the page listens is not for it.
  await points(1);
  // What is on the topic is text, whatever it looks like.
  await post("<img src=x onerror=alert(1)>", 1, 1);
  await page.locator("#entities li", { hasText: "<img" }).waitFor();
  assert.equal(await page.locator("#entities img").count(), 0);
});
