// Whether the types of the page are those of the API. How to run this: support.mjs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";

import { typesOf } from "./types.mjs";

const FILE = new URL("../api/types.d.ts", import.meta.url);
const PAGE = new URL("..", import.meta.url).pathname;

test("U26: the types of the page are those of the API's document", () => {
  const env = { ...process.env, FILE_DATA_PATH: "unused" };
  const document = execFileSync(process.env.REPLICATOR_BIN, ["openapi"], { env, encoding: "utf8", maxBuffer: 1e8 });
  const modules = readdirSync(PAGE, { recursive: true }).filter((name) => name.endsWith(".js"));
  const page = modules.map((module) => readFileSync(PAGE + module, "utf8")).join("\n");
  const made = typesOf(JSON.parse(document), page);
  if (process.env.DOCS) writeFileSync(FILE, made);
  assert.ok(readFileSync(FILE, "utf8") === made, "api/types.d.ts is not that of the API: run `cargo xtask ui --bless`");
});
