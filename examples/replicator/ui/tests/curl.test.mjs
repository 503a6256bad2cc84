// Every action is one documented call, and its button copies just that call. That the page calls nothing which the
// document of the API does not have is looked at after every test: support.mjs, which also says how to run this.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CUSTOMERS, ITALY, api, context, open, page, row } from "./support.mjs";

const MORNING = "a recorded morning";
const at = (name, more = "") => `?mapping=${encodeURIComponent(name)}${more}`;
const click = (name) => page.getByRole("button", { name, exact: true }).first().click();
const settled = () => page.getByText("Nothing is changed.").waitFor();
/** What only asks, though it sends something. */
const ASKS = /api\/(validate|filter-test|value-mapping-preview)$/;

/** Where the action is, what its button is called, what is done before, and the action itself. */
const ACTIONS = {
  "switching this mapping": [at(CUSTOMERS), async () => {}, async () => {
    await click("Switch off");
    // It is asked about where records wait just now.
    const question = page.getByRole("dialog").getByRole("button", { name: "Switch off" });
    await Promise.race([question.waitFor().then(() => question.click(), () => {}), page.getByText("is off.").waitFor()]);
  }],
  "pausing or resuming this mapping": [at(CUSTOMERS), async () => {}, () => click("Pause")],
  history: [at(CUSTOMERS), () => page.locator("line-chart").first().waitFor(), () => page.getByLabel("Range").selectOption("60")],
  "records of orders (source)": [at(ITALY, "&tab=messages"), () => page.getByText(/20 shown/).first().waitFor(), () => click("Read")],
  "try this filter": [at(ITALY, "&tab=filter"), () => page.getByText(/% of 20 records/).waitFor(), () => click("Try again")],
  "try these value mappings": [at(CUSTOMERS, "&tab=values"), () => page.getByText(/The last 20 records/).waitFor(), () => click("Try again")],
  save: [at(CUSTOMERS, "&tab=edit"), async () => {
    await settled();
    await page.getByLabel("Group", { exact: true }).fill("quotes ' and \" and ü");
    await page.getByText("It can be saved.", { exact: true }).waitFor();
    await page.getByLabel("Comment").fill("it's why");
  }, () => click("Save")],
  "delete this mapping": [at(CUSTOMERS, "&tab=edit"), settled, async () => {
    await click("Delete …");
    await page.getByLabel(/^Type its name/).fill(CUSTOMERS);
    await page.getByRole("dialog").getByLabel("Comment").fill(`delete ${CUSTOMERS}`);
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  }],
  "pause or resume this replay": [at(MORNING), () => page.getByText(/\d+ of 10/).waitFor(), () => page.getByRole("region", { name: "Replay" }).getByRole("button", { name: "Pause", exact: true }).click()],
  "speed of this replay": [at(MORNING), () => page.getByText(/\d+ of 10/).waitFor(), () => page.getByLabel("Speed", { exact: true }).selectOption("1")],
};

const parsed = (text) => {
  const words = [...text.matchAll(/'((?:[^']|'\\'')*)'|(\S+)/g)].map(([, quoted, plain]) => quoted?.replaceAll("'\\''", "'") ?? plain);
  assert.equal(words.shift(), "curl");
  const call = { method: undefined, headers: {}, body: null, url: "" };
  while (words.length > 0) {
    const word = words.shift();
    if (word === "-X") call.method = words.shift();
    else if (word === "-d") call.body = words.shift();
    else if (word === "-H") call.headers[words[0].split(": ")[0].toLowerCase()] = words.shift().split(": ")[1];
    else call.url = word;
  }
  return { ...call, method: call.method ?? (call.body === null ? "GET" : "POST") };
};

for (const [what, [query, before, act]] of Object.entries(ACTIONS)) {
  test(`U26: what is copied as curl is what the page calls: ${what}`, async () => {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const calls = [];
    await page.route(/\/api\//, async (route) => {
      const request = route.request();
      calls.push({ method: request.method(), url: request.url(), headers: request.headers(), body: request.postData() });
      const reads = request.method() === "GET" || ASKS.test(request.url()) || (request.url().endsWith("/replay") && request.postData() === "{}");
      // Nothing is really changed.
      return reads ? route.continue() : route.fulfill({ status: 200, json: [] });
    });
    await open(query);
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    await before();
    if (what === "history") await page.getByLabel("Range").selectOption("60");
    await page.getByRole("button", { name: `Copy as curl: ${what}`, exact: true }).first().click();
    await page.getByText("Copied as curl.").first().waitFor();
    const copied = parsed(await page.evaluate(() => navigator.clipboard.readText()));
    calls.length = 0;
    await act();
    const same = (call) => call.method === copied.method && call.url.replaceAll("+", "%20") === copied.url.replaceAll("+", "%20") && call.body === copied.body;
    for (const end = Date.now() + 20_000; !calls.some(same); await new Promise((done) => setTimeout(done, 50))) {
      assert.ok(Date.now() < end, `copied ${JSON.stringify(copied)}, called ${JSON.stringify(calls.filter(({ method }) => method === copied.method))}`);
    }
    const call = calls.find(same);
    for (const name of ["if-match", "content-type"]) assert.equal(call.headers[name], copied.headers[name], name);
  });
}

test("U26: what is copied does in a terminal what the page does", async () => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(at(CUSTOMERS));
  await page.getByRole("button", { name: "Copy as curl: pausing or resuming this mapping" }).click();
  await page.getByText("Copied as curl.").waitFor();
  const { method, url, headers, body } = parsed(await page.evaluate(() => navigator.clipboard.readText()));
  assert.equal((await fetch(url, { method, headers, body })).status, 200);
  await page.locator("state-badge", { hasText: "paused" }).waitFor();
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.locator("state-badge", { hasText: "running" }).waitFor();
  assert.equal((await api(`mappings/${encodeURIComponent(CUSTOMERS)}`)).body.stats[0].enabled, true);
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  await row(CUSTOMERS).locator("state-badge", { hasText: "running" }).waitFor();
});
