// Puts positions on the map. What is drawn stands in attributes of the canvas too, for tests and other eyes.

import { Lines, View, draw } from "./map.js";
import { events, websocket } from "./stream.js";

const STEP = 80;
const ZOOM = 1.5;

const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("map"));
const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
const list = /** @type {HTMLElement} */ (document.getElementById("entities"));
const status = /** @type {HTMLElement} */ (document.getElementById("status"));
const view = new View();
const lines = new Lines();

let drawn = true;
/** Draws at most once per frame. */
function dirty() {
  if (!drawn) return;
  drawn = false;
  requestAnimationFrame(() => {
    drawn = true;
    draw(context, view, lines);
    const points = [...lines.all.values()].reduce((sum, line) => sum + line.points.length, 0);
    Object.assign(canvas.dataset, { lines: lines.all.size, points, scale: view.scale, lon: view.lon, lat: view.lat });
  });
}

/** @type {Map<string, HTMLElement>} */
const items = new Map();
lines.gone = (name) => {
  items.get(name)?.remove();
  items.delete(name);
};

/** @param {string} name @param {string} color */
function legend(name, color) {
  const item = document.createElement("li");
  items.set(name, item);
  const swatch = document.createElement("i");
  swatch.style.background = color;
  item.append(swatch, name);
  list.append(item);
}

/** @param {import("./stream.js").Item} item */
function take({ value }) {
  if (!value || !Number.isFinite(value.lat) || !Number.isFinite(value.lon)) return;
  const name = String(value.name);
  const known = lines.all.has(name);
  const line = lines.add(name, value.lon, value.lat);
  if (!known) legend(name, line.color);
  dirty();
}

function resize() {
  const ratio = devicePixelRatio;
  canvas.width = innerWidth * ratio;
  canvas.height = innerHeight * ratio;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  view.resize(innerWidth, innerHeight);
  dirty();
}

/** @param {number} by @param {number} [x] @param {number} [y] */
function zoom(by, x, y) {
  view.zoom(by, x, y);
  lines.clear();
  dirty();
}

/** @param {number} dx @param {number} dy */
function pan(dx, dy) {
  view.pan(dx, dy);
  dirty();
}

addEventListener("resize", resize);
canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
canvas.addEventListener("pointermove", (event) => {
  if (canvas.hasPointerCapture(event.pointerId)) pan(event.movementX, event.movementY);
});
canvas.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM, event.clientX, event.clientY);
  },
  { passive: false },
);
canvas.addEventListener("keydown", (event) => {
  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowLeft: () => pan(STEP, 0),
    ArrowRight: () => pan(-STEP, 0),
    ArrowUp: () => pan(0, STEP),
    ArrowDown: () => pan(0, -STEP),
    "+": () => zoom(ZOOM),
    "-": () => zoom(1 / ZOOM),
  };
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
document.getElementById("in")?.addEventListener("click", () => zoom(ZOOM));
document.getElementById("out")?.addEventListener("click", () => zoom(1 / ZOOM));

resize();
const say = (/** @type {string} */ text) => (status.textContent = text);
const open = new URLSearchParams(location.search).get("via") === "events" ? events : websocket;
open("consumer/geostream", take, say);
