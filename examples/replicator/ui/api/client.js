/** The API of the service that served this page. */

import { read } from "./json.js";

/** `{prefix}/`: this file is `{prefix}/ui/VERSION/api/client.js`. */
const ROOT = new URL("../../../", import.meta.url);

/** What the service refused, and why. */
export class Problem extends Error {
  /**
   * @param {number} status 0: there was no answer.
   * @param {string} detail
   * @param {Record<string, any>} [more] `field`, `issues`, `line`, `column`, `version`.
   */
  constructor(status, detail, more = {}) {
    super(detail);
    this.status = status;
    this.more = more;
  }

  /** Somebody else has saved meanwhile. */
  get isConflict() {
    return (this.status === 409 || this.status === 412) && typeof this.more.version === "string";
  }

  /** The files on disk cannot be used, and are not overwritten without a word. */
  get isOnDisk() {
    return this.status === 409 && typeof this.more.on_disk === "string";
  }

  /** @returns {import("./types.js").Issue[]} */
  get issues() {
    return Array.isArray(this.more.issues) ? this.more.issues : [];
  }
}

/**
 * @typedef {object} Call
 * @property {string} [method]
 * @property {string} path Below `/api/`.
 * @property {Record<string, string | number | undefined>} [query]
 * @property {any} [body] A string is JSON already.
 * @property {string} [version] What was seen; it is sent as `If-Match`.
 * @property {AbortSignal} [signal]
 */

/** @param {Call} call */
export function address(call) {
  const url = new URL(`api/${call.path}`, ROOT);
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/** @param {Call} call */
const text = (call) => (typeof call.body === "string" ? call.body : JSON.stringify(call.body));

/**
 * @param {Call} call
 * @returns {Promise<{ text: string, version: string }>} The answer as it was written.
 * @throws {Problem}
 */
export async function ask(call) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (call.body !== undefined) headers["content-type"] = "application/json";
  if (call.version) headers["if-match"] = `"${call.version}"`;
  const method = call.method ?? (call.body === undefined ? "GET" : "POST");
  let answer;
  try {
    answer = await fetch(address(call), {
      method,
      headers,
      body: call.body === undefined ? undefined : text(call),
      signal: call.signal,
      cache: "no-store",
    });
  } catch (error) {
    if (call.signal?.aborted) throw error;
    throw new Problem(0, "The service does not answer. It may be restarting; the page tries again by itself.");
  }
  const body = await answer.text();
  const missing = answer.headers.get("citizenk-failed-workers");
  if (missing && method !== "GET") {
    dispatchEvent(new CustomEvent("partly", { detail: `Not all workers have done it: ${missing} did not answer, or refused.` }));
  }
  if (answer.ok) return { text: body, version: (answer.headers.get("etag") ?? "").replaceAll('"', "") };
  let more = {};
  try {
    more = JSON.parse(body);
  } catch {
    // A proxy's page; its status says enough.
  }
  const detail = /** @type {any} */ (more).detail ?? `${answer.status} ${answer.statusText}`;
  throw new Problem(answer.status, detail, more);
}

/**
 * @param {Call} call
 * @returns {Promise<any>}
 */
export async function get(call) {
  return read((await ask(call)).text);
}

/** @param {string} value For a shell. */
const quoted = (value) => `'${value.replaceAll("'", "'\\''")}'`;

/**
 * The same call for a terminal.
 * @param {Call} call
 */
export function curl(call) {
  const method = call.method ?? (call.body === undefined ? "GET" : "POST");
  const parts = ["curl"];
  if (method !== "GET") parts.push("-X", method);
  if (call.version) parts.push("-H", quoted(`If-Match: "${call.version}"`));
  if (call.body !== undefined) parts.push("-H", quoted("Content-Type: application/json"), "-d", quoted(text(call)));
  parts.push(quoted(address(call).href));
  return parts.join(" ");
}

/** @param {string} name A part of a path. */
export const part = (name) => encodeURIComponent(name);
