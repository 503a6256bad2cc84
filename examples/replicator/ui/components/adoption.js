/** Tells that something is saved, and which workers run it already. */

import { store } from "../store/store.js";
import { toast } from "./toast.js";

/** In milliseconds; the head of the page goes on telling. */
const FOLLOWED = 60_000;

/** @param {string} version What was saved. */
export function saved(version) {
  const text = () => {
    const all = store.stats.length;
    if (all < 2) return "Saved.";
    const have = store.running(version);
    return have === all ? `Saved. All ${all} workers run it.` : `Saved. ${have} of ${all} workers run it so far.`;
  };
  const say = toast(text());
  const end = Date.now() + FOLLOWED;
  const tick = () => {
    say(text());
    const isDone = store.running(version) === store.stats.length;
    if (isDone || Date.now() > end || store.version !== version) store.removeEventListener("tick", tick);
  };
  store.addEventListener("tick", tick);
}
