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
