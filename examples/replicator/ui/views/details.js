/** The page of a mapping: its head and its tabs. */

import { ask, part } from "../api/client.js";
import { h, fill, say } from "../app/dom.js";
import { mappingAddress, onRoute, param } from "../app/route.js";
import { copyAsCurl } from "../components/curl.js";
import { toast } from "../components/toast.js";
import { store } from "../store/store.js";
import { switchCall, switchMapping } from "../store/switch.js";
import { edit } from "./edit.js";
import { filter } from "./filter.js";
import { messages } from "./messages.js";
import { MappingOverview } from "./overview.js";
import { values } from "./values.js";

/** @type {Record<string, { title: string, make: (name: string) => Node }>} */
const TABS = {
  overview: { title: "Overview", make: (name) => new MappingOverview(name) },
  messages: { title: "Messages", make: messages },
  filter: { title: "Filter", make: filter },
  values: { title: "Value mappings", make: values },
  edit: { title: "Edit", make: edit },
};

export class MappingDetails extends HTMLElement {
  #head = h("div", { class: "page-head" });
  #tabs = h("nav", { class: "tabs", "aria-label": "Of this mapping" });
  #body = h("div", {});
  #switch = h("button", { type: "button" });
  #hold = h("button", { type: "button", hidden: true, onclick: () => void this.#pause() });
  #holdCurl = copyAsCurl("pausing or resuming this mapping", () => this.#holdCall());
  #shown = "";
  #known = false;
  #tick = () => this.#update();

  /** @param {string} name */
  constructor(name = "") {
    super();
    this.name = name;
  }

  connectedCallback() {
    const on = () => store.rowsOf(this.name).some((row) => row.enabled);
    this.#switch.addEventListener("click", () => void switchMapping(this.name, !on()));
    fill(
      this.#head,
      h("h1", { tabindex: "-1" }, this.name),
      this.#switch,
      copyAsCurl("switching this mapping", () => switchCall(this.name, !on())),
      this.#hold,
      this.#holdCurl,
    );
    this.append(h("p", {}, h("a", { href: "?", "data-in": true }, "← All mappings")), this.#head, this.#tabs, this.#body);
    store.addEventListener("tick", this.#tick);
    this.#update();
  }

  disconnectedCallback() {
    store.removeEventListener("tick", this.#tick);
  }

  route() {
    if (!this.#known) return;
    const tab = param("tab") in TABS ? param("tab") : "overview";
    if (tab === this.#shown) return;
    this.#shown = tab;
    const links = Object.entries(TABS).map(([id, { title }]) =>
      h("a", { href: mappingAddress(this.name, id === "overview" ? "" : id), "data-in": true, "aria-current": id === tab ? "page" : null }, title),
    );
    const had = this.#tabs.contains(document.activeElement);
    fill(this.#tabs, ...links);
    if (had) links[Object.keys(TABS).indexOf(tab)].focus();
    fill(this.#body, TABS[tab].make(this.name));
  }

  get #paused() {
    return store.rowsOf(this.name).some((row) => row.state === "paused");
  }

  /** @returns {import("../api/client.js").Call} */
  #holdCall() {
    return { method: "POST", path: `mappings/${part(this.name)}/${this.#paused ? "resume" : "pause"}` };
  }

  async #pause() {
    const resume = this.#paused;
    try {
      await ask(this.#holdCall());
      toast(resume ? `“${this.name}” goes on where it was.` : `“${this.name}” is paused until it is resumed or the service starts anew. Nothing is left out.`);
    } catch (error) {
      toast(`“${this.name}” was not ${resume ? "resumed" : "paused"}: ${error instanceof Error ? error.message : error}`, { bad: true });
    }
    await store.refresh();
  }

  #update() {
    const rows = store.rowsOf(this.name);
    if (rows.length === 0) {
      this.#switch.hidden = true;
      if (store.service && !this.#known) fill(this.#body, h("p", { class: "empty" }, "There is no mapping of this name."));
      return;
    }
    this.#switch.hidden = store.readOnly;
    const label = rows.some((row) => row.enabled) ? "Switch off" : "Switch on";
    if (this.#switch.textContent !== label) this.#switch.textContent = label;
    // Files have handles of their own.
    this.#hold.hidden = this.#holdCurl.hidden = store.readOnly || !rows.some((row) => row.enabled && !row.source_is_file);
    say(this.#hold, this.#paused ? "Resume" : "Pause");
    if (this.#known) return;
    this.#known = true;
    this.route();
  }
}

customElements.define("mapping-details", MappingDetails);

/** @type {MappingDetails | undefined} */
let current;
onRoute(() => current?.isConnected && current.name === param("mapping") && current.route());

/** @param {string} name */
export const details = (name) => (current = new MappingDetails(name));
