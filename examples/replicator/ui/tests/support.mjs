// What the tests of the page in a real browser share; each test is named by the point it shows. By hand:
//
//   cargo run -p replicator &                       # the demonstration, on port 8000
//   npm install --prefix /tmp/browser playwright-core
//   NODE_PATH=/tmp/browser/node_modules node --test --test-concurrency=1 examples/replicator/ui/tests/
//
// REPLICATOR_URL is another address; `chromium` is taken from the PATH (or CHROMIUM); SHOTS is a folder for
// screenshots. Types are checked with `tsc --noEmit -p examples/replicator/ui`.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, beforeEach, afterEach } from "node:test";

const { chromium } = createRequire(import.meta.url)("playwright-core");
export const URL_ = process.env.REPLICATOR_URL ?? "http://127.0.0.1:8000/";
export const CUSTOMERS = "customers with the ids of staging";
export const ITALY = "large orders from Italy";

let browser;
export let context;
export let page;
let wrong;

before(async () => {
  const executablePath = process.env.CHROMIUM ?? execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
});
after(() => browser.close());

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(10_000);
  page = await context.newPage();
  wrong = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  // A refused request is told by the page itself; what remains is a fault of the page, or of its policy.
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) wrong.push(message.text());
  });
});
afterEach(async () => {
  // Answers that are still being changed need no page any more.
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await context.close();
  assert.deepEqual(wrong, []);
});

export const open = async (query = "") => {
  await page.goto(URL_ + query);
  await page.locator("replicator-app h1:visible").first().waitFor();
};
export const row = (name) => page.locator("tr", { has: page.getByRole("link", { name, exact: true }) });
export const shot = async (name) => process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true });
export const api = async (path, body, method = "POST") => {
  const options = body === undefined ? {} : { method, headers: { "content-type": "application/json", "if-match": "*" }, body: JSON.stringify(body) };
  const answer = await fetch(new URL(`api/${path}`, URL_), options);
  return { status: answer.status, body: await answer.json() };
};
export const change = (path, edit) =>
  page.route(`**/api/${path}`, async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    edit(json);
    await route.fulfill({ response: answer, json });
  });
