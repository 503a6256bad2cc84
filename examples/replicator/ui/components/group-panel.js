/** The consumer group of the service that reads the target: who is in it, and what is done to it. */

import { get, part } from "../api/client.js";
import { fill, h } from "../app/dom.js";
import { duration, words } from "../app/text.js";
import { store } from "../store/store.js";
import { copyAsCurl } from "./curl.js";

const WHAT = { delete: "It is deleted", reset_to_latest: "Its offsets go to the end" };

export class GroupPanel extends HTMLElement {
  #box = h("div", {});
  #busy = false;
  #tick = () => void this.#update();

  /** @param {string} name */
  constructor(name = "") {
    super();
    this.name = name;
  }

  connectedCallback() {
    if (!this.firstChild) {
      const call = () => ({ path: `mappings/${part(this.name)}/service-group` });
      this.append(h("section", { class: "card", "aria-label": "Service group" }, h("div", { class: "card-head" }, h("h2", {}, "Service group"), copyAsCurl("the service's group", call)), this.#box));
    }
    store.addEventListener("tick", this.#tick);
    void this.#update();
  }

  disconnectedCallback() {
    store.removeEventListener("tick", this.#tick);
  }

  async #update() {
    if (this.#busy || !this.isConnected) return;
    this.#busy = true;
    try {
      /** @type {import("../api/types.js").ServiceGroup | null} */
      const group = await get({ path: `mappings/${part(this.name)}/service-group` });
      if (group) fill(this.#box, ...this.#say(group, await this.#members(group)));
    } catch (error) {
      fill(this.#box, h("p", { class: "problem" }, error instanceof Error ? error.message : String(error)));
    } finally {
      this.#busy = false;
    }
  }

  /** @param {import("../api/types.js").ServiceGroup} group @returns {Promise<import("../api/types.js").MemberDescription[]>} */
  async #members(group) {
    if (group.known.members === 0) return [];
    return (await get({ path: `clusters/target/groups/${part(group.group)}` })).group.members;
  }

  /**
   * @param {import("../api/types.js").ServiceGroup} group
   * @param {import("../api/types.js").MemberDescription[]} members
   */
  #say({ group, action, known, every_ms }, members) {
    const now = store.stats[0]?.time_ms ?? Date.now();
    const ago = (/** @type {number | null | undefined} */ at) => (at ? `${duration(now - at)} ago` : "never");
    const next = known.looked_at ? Math.max(0, known.looked_at + every_ms - now) : 0;
    const facts = {
      group,
      state: known.state === "missing" ? "there is none" : known.state ? words(known.state) : "not looked at yet",
      members: String(known.members),
      [action === "delete" ? "last deleted" : "last moved"]: ago(known.acted_at),
      "next look": `in ${duration(next)}`,
    };
    const warning = known.members > 0 ? h("p", { class: "note" }, "The service runs while its topic is replicated: it reads real and copied records.") : null;
    const list = members.map((member) => h("li", { class: "mono" }, `${member.client_id} (${member.host})`));
    return [
      h("dl", { class: "facts" }, ...Object.entries(facts).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      warning,
      list.length > 0 ? h("ul", {}, ...list) : null,
      known.error ? h("p", { class: "problem" }, known.error) : null,
      h("p", { class: "muted" }, `${WHAT[action]} while it has no members, so that the service finds no lag when it comes back.`),
    ].filter((part) => part !== null);
  }
}

customElements.define("group-panel", GroupPanel);
