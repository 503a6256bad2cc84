/** Templates: their variables, what they make, and which mappings come from which use. */

import { ask, get } from "../api/client.js";
import { member, parse, print, text as textOf } from "../api/json.js";
import { fill, h, say } from "../app/dom.js";
import { go, mappingAddress, param } from "../app/route.js";
import { copyAsCurl } from "../components/curl.js";
import { issueList } from "../components/issues.js";
import { templateEditor } from "./template.js";

/** @typedef {import("../api/types.js").MappingInfo} MappingInfo */

/** @param {string} template @param {import("../api/json.js").Node_} vars @param {MappingInfo[]} made */
function use(template, vars, made) {
  const rows = vars.kind === "object" ? vars.members.map(({ key, node }) => h("tr", {}, h("th", { scope: "row", class: "mono" }, `{{${JSON.parse(key)}}}`), h("td", { class: "mono" }, textOf(node) ?? print(node)))) : [];
  const cells = made.map(({ mapping }) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: mappingAddress(mapping.name), "data-in": true }, mapping.name)),
      h("td", { class: "mono" }, [mapping.source_topic_name, ...(mapping.topics ?? []).map((pair) => pair.source)].filter(Boolean).join(", ")),
      h("td", { class: "mono" }, [mapping.target_topic_name, ...(mapping.topics ?? []).map((pair) => pair.target)].filter(Boolean).join(", ")),
      h("td", { class: "mono" }, mapping.valid_jmespath ?? ""),
      h("td", {}, mapping.enabled ? "on" : "off"),
    ),
  );
  const heads = (/** @type {string[]} */ names) => h("thead", {}, h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name))));
  return h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("h2", {}, template), h("a", { href: `?page=templates&template=${encodeURIComponent(template)}`, "data-in": true }, "Edit the template")),
    rows.length > 0 ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Variables of ${template}` }, h("table", {}, heads(["Variable", "Value"]), h("tbody", {}, ...rows))) : h("p", { class: "muted" }, "It is used without variables."),
    h("h3", {}, `Makes ${made.length} mapping${made.length === 1 ? "" : "s"}`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Mappings of ${template}` }, h("table", {}, heads(["Mapping", "Source", "Target", "Filter", "Switched"]), h("tbody", {}, ...cells))),
  );
}

/** @param {HTMLElement} place @param {HTMLElement} status */
async function load(place, status) {
  try {
    const [file, mappings, templates, service] = await Promise.all([ask({ path: "file" }), get({ path: "mappings" }), get({ path: "templates" }), get({ path: "service" })]);
    const uses = member(parse(textOf(member(parse(file.text), "text")) || "{}"), "templates");
    const items = uses?.kind === "array" ? uses.items : [];
    const shown = items.map((item, entry) => {
      const template = textOf(member(item, "template")) ?? "";
      const made = mappings.filter((/** @type {MappingInfo} */ { origin }) => /** @type {any} */ (origin).template === template && /** @type {any} */ (origin).entry === entry);
      return use(template, member(item, "vars") ?? { kind: "object", members: [], start: 0, end: 0 }, made);
    });
    const used = new Set(items.map((item) => textOf(member(item, "template"))));
    const idle = Object.keys(templates).filter((name) => !used.has(name));
    const issues = service.warnings.filter((/** @type {import("../api/types.js").Issue} */ issue) => issue.field === "templates" || issue.origin.startsWith("templates/"));
    say(status, items.length > 0 ? "" : "The mapping file uses no template.");
    fill(place, issueList(issues), ...shown, idle.length > 0 ? h("p", { class: "muted" }, `Used nowhere: ${idle.join(", ")}`) : null);
  } catch (error) {
    say(status, `Cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

export function templates() {
  const name = param("template");
  if (name) {
    return h("div", {}, h("p", {}, h("a", { href: "?page=templates", "data-in": true }, "← All templates")), h("h1", { tabindex: "-1" }, `Template ${name}`), templateEditor(name, () => go({ template: null })));
  }
  const [place, status] = [h("div", {}), h("p", { class: "muted", role: "status" }, "Loading …")];
  void load(place, status);
  return h(
    "div",
    {},
    h("h1", { tabindex: "-1" }, "Templates"),
    h("p", { class: "muted" }, "Lists of mappings with {{VARIABLES}}, which the mapping file uses once or several times."),
    h("div", { class: "tools" }, copyAsCurl("templates", () => ({ path: "templates" }))),
    status,
    place,
  );
}
