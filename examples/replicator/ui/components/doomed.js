/** A consumer group that a change begins to delete is named by whoever saves it: its offsets do not come back. */

import { h, unique } from "../app/dom.js";
import { dialog } from "./dialog.js";

/** @typedef {import("../api/types.js").Mapping} Mapping */

/** @param {Mapping | null | undefined} mapping @returns {string} */
const doomedBy = (mapping) =>
  (mapping?.enabled && mapping.target_service_group_action !== "reset_to_latest" && mapping.target_service_consumer_group) || "";

/** @param {import("../api/types.js").Change[]} changes @returns {string[]} */
export const doomed = (changes) => [
  ...new Set(changes.flatMap(({ before, after }) => (doomedBy(after) && doomedBy(after) !== doomedBy(before) ? [doomedBy(after)] : []))),
];

/** @param {import("../api/types.js").Change[]} changes @returns {Promise<boolean>} Whether nothing is deleted, or all of it was named. */
export async function confirmGroups(changes) {
  const groups = doomed(changes);
  if (groups.length === 0) return true;
  const fields = groups.map((group) => ({ group, input: h("input", { id: unique(), autocomplete: "off" }) }));
  const content = [
    h("p", {}, "It is deleted on the target whenever it has no members, with its offsets: a service that comes back begins as auto.offset.reset says."),
    ...fields.map(({ group, input }) => h("p", {}, h("label", { for: input.id }, "Type its name: ", h("strong", {}, group)), " ", input)),
  ];
  const title = groups.length === 1 ? `Delete the group “${groups[0]}”?` : `Delete ${groups.length} groups?`;
  return dialog(title, content, "Save", () => fields.every(({ group, input }) => input.value === group));
}
