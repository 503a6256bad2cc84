// What only a real Kafka answers: how much waits for a group, and the group of the service that reads the target.
// `cargo xtask ui --real` starts one: KAFKA_BOOTSTRAP_SERVERS, and KAFKA_CLASSES with its own tools.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { open, page, row, service, shot } from "../support.mjs";

const SERVERS = process.env.KAFKA_BOOTSTRAP_SERVERS;
const NAME = "live to staging";

const tool = (name, ...args) => ["-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", process.env.KAFKA_CLASSES, `org.apache.kafka.tools.${name}`, "--bootstrap-server", SERVERS, ...args];
const run = (...args) => promisify(execFile)("java", tool(...args), { timeout: 60_000 });

/** A folder with a configuration, which is gone with the test. */
function folder(t, mapping) {
  const at = mkdtempSync(join(tmpdir(), "real-"));
  writeFileSync(join(at, "mappings.json"), JSON.stringify({ mappings: [mapping] }));
  t.after(() => rmSync(at, { recursive: true, force: true }));
  return at;
}

/** Writes so many records into the source, as a replay of a file. */
async function write(t, count) {
  const at = folder(t, { name: "writer", source_topic_name: "records", target_topic_name: "live", source_is_file: true, replay: { speed: 0 } });
  const line = (number) => `${JSON.stringify({ timestamp: 1_700_000_000_000 + number, key: `k${number}`, value: { number } })}\n`;
  writeFileSync(join(at, "records.json"), Array.from({ length: count }, (_, number) => line(number)).join(""));
  await service(t, { KAFKA_TARGET_SERVER_URL: SERVERS, FILE_DATA_PATH: at });
}

/** What a cell of the mapping's row says, as soon as it says this. */
const says = (text) => row(NAME).getByRole("cell", { name: text, exact: true }).first().waitFor();

test("U1 U5 U16 U20: on a real Kafka lag grows while a mapping is paused, and the service's group is deleted once it is empty", async (t) => {
  await Promise.all(["live", "staged"].map((topic) => run("TopicCommand", "--create", "--topic", topic, "--partitions", "1")));
  const at = folder(t, { name: NAME, source_topic_name: "live", target_topic_name: "staged", target_service_consumer_group: "billing" });
  const settings = { KAFKA_SOURCE_SERVER_URL: SERVERS, KAFKA_TARGET_SERVER_URL: SERVERS, KAFKA_SOURCE_GROUP_NAME: "copies", CACULATE_STATS_EVERY_SECONDS: "1", DELETE_GROUPS_EVERY_SECONDS: "1" };
  const own = await service(t, { ...settings, FILE_DATA_PATH: at });
  const stats = async () => (await (await fetch(new URL("api/stats", own.url))).json())[0].mappings[0];
  const until = async (what, is) => {
    for (const end = Date.now() + 60_000; !is((await stats()) ?? {}); await new Promise((done) => setTimeout(done, 200))) assert.ok(Date.now() < end, `never: ${what}: ${JSON.stringify(await stats())}`);
  };
  await until("it runs", ({ state, assignments }) => state === "idle" && assignments?.length === 1);
  await write(t, 20);
  await until("the first are copied", ({ target_count }) => target_count === 20);

  // What waits is seen: in the table, and by partition.
  await open(`?mapping=${encodeURIComponent(NAME)}`, own.url);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator("state-badge", { hasText: "paused" }).waitFor();
  await write(t, 70);
  const partition = page.getByRole("region", { name: "Partitions" }).getByRole("row", { name: /^live/ });
  await partition.getByRole("cell", { name: "70", exact: true }).waitFor();
  await partition.getByRole("cell", { name: "90", exact: true }).waitFor();
  await shot("real-lag");
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  await says(/^(↗ )?70$/);
  await page.getByRole("link", { name: NAME, exact: true }).click();

  // The service is up: said, and its group left alone.
  const reads = spawn("java", tool("consumer.ConsoleConsumer", "--topic", "staged", "--group", "billing"), { stdio: "ignore" });
  t.after(() => reads.kill("SIGKILL"));
  const gone = new Promise((done) => reads.on("exit", done));
  const panel = page.getByRole("region", { name: "Service group" });
  await panel.getByText(/The service runs while its topic is replicated/).waitFor({ timeout: 60_000 });
  await panel.getByText("stable", { exact: true }).waitFor();
  await shot("real-group");

  // It goes: the group is deleted, and what waits is copied.
  reads.kill("SIGTERM");
  await gone;
  await panel.getByText("there is none", { exact: true }).waitFor({ timeout: 60_000 });
  await panel.getByText(/\d.* ago$/).waitFor();
  const { stdout } = await run("consumer.group.ConsumerGroupCommand", "--list");
  assert.ok(!stdout.split("\n").includes("billing"), stdout);
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await until("all are copied", ({ target_count, lag }) => target_count === 90 && lag === 0);
  await page.getByRole("link", { name: "Mappings", exact: true }).click();
  await says(/^(↘ )?0$/);
  await row(NAME).getByText("billing is down").waitFor();
});
