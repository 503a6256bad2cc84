/** One row of what several workers say about the same source and target. */

/** @typedef {import("../api/types.js").Row} Row */

const SUMS = /** @type {const} */ ([
  "lag", "source_count", "target_count", "queue", "filtered_count", "dropped_count", "decode_error_count", "error_count",
  "partition_error_count", "held_count", "unmapped_count", "gap_count", "lost_count", "bytes_in", "bytes_out", "rate_in",
  "rate_out",
]);

/** What counts more than what follows it: trouble of one worker is trouble of the mapping. */
const ORDER = ["error", "waiting", "catching_up", "running", "starting", "paused", "idle", "completed", "disabled"];

/** @param {Row} row */
const weight = ({ state }) => (ORDER.includes(state) ? ORDER.indexOf(state) : ORDER.length);

/** @param {Row} row A file is replayed by one worker; the others only wait for it. */
const looksOn = (row) => row.source_is_file && row.state === "waiting";

/**
 * The same row of two workers.
 * @param {Row} a
 * @param {Row} b
 * @returns {Row}
 */
export function together(a, b) {
  const sum = { ...a };
  for (const name of SUMS) {
    // Either may be a `bigint`; both together are shown, not calculated with.
    sum[name] = typeof a[name] === typeof b[name] ? a[name] + b[name] : Number(a[name]) + Number(b[name]);
  }
  const leads = looksOn(a) ? b : looksOn(b) || weight(a) <= weight(b) ? a : b;
  [sum.state, sum.detail, sum.progress] = [leads.state, leads.detail, leads.progress];
  sum.enabled = a.enabled || b.enabled;
  sum.consumer_group_up = a.consumer_group_up || b.consumer_group_up;
  sum.assignments = [...new Set([...a.assignments, ...b.assignments])].sort((x, y) => x - y);
  sum.latency_ms_p50 = Math.max(a.latency_ms_p50, b.latency_ms_p50);
  sum.latency_ms_p99 = Math.max(a.latency_ms_p99, b.latency_ms_p99);
  sum.last_message_at = Math.max(a.last_message_at ?? 0, b.last_message_at ?? 0) || null;
  return sum;
}
