/** A mapping is switched on or off, with a way back. */

import { ask, part, Problem } from "../api/client.js";
import { h } from "../app/dom.js";
import { count } from "../app/text.js";
import { dialog } from "../components/dialog.js";
import { toast } from "../components/toast.js";
import { store } from "./store.js";

/**
 * @param {string} name
 * @param {boolean} on
 * @returns {import("../api/client.js").Call}
 */
export const switchCall = (name, on) => ({
  path: `mappings/${part(name)}/${on ? "enable" : "disable"}`,
  body: { comment: `switch ${on ? "on" : "off"} ${name}` },
  version: store.version,
});

/**
 * @param {string} name
 * @param {boolean} on
 * @returns {Promise<void>}
 */
async function send(name, on) {
  try {
    await ask(switchCall(name, on));
    const begins = store.rowsOf(name).some((row) => row.source_is_file) ? "Its file is replayed." : "It starts at the latest record.";
    const what = on ? `“${name}” is on. ${begins}` : `“${name}” is off.`;
    toast(what, { undo: () => void send(name, !on) });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const why = error.isConflict
      ? "somebody else has changed the configuration a moment ago. The table shows it now; switch again if you still want to."
      : error.message;
    toast(`“${name}” was not switched ${on ? "on" : "off"}: ${why}`, { bad: true });
  }
  await store.refresh();
}

/**
 * Asks first only if something would be left behind.
 * @param {string} name
 * @param {boolean} on
 */
export async function switchMapping(name, on) {
  const rows = store.rowsOf(name);
  const sum = (/** @type {(row: import("../api/types.js").Row) => number} */ value) => rows.reduce((all, row) => all + Number(value(row)), 0);
  const [lag, queue] = [sum((row) => row.lag), sum((row) => row.queue)];
  if (!on && lag + queue > 0 && rows.every((row) => !row.source_is_file)) {
    const left = `${count(lag)} records wait at the source and ${count(queue)} are on their way. Records that are not copied by then are not copied later: when the mapping is switched on again it starts at the latest record.`;
    if (!(await dialog(`Switch off “${name}”?`, [h("p", {}, left)], "Switch off"))) return;
  }
  await send(name, on);
}
