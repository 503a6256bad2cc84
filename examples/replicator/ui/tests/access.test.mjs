// What axe finds on every view, in both themes. How to run this: support.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { CUSTOMERS, ITALY, open, page, row } from "./support.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const VIEWS = {
  table: ["", () => row(ITALY).locator("state-badge", { hasText: "running" })],
  overview: [CUSTOMERS, () => page.locator("line-chart").nth(3)],
  messages: [`${CUSTOMERS}&tab=messages`, () => page.getByText(/[1-9]\d* shown/).nth(1)],
  filter: [`${ITALY}&tab=filter`, () => page.getByText(/% of 20 records/)],
  values: [`${CUSTOMERS}&tab=values`, () => page.getByText("✎ changed").first()],
  edit: [`${CUSTOMERS}&tab=edit`, () => page.getByText("Nothing is changed.")],
};

for (const colorScheme of ["light", "dark"]) {
  for (const [view, [mapping, shown]] of Object.entries(VIEWS)) {
    test(`U21: nothing serious in ${view}, ${colorScheme}`, async () => {
      await page.emulateMedia({ colorScheme });
      await open(mapping ? `?mapping=${mapping.replaceAll(" ", "+")}` : "");
      await shown().waitFor();
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const told = grave.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html + node.failureSummary)}`);
      assert.deepEqual(told, []);
    });
  }
}
