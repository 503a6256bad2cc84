// Form and JSON are two views of one text: every field, both ways, byte for byte. How to run this: support.mjs.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { open, page } from "./support.mjs";

const source = readFileSync(new URL("../components/fields.js", import.meta.url), "utf8");
const { SECTIONS } = await import(`data:text/javascript,${encodeURIComponent(source)}`);
const FIELDS = SECTIONS.flatMap(({ fields }) => fields);

/**
 * Every field of the form: as it is written, as the form shows it, what is typed instead, and how that is written.
 * @type {Record<string, [string, string | boolean, string | boolean, string]>}
 */
const TABLE = {
  name: ['"all \\u0041"', "all A", 'quotes " and \\', '"quotes \\" and \\\\"'],
  group: ['"g\\/h"', "g/h", "größer 🦀", '"größer 🦀"'],
  enabled: ["false", false, true, "true"],
  source_topic_name: ['"orders"', "orders", "customers", '"customers"'],
  target_topic_name: ['"orders"', "orders", "", '""'],
  source_is_file: ["true", true, false, "false"],
  target_is_file: ["false", false, true, "true"],
  topics: ['[{"source":"a","target":"b","big":9007199254740993}]', '[\n  {\n    "source": "a",\n    "target": "b",\n    "big": 9007199254740993\n  }\n]', '[{"source": "c"}]', '[{"source": "c"}]'],
  valid_jmespath: ['"value.a == `9007199254740993`\\n&& key"', "value.a == `9007199254740993`\n&& key", "value.b\n== 'x'", "\"value.b\\n== 'x'\""],
  sample_percent: ["10.50", "10.50", "9007199254740993", "9007199254740993"],
  sample_by: ['"key"', "key", "random", '"random"'],
  on_decode_error: ['"drop"', "drop", "stop", '"stop"'],
  value_mappings: ['{"value.id":{"1":9223372036854775807,"1":2.50}}', '{\n  "value.id": {\n    "1": 9223372036854775807,\n    "1": 2.50\n  }\n}', '{"key": {"a": 1e400}}', '{"key": {"a": 1e400}}'],
  provenance: ["true", true, false, "false"],
  target_service_consumer_group: ['"billing"', "billing", "b.2", '"b.2"'],
  target_service_group_action: ['"delete"', "delete", "reset_to_latest", '"reset_to_latest"'],
  "replay.speed": ["2.50", "2.50", "0", "0"],
  "replay.loop": ["true", true, false, "false"],
  "replay.from": ["9007199254740993", "9007199254740993", "-1", "-1"],
  "replay.to": ["9223372036854775807", "9223372036854775807", "9223372036854775806", "9223372036854775806"],
  "replay.epoch": ['"shared"', "shared", "file", '"file"'],
  "replay.original_timestamp": ["false", false, true, "true"],
};
/** What no form knows. */
const UNKNOWN = '"mine" : { "same": 1, "same": 2.50, "deep": [ 1e400, "\\u00e9" ] },\n\t"huge": 123456789012345678901234567890, "huge": -0.0';

const members = (prefix) => Object.entries(TABLE).filter(([path]) => path.startsWith(prefix));
const replay = members("replay.").map(([path, [raw]]) => `"${path.split(".")[1]}":  ${raw}`);
/** All of it, with spaces as a hand leaves them. */
const TEXT = `{ ${members("").filter(([path]) => !path.includes(".")).map(([path, [raw]]) => `"${path}" :${raw}`).join(",\n   ")},\n "replay": {${replay.join(" , ")}, "later": 9007199254740993},\n ${UNKNOWN} }`;

const show = (view) => page.getByRole("button", { name: view, exact: true }).click();
const area = () => page.getByLabel("The new mapping, as JSON");
const control = (path) => page.locator(`[data-field="${path}"]`);
const shown = (path) => control(path).evaluate((element) => (element.type === "checkbox" ? element.checked : element.value));

async function begin(text) {
  await open("?new=1&view=json");
  await page.getByText("Nothing is changed.").waitFor();
  await area().fill(text);
}

test("U6: every field of the form is in this table", () => {
  assert.deepEqual(Object.keys(TABLE).sort(), FIELDS.map(({ path }) => path.join(".")).sort());
});

test("U6: the form shows every field exactly, and going there and back changes no byte", async () => {
  await begin(TEXT);
  for (let round = 0; round < 2; round += 1) {
    await show("Form");
    for (const [path, [, expected]] of Object.entries(TABLE)) assert.equal(await shown(path), expected, path);
    await page.getByText("Kept as they are, to be edited as JSON: mine, huge").waitFor();
    // Looking at a field is no change of it.
    for (const path of Object.keys(TABLE)) await control(path).focus();
    await show("JSON");
    assert.equal(await area().inputValue(), TEXT);
  }
});

test("U6: each field changes its own value in the text and nothing else, and JSON changes the field", async () => {
  await begin(TEXT);
  for (const { path: names, kind } of FIELDS) {
    const path = names.join(".");
    const [raw, , typed, written] = TABLE[path];
    await area().evaluate((element, text) => {
      element.value = text;
      element.dispatchEvent(new Event("input"));
    }, TEXT);
    await show("Form");
    if (kind === "flag") await control(path).setChecked(typed);
    else if (kind === "choice") await control(path).selectOption(typed);
    else await control(path).fill(typed);
    await show("JSON");
    // The value stands behind its name; names are unique up to their depth.
    const before = names.length > 1 ? `"${names[1]}":  ` : `"${path}" :`;
    assert.equal(TEXT.split(before + raw).length, 2, path);
    const expected = TEXT.replace(before + raw, () => before + written);
    assert.equal(await area().inputValue(), expected, path);
    // And what is written as JSON is what the form shows.
    await area().fill(expected);
    await show("Form");
    const [now, all] = [await shown(path), kind === "json" ? JSON.stringify : (value) => value];
    if (kind === "json") assert.equal(now.replaceAll(/\s/g, ""), written.replaceAll(/\s/g, ""), path);
    else assert.equal(now, all(typed), path);
    await show("JSON");
    assert.equal(await area().inputValue(), expected, path);
  }
});

test("U6: a field that stands twice is left to the JSON, whichever it is", async () => {
  const twice = Object.entries(TABLE).filter(([path]) => !path.includes(".")).flatMap(([path, [raw, , , written]]) => [`"${path}":${raw}`, `"${path}": ${path === "source_is_file" ? raw : written}`]);
  const text = `{ ${twice.join(",\n")}, "replay": { ${[...replay, ...replay].join(", ")} } }`;
  await begin(text);
  await show("Form");
  for (const path of Object.keys(TABLE)) {
    assert.ok(await control(path).isDisabled(), path);
    assert.match(await control(path).evaluate((element) => document.getElementById(element.getAttribute("aria-describedby")).textContent), /It stands twice: edit it as JSON/, path);
  }
  await show("JSON");
  assert.equal(await area().inputValue(), text);
});
