/** How values read. */

// They take their time; numbers below a thousand have no need of them.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** @param {number | bigint} value Exact where it is a `bigint`. */
export const count = (value) => (typeof value === "number" && value >= 0 && value < 1000 ? String(Math.round(value)) : whole.format(value));

/** @param {number} value Records a second. */
export const rate = (value) => (value >= 0 && value < 100 ? String(Math.round(value * 10) / 10) : (value < 100 ? tenths : whole).format(value));

/** @param {number} value Bytes. */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${tenths.format(value)} ${units[unit]}`;
}

/** @param {number} millis How long something takes or took. */
export function duration(millis) {
  const seconds = Math.max(0, Math.round(millis / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

/** @param {number} millis A time since the Unix epoch, in the browser's zone. */
export const clock = (millis) => new Date(millis).toLocaleTimeString("en-GB");

/** @param {number} millis A time since the Unix epoch. */
export const moment = (millis) => new Date(millis).toISOString().replace("T", " ").replace("Z", " UTC");

/** @param {string} state */
export const words = (state) => state.replaceAll("_", " ");
