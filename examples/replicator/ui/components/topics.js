/** What is known about the topics and groups a form names: completion, partitions, what does not fit. */

import { get } from "../api/client.js";
import { fill, h } from "../app/dom.js";
import { store } from "../store/store.js";

/** @typedef {Map<string, number> | undefined} Topics Partitions by name; none: the cluster cannot be asked. */

/** @param {string} path @returns {Promise<any[] | undefined>} */
async function list(path) {
  try {
    return await get({ path });
  } catch {
    return undefined;
  }
}

/** @param {string} id @param {Iterable<string>} names */
const options = (id, names) => h("datalist", { id }, ...[...names].map((name) => h("option", { value: name })));

export class TopicHelp {
  /** @type {Topics} */
  source;
  /** @type {Topics} */
  target;
  lists = h("div", { hidden: true });

  async load() {
    const [source, target, groups] = await Promise.all([list("clusters/source/topics"), list("clusters/target/topics"), list("clusters/target/groups")]);
    /** @param {any[] | undefined} topics @returns {Topics} */
    const counts = (topics) => topics && new Map(topics.map((topic) => [topic.name, topic.partitions]));
    [this.source, this.target] = [counts(source), counts(target)];
    fill(
      this.lists,
      options("form-source", this.source?.keys() ?? []),
      options("form-target", this.target?.keys() ?? []),
      options("form-consumers", (groups ?? []).map((group) => group.group)),
      options("form-groups", new Set([...store.rows.values()].map((row) => row.group).filter(Boolean))),
    );
  }

  /**
   * What to tell about a topic.
   * @param {"source" | "target"} side
   * @param {string} name
   * @param {boolean} isFile
   * @param {string} [source] The other one, where this is the target.
   */
  about(side, name, isFile, source) {
    if (isFile) return `The file ${name || "NAME"}.json in the service's folder of data.`;
    const topics = this[side];
    if (!topics) return `The ${side} cluster cannot be asked for its topics.`;
    if (!name) return `${topics.size} topics to choose from.`;
    const count = topics.get(name);
    if (count === undefined) return `⚠ There is no topic ${name} on the ${side} cluster; nothing is copied until there is. Topics are never created.`;
    const said = `${count} partition${count === 1 ? "" : "s"}`;
    const other = source === undefined ? undefined : this.source?.get(source);
    if (other !== undefined && other !== count) return `⚠ ${said}, the source has ${other}: the key chooses the partition, and order holds within a key only.`;
    return `${said}.`;
  }
}
