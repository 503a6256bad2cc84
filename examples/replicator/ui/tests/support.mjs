// What the tests of the page in a real browser share; each test is named by the point it shows. `cargo xtask ui` runs
// them with all they need: REPLICATOR_BIN is the program, of which each file of tests starts its own demonstration (files
// run beside each other), and tests one more where they want it; CHROMIUM the browser; SHOTS a folder for screenshots.
// Without the program REPLICATOR_URL is a running demonstration.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, beforeEach, afterEach } from "node:test";

const { chromium } = createRequire(import.meta.url)("playwright-core");
export let URL_ = process.env.REPLICATOR_URL ?? "http://127.0.0.1:8000/";
export const CUSTOMERS = "customers with the ids of staging";
export const ITALY = "large orders from Italy";

let browser;
export let context;
export let page;
let wrong;
/** What the API's document has, as `METHOD` and a pattern of paths. */
let documented;
let called;

/** Of this file of tests. */
let own;
after(async () => {
  await browser?.close();
  await own?.stop();
});

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  // Far more than it takes: a loaded machine is no fault of the page.
  context.setDefaultTimeout(30_000);
  page = await context.newPage();
  wrong = [];
  called = [];
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.startsWith("/api/")) called.push({ method: request.method(), pathname });
  });
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
  // U26: the page does nothing that a script could not do.
  const unknown = called.filter(({ method, pathname }) => !documented.some((known) => known.method === method && known.path.test(pathname)));
  assert.deepEqual(unknown, []);
});

export const open = async (query = "", url = URL_) => {
  await page.goto(url + query);
  await page.locator("replicator-app h1:visible").first().waitFor();
};
/** Another browser, which knows nothing of the first. */
export async function another(url = URL_, query = "") {
  const other = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  other.setDefaultTimeout(30_000);
  const page = await other.newPage();
  await page.goto(url + query);
  return { page, close: () => other.close() };
}
export const row = (name) => page.locator("tr", { has: page.getByRole("link", { name, exact: true }) });
export const shot = async (name) => process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}.png`, fullPage: true });
/** What is seen, for the documents where `cargo xtask ui --bless` asks for it. */
export const picture = async (name) => {
  const folder = process.env.DOCS ?? process.env.SHOTS;
  if (folder) await page.screenshot({ path: `${folder}/replicator-${name}.png`, scale: "css" });
};
export const api = async (path, body, method = "POST") => {
  const options = body === undefined ? {} : { method, headers: { "content-type": "application/json", "if-match": "*" }, body: JSON.stringify(body) };
  const answer = await fetch(new URL(`api/${path}`, URL_), options);
  return { status: answer.status, body: await answer.json() };
};
export const remove = (name) => fetch(new URL(`api/mappings/${encodeURIComponent(name)}?comment=done`, URL_), { method: "DELETE", headers: { "if-match": "*" } });
/** Lets no event through, as some proxies do: the page asks instead. */
export const deaf = () => page.route("**/api/events", (route) => route.abort());
/** Changes what the service answers. */
export const change = async (path, edit) => {
  await deaf();
  await page.route(`**/api/${path}`, async (route) => {
    const answer = await route.fetch();
    const json = await answer.json();
    edit(json);
    await route.fulfill({ response: answer, json });
  });
};

/** Tab until what has this name has the focus; without a name: until `fits` holds of it. */
export async function tabTo(wanted, { back = false, fits = () => true } = {}) {
  for (let step = 0; step < 160; step += 1) {
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const labels = element.labels ? [...element.labels].map((label) => label.textContent) : [];
      const names = [element.getAttribute("aria-label") ?? "", ...labels, element.textContent].map((text) => text.trim());
      return { names, tag: element.localName, place: element.closest("section, message-pane, li, dialog")?.textContent ?? "" };
    });
    if (at.names.some((name) => (wanted instanceof RegExp ? wanted.test(name) : name === wanted)) && fits(at)) return;
    await page.keyboard.press(back ? "Shift+Tab" : "Tab");
  }
  throw new Error(`no Tab leads to ${wanted}`);
}

/** What a program needs to run at all: no test works on the clusters and files of whoever starts it. */
const KEPT = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "RUST_BACKTRACE"];
const plain = Object.fromEntries(KEPT.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));

const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGTERM")));
// Without this the end by a signal, at a time limit for example, is no exit.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.once(signal, () => process.exit(1));

/** A service of its own, which ends with the test. */
export async function service(t, env, address) {
  const own = await start(env, address);
  t.after(own.stop);
  return own;
}

async function start(env = {}, address = "127.0.0.1:0") {
  const child = spawn(process.env.REPLICATOR_BIN, { env: { ...plain, CITIZENK_HTTP: address, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const ended = new Promise((done) => child.on("exit", done)).then(() => running.delete(child));
  let said = "";
  const serving = new Promise((done, fail) => {
    const take = (data) => {
      said += data;
      const found = said.match(/serving HTTP address=(\S+)\s/);
      if (found) done(found[1]);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    void ended.then(() => fail(new Error(`the service ended: ${said}`)));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const force = setTimeout(() => child.kill("SIGKILL"), 15_000);
    await ended;
    clearTimeout(force);
  };
  const at = await serving;
  const cluster = (name) => said.match(new RegExp(`cluster="${name}" address="([^"]+)"`))?.[1];
  /** Of a demonstration. */
  const folder = () => said.match(/its files are in (\S+)/)?.[1];
  return { at, url: `http://${at}/`, stop, cluster, folder };
}

// Last: hooks may run as soon as they are known.
before(async () => {
  if (!process.env.REPLICATOR_BIN) return;
  own = await start();
  URL_ = own.url;
});
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
before(async () => {
  const { paths } = await (await fetch(new URL("openapi.json", URL_))).json();
  const pattern = (path) => new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`);
  documented = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: pattern(path) })));
});
