/** What the service finds in a text: which field, why, and what would be right. */

import { h } from "../app/dom.js";

/** @param {import("../api/types.js").Issue[]} issues */
export function issueList(issues) {
  const items = issues.map((issue) =>
    h(
      "li",
      { class: issue.severity === "error" ? "problem" : "note" },
      h("strong", {}, issue.severity),
      " ",
      [issue.origin, issue.place && `line ${issue.place.line}, column ${issue.place.column}`, issue.mapping && `mapping “${issue.mapping}”`, issue.field && `field ${issue.field}`].filter(Boolean).join(", "),
      ": ",
      issue.message,
    ),
  );
  return h("ul", { class: "issues" }, ...items);
}

/** @param {import("../api/types.js").Change[]} changes What a change does to mappings, and what follows. */
export function effectList(changes) {
  const items = changes.map((change) =>
    h("li", {}, h("strong", {}, change.kind), ` “${change.name}”`, change.fields?.length ? ` (${change.fields.join(", ")})` : "", change.consequences.length ? `: ${change.consequences.join("; ")}` : ""),
  );
  return h("ul", {}, ...items);
}
