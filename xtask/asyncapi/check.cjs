// Judges AsyncAPI documents: `node check.cjs FILE..`. Errors and warnings end it with 1.

const { readFileSync } = require("node:fs");
const { Parser, DiagnosticSeverity } = require("@asyncapi/parser");

/** What the parser recommends and the documents leave out on purpose: ids, contacts and tags are the user's. */
const OPTIONAL = ["asyncapi-id", "asyncapi-info-contact", "asyncapi-info-license", "asyncapi-tags", "asyncapi3-tags", "asyncapi-info-description"];

(async () => {
  const parser = new Parser();
  let bad = 0;
  for (const file of process.argv.slice(2)) {
    const { document, diagnostics } = await parser.parse(readFileSync(file, "utf8"));
    const told = diagnostics.filter(({ severity, code }) => severity <= DiagnosticSeverity.Warning && !OPTIONAL.includes(code));
    for (const { code, message, path } of told) console.error(`${file}: ${code}: ${message} (${path.join("/")})`);
    if (!document || told.length > 0) bad += 1;
    else console.log(`${file}: ${document.channels().length} channels, ${document.operations().length} operations, ${document.messages().length} messages`);
  }
  process.exitCode = bad > 0 ? 1 : 0;
})();
