// Texts from Kafka, files and users, in every place and every view. How to run this: support.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CUSTOMERS, ITALY, deaf, open, page } from "./support.mjs";

const MARK = "⟦";
const PAYLOADS = {
  markup: `<img src=x onerror="window.ran=1"><script>window.ran=1</script><svg onload="window.ran=1">`,
  attribute: `" onclick="window.ran=1" autofocus onfocus="window.ran=1" x='`,
  address: `javascript:window.ran=1//`,
};

/** What tells the page what to do rather than what to show. */
const WORDS = new Set(["state", "kind", "severity", "version", "time", "time_iso", "started", "action", "protocol", "partition"]);

/** Every text, with the payload before it; texts that are JSON themselves stay JSON. */
function spoilt(value, payload, name = "") {
  if (Array.isArray(value)) return value.map((item) => spoilt(item, payload, name));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, spoilt(item, payload, name)]));
  if (typeof value !== "string" || WORDS.has(name)) return value;
  if (name === "text") {
    try {
      return JSON.stringify(spoilt(JSON.parse(value), payload), null, 2);
    } catch {
      return value;
    }
  }
  return payload + MARK + value;
}

async function spoil(payload) {
  await deaf();
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => ((globalThis.violations ??= []).push(event.violatedDirective))));
  await page.route(/^http:..[^/]+\/api\//, async (route) => {
    const request = route.request();
    if (request.url().includes("/api/events")) return route.abort();
    const strip = (text) => text.split(payload + MARK).join("");
    const url = new URL(request.url());
    url.pathname = strip(decodeURIComponent(url.pathname)).split("/").map(encodeURIComponent).join("/");
    for (const [name, value] of [...url.searchParams]) url.searchParams.set(name, strip(value));
    const body = request.postData() ?? undefined;
    const escaped = JSON.stringify(payload + MARK).slice(1, -1);
    const twice = JSON.stringify(escaped).slice(1, -1);
    const answer = await route.fetch({ url: url.href, postData: body?.split(twice).join("").split(escaped).join("") });
    await route.fulfill({ response: answer, json: spoilt(await answer.json(), payload) });
  });
}

const VIEWS = {
  table: [() => "", () => page.locator("tbody th a").first()],
  overview: [(name) => `?mapping=${name(CUSTOMERS)}`, () => page.locator("line-chart").first()],
  messages: [(name) => `?mapping=${name(CUSTOMERS)}&tab=messages`, () => page.locator(".message").first()],
  filter: [(name) => `?mapping=${name(ITALY)}&tab=filter`, () => page.locator("filter-test .judged").first()],
  values: [(name) => `?mapping=${name(CUSTOMERS)}&tab=values`, () => page.locator(".message").first()],
  form: [(name) => `?mapping=${name(CUSTOMERS)}&tab=edit`, () => page.getByText("Nothing is changed.")],
  history: [() => "?page=history", () => page.getByRole("heading", { name: "History" })],
  templates: [() => "?page=templates", () => page.getByText(/Makes \d mapping/).first()],
};

for (const [what, payload] of Object.entries(PAYLOADS)) {
  test(`U17 U25: hostile ${what} is shown as text in every view and never runs`, async () => {
    await spoil(payload);
    for (const [view, [query, shown]] of Object.entries(VIEWS)) {
      await open(query((name) => encodeURIComponent(payload + MARK + name)));
      await shown().waitFor();
      const found = await page.evaluate(() => ({ ran: window.ran, images: document.images.length, scripts: document.scripts.length, violations: globalThis.violations ?? [], outside: [...document.links].filter((link) => link.origin !== location.origin).length }));
      assert.deepEqual(found, { ran: undefined, images: 0, scripts: 2, violations: [], outside: 0 }, view);
      if (view === "table") assert.ok((await page.locator("tbody th a").first().textContent()).startsWith(payload));
    }
  });
}
