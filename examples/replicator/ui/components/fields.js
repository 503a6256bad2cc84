/** The fields of a mapping, as a form shows them. The document of the API says the same (`Mapping`). */

/**
 * @typedef {object} Field
 * @property {string[]} path
 * @property {"text" | "lines" | "number" | "flag" | "choice" | "json"} kind
 * @property {string} label
 * @property {string} [hint]
 * @property {string[]} [choices] The first one is what counts without the member.
 * @property {boolean} [on] A flag that counts without the member.
 * @property {string} [list] The id of what completes it.
 * @property {boolean} [keep] Empty, it stays as an empty text.
 */

/** @typedef {{ title: string, fields: Field[], only?: (flag: (name: string) => boolean) => boolean }} Section */

/** @type {Section[]} */
export const SECTIONS = [
  {
    title: "What it is",
    fields: [
      { path: ["name"], kind: "text", label: "Name", hint: "Unique among all mappings.", keep: true },
      { path: ["group"], kind: "text", label: "Group", hint: "The heading it stands under.", list: "form-groups" },
      { path: ["enabled"], kind: "flag", label: "Enabled", on: true },
    ],
  },
  {
    title: "From where to where",
    fields: [
      { path: ["source_topic_name"], kind: "text", label: "Source topic", list: "form-source", keep: true },
      { path: ["target_topic_name"], kind: "text", label: "Target topic", list: "form-target", keep: true },
      { path: ["source_is_file"], kind: "flag", label: "The source is a file" },
      { path: ["target_is_file"], kind: "flag", label: "The target is a file" },
      { path: ["topics"], kind: "json", label: "More pairs", hint: '[{"source": "a", "target": "b"}]' },
    ],
  },
  {
    title: "Which records",
    fields: [
      { path: ["valid_jmespath"], kind: "lines", label: "Filter (JMESPath)", hint: "Empty: every record. value.country == 'IT' && value.amount >= `100`" },
      { path: ["sample_percent"], kind: "number", label: "Share in percent", hint: "Empty: all that the filter takes." },
      { path: ["sample_by"], kind: "choice", label: "Share by", choices: ["key", "random"], hint: "key: all records of a key or none." },
      { path: ["on_decode_error"], kind: "choice", label: "If a value is no JSON", hint: "Where filter or tables need one.", choices: ["drop", "pass", "stop"] },
      { path: ["value_mappings"], kind: "json", label: "Tables of its own", hint: "Instead of those of the source topic." },
      { path: ["provenance"], kind: "flag", label: "Mark copies", hint: "Marked ones are not copied back." },
    ],
  },
  {
    title: "The service that reads the target",
    fields: [
      { path: ["target_service_consumer_group"], kind: "text", label: "Its consumer group", list: "form-consumers", hint: "Empty: groups are left alone." },
      { path: ["target_service_group_action"], kind: "choice", label: "While it has no members", choices: ["delete", "reset_to_latest"], hint: "delete is for auto.offset.reset=latest." },
    ],
  },
  {
    title: "Replay of the file",
    only: (flag) => flag("source_is_file"),
    fields: [
      { path: ["replay", "speed"], kind: "number", label: "Speed", hint: "1: as recorded; 0: nobody waits." },
      { path: ["replay", "loop"], kind: "flag", label: "From the beginning again" },
      { path: ["replay", "from"], kind: "number", label: "From (ms since 1970)" },
      { path: ["replay", "to"], kind: "number", label: "To (ms since 1970)" },
      { path: ["replay", "epoch"], kind: "choice", label: "Times count from", choices: ["shared", "file"], hint: "shared: the first of all files that start together." },
      { path: ["replay", "original_timestamp"], kind: "flag", label: "Keep the recorded time as a header" },
    ],
  },
];

const KNOWN = new Set(SECTIONS.flatMap(({ fields }) => fields.map(({ path }) => path[0])));

/** @param {string} name */
export const isKnown = (name) => KNOWN.has(name);
