// Texts from Kafka, files and users, in every place and every view. How to run this: support.mjs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CUSTOMERS, ITALY, another, deaf, open, page } from "./support.mjs";

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

async function spoil(payload, edit = (_path, json) => json) {
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
    await route.fulfill({ response: answer, json: spoilt(edit(url.pathname, await answer.json()), payload) });
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

const shownAt = (selector) => page.locator(selector);
/** Each place that texts come from: where it is seen, and what is put there beside what every answer says. */
const ORIGINS = {
  "name of a mapping": ["table", () => shownAt("tbody th a")],
  "group of mappings": ["table", () => shownAt("button.group")],
  "name of a topic": ["table", () => shownAt(".topics .mono")],
  "consumer group": ["table", () => shownAt("tbody .chip")],
  "comment of the configuration": ["table", () => shownAt("dl.facts dd")],
  "name of the environment": ["table", () => shownAt(".banner")],
  "error in a file": ["table", () => shownAt(".stale:not([hidden])")],
  "error of a mapping": ["overview", () => shownAt(".card .problem")],
  "field of a mapping": ["overview", () => shownAt(".fields dd")],
  "member of a group": ["overview", () => shownAt("group-panel li")],
  "error of a group": ["overview", () => shownAt("group-panel .problem")],
  "key of a record": ["messages", () => shownAt(".key-text")],
  "value of a record": ["messages", () => shownAt(".message pre.code")],
  "header of a record": ["messages", () => shownAt("pre[aria-label=Headers]")],
  "reason of a filter": ["filter", () => shownAt("filter-test .problem")],
  "before and after": ["values", () => shownAt(".diff")],
  "text of a field": ["form", () => shownAt("mapping-form [data-field=group]")],
  "comment of a change": ["history", () => shownAt("li.card strong")],
  "name of a template": ["templates", () => shownAt("section.card h2")],
};

const group = { group: "billing", action: "delete", every_ms: 30_000, known: { state: "stable", members: 1, looked_at: 1, acted_at: 1, error: "not allowed" } };
const ADDED = {
  "/api/stats": ([stats]) => stats.mappings.forEach((row) => Object.assign(row, { state: "error", detail: "why", target_service_consumer_group: "billing", consumer_group_up: true })),
  "/api/service": (service) => Object.assign(service, { environment: "PRODUCTION", comment: "why", refused: [{ severity: "error", origin: "mappings.json", message: "a comma is missing" }] }),
  "/api/messages": ({ messages }) => messages.forEach((message) => Object.assign(message, { key: "key", value: { text: "value" }, headers: [["name", "header"]] })),
  "/api/filter-test": ({ messages }) => messages.forEach((message) => (message.reason = "no answer")),
  "/api/versions": (versions) => versions.splice(0, versions.length, { id: 1, file: "templates/x.json", comment: "a change", text: "before" }),
};

test("An XSS table: texts from Kafka, files and users are seen as they are, each where it belongs, and none runs", async () => {
  const payload = PAYLOADS.markup;
  await spoil(payload, (path, json) => {
    const add = Object.entries(ADDED).find(([name]) => path === name);
    add?.[1](json);
    return path.endsWith("/service-group") ? group : json;
  });
  await page.route("**/api/clusters/target/groups/*", (route) => route.fulfill({ json: { group: { group: "billing", state: "stable", members: [{ client_id: payload, host: payload, member_id: "x", partitions: [] }] }, offsets: [] } }));
  let at = "";
  const unseen = [];
  for (const [origin, [view, places]] of Object.entries(ORIGINS)) {
    if (at !== view) {
      const [query, whole] = VIEWS[view];
      await open(query((name) => encodeURIComponent(payload + MARK + name)));
      await whole().waitFor();
      if (view === "messages") await page.locator(".message summary").first().click();
      at = view;
    }
    await places().first().waitFor();
    const texts = await places().evaluateAll((elements) => elements.map((element) => ("value" in element && element.value) || element.textContent));
    // In JSON the quotes of a text are escaped.
    const seen = texts.some((text) => text.includes("<img src=x onerror=") && text.includes("window.ran=1") && text.includes("<script>"));
    if (!seen) unseen.push(`${origin}: ${texts.slice(0, 3)}`);
    const found = await page.evaluate(() => ({ ran: window.ran, images: document.images.length, scripts: document.scripts.length, violations: globalThis.violations ?? [] }));
    assert.deepEqual(found, { ran: undefined, images: 0, scripts: 2, violations: [] }, origin);
  }
  assert.deepEqual(unseen, []);
  // The policy alone would stop it, too: markup that gets in by another way does not run.
  const other = await another();
  const blocked = await other.page.evaluate(() => {
    try {
      document.body.insertAdjacentHTML("beforeend", '<img src=x onerror="window.ran=1">');
      return "nothing";
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(blocked, "TypeError");
  assert.equal(await other.page.evaluate(() => window.ran), undefined);
  await other.close();
});
