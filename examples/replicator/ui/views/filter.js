/** The filter of a mapping, tried before it is saved. */

import { h } from "../app/dom.js";
import { mappingAddress } from "../app/route.js";
import { FilterTest } from "../components/filter-test.js";
import { store } from "../store/store.js";

/** @param {string} name */
export function filter(name) {
  const rows = store.rowsOf(name);
  const topics = [...new Set(rows.filter((row) => !row.source_is_file).map((row) => row.source_topic_name))];
  const expression = h("textarea", { id: "expression", class: "code", rows: 3, spellcheck: "false", autocomplete: "off" });
  expression.value = rows[0]?.valid_jmespath ?? "";
  return h(
    "div",
    {},
    h("label", { for: "expression" }, "JMESPath expression on key, value, headers, topic, partition, offset, timestamp"),
    expression,
    new FilterTest(expression, topics),
    store.readOnly ? null : h("p", { class: "muted" }, "Nothing is saved here: that is done under ", h("a", { href: mappingAddress(name, "edit"), "data-in": true }, "Edit"), "."),
  );
}
