// The types of the page's modules, from the document of the API.

/** @param {any} schema @returns {string} */
function type(schema) {
  if (schema === true || schema === undefined) return "any";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const many = schema.anyOf ?? schema.oneOf;
  if (many) return [...new Set(many.map(type))].join(" | ");
  if (Array.isArray(schema.type)) return schema.type.map((one) => type({ ...schema, type: one })).join(" | ");
  if (schema.prefixItems) return `[${schema.prefixItems.map(type).join(", ")}]`;
  switch (schema.type) {
    case "integer":
    case "number":
      return "number";
    case "string":
    case "boolean":
    case "null":
      return schema.type;
    case "array":
      return `(${type(schema.items)})[]`.replace(/^\((\w+)\)\[\]$/, "$1[]");
    case "object":
      if (schema.properties) return `{ ${Object.entries(schema.properties).map(([name, one]) => `${name}${(schema.required ?? []).includes(name) ? "" : "?"}: ${type(one)}`).join(", ")} }`;
      return schema.additionalProperties ? `Record<string, ${type(schema.additionalProperties)}>` : "Record<string, any>";
    default:
      return "any";
  }
}

const firstLine = (text) => (text ?? "").split("\n")[0].replaceAll("*/", "* /");

/** Names of schemas that a schema needs. @param {any} schema @returns {string[]} */
function needs(schema) {
  if (schema === null || typeof schema !== "object") return [];
  const own = typeof schema.$ref === "string" ? [schema.$ref.split("/").at(-1)] : [];
  return [...own, ...Object.values(schema).flatMap(needs)];
}

/**
 * The types that the page names, and what these need.
 *
 * @param {any} document Of OpenAPI.
 * @param {string} page The text of its modules.
 * @returns {string}
 */
export function typesOf(document, page) {
  const { schemas } = document.components;
  const used = new Set([...page.matchAll(/types\.js"\)\.(\w+)/g)].map(([, name]) => name));
  for (const name of used) needs(schemas[name]).forEach((other) => used.add(other));
  const about = (text, indent) => (text ? `${indent}/** ${firstLine(text)} */\n` : "");
  const parts = Object.keys(schemas).filter((name) => used.has(name)).map((name) => {
    const schema = schemas[name];
    if (schema.type !== "object" || !schema.properties) return `${about(schema.description, "")}export type ${name} = ${type(schema)};\n`;
    const members = Object.entries(schema.properties).map(([member, one]) => `${about(one.description, "  ")}  ${member}${(schema.required ?? []).includes(member) ? "" : "?"}: ${type(one)};\n`);
    return `${about(schema.description, "")}export interface ${name} {\n${members.join("")}}\n`;
  });
  return `// What the API answers. Made from its document by \`cargo xtask ui --bless\`. Whole numbers beyond 2^53 are \`bigint\`.\n\n${parts.join("\n")}`;
}
