// The map: what is seen of the world, and what is drawn there. Degrees become pixels in proportion (a plate carrée).

import { COAST } from "./coast.js";

const COLORS = ["#8be9fd", "#50fa7b", "#ffb86c", "#ff79c6", "#bd93f9", "#ff5555", "#f1fa8c"];
/** Lines and points of them that are kept. */
const LINES = 500;
const POINTS = 2000;
const LEAST = 1;
const MOST = 400;

/** What is seen: the degrees in the middle, and how many pixels one of them has. */
export class View {
  constructor() {
    this.lon = 0;
    this.lat = 10;
    this.scale = 3;
    this.width = 0;
    this.height = 0;
  }

  /** @param {number} width @param {number} height */
  resize(width, height) {
    if (this.width === 0 && width > 0) this.scale = Math.max(LEAST, width / 360);
    this.width = width;
    this.height = height;
  }

  /** @param {number} lon @param {number} lat */
  place(lon, lat) {
    return { x: this.width / 2 + (lon - this.lon) * this.scale, y: this.height / 2 - (lat - this.lat) * this.scale };
  }

  /** @param {number} x @param {number} y */
  degrees(x, y) {
    return { lon: this.lon + (x - this.width / 2) / this.scale, lat: this.lat - (y - this.height / 2) / this.scale };
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.lon = Math.min(180, Math.max(-180, this.lon - dx / this.scale));
    this.lat = Math.min(90, Math.max(-90, this.lat + dy / this.scale));
  }

  /** What is under the pixel stays there. @param {number} by @param {number} x @param {number} y */
  zoom(by, x = this.width / 2, y = this.height / 2) {
    const under = this.degrees(x, y);
    this.scale = Math.min(MOST, Math.max(LEAST, this.scale * by));
    const now = this.degrees(x, y);
    this.lon += under.lon - now.lon;
    this.lat += under.lat - now.lat;
    this.pan(0, 0);
  }

  /** Degrees between two lines of the graticule: the least that leaves 60 pixels between them. */
  step() {
    const steps = [0.25, 0.5, 1, 2, 5, 10, 15, 30];
    return steps.find((step) => step * this.scale >= 60) ?? 45;
  }
}

/** @typedef {{ color: string, points: [number, number][] }} Line */

/** One line per name. */
export class Lines {
  constructor() {
    /** @type {Map<string, Line>} */
    this.all = new Map();
    this.seen = 0;
    /** Called with the name of a line that makes room. @type {(name: string) => void} */
    this.gone = () => {};
  }

  /** @param {string} name @param {number} lon @param {number} lat @returns {Line} */
  add(name, lon, lat) {
    let line = this.all.get(name);
    if (line === undefined) {
      line = { color: color(this.seen++), points: [] };
      this.all.set(name, line);
      if (this.all.size > LINES) {
        const [oldest] = this.all.keys();
        this.all.delete(oldest);
        this.gone(oldest);
      }
    }
    line.points.push([lon, lat]);
    if (line.points.length > POINTS) line.points.shift();
    return line;
  }

  /** Names keep their colours and last places. */
  clear() {
    for (const line of this.all.values()) line.points.splice(0, line.points.length - 1);
  }
}

/** @param {number} number */
function color(number) {
  return COLORS[number] ?? `hsl(${(number * 137) % 360} 90% 70%)`;
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Lines} lines */
export function draw(context, view, lines) {
  const { width, height } = view;
  context.fillStyle = "#10151d";
  context.fillRect(0, 0, width, height);
  context.lineJoin = "round";
  land(context, view);
  graticule(context, view);
  for (const { color, points } of lines.all.values()) {
    path(context, view, points);
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.stroke();
    const [lon, lat] = points[points.length - 1];
    const { x, y } = view.place(lon, lat);
    context.beginPath();
    context.arc(x, y, 4, 0, 2 * Math.PI);
    context.fillStyle = color;
    context.fill();
  }
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {[number, number][]} points */
function path(context, view, points) {
  context.beginPath();
  let before = NaN;
  for (const [lon, lat] of points) {
    const { x, y } = view.place(lon, lat);
    // Over the edge of the map and in again at the other one.
    if (Math.abs(lon - before) < 180) context.lineTo(x, y);
    else context.moveTo(x, y);
    before = lon;
  }
}

/** @param {CanvasRenderingContext2D} context @param {View} view */
function land(context, view) {
  context.fillStyle = "#1f2a3a";
  context.strokeStyle = "#4b6584";
  context.lineWidth = 1;
  for (const shore of COAST) {
    context.beginPath();
    for (const [lon, lat] of shore) {
      const { x, y } = view.place(lon, lat);
      context.lineTo(x, y);
    }
    context.closePath();
    context.fill();
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {View} view */
function graticule(context, view) {
  const step = view.step();
  const from = view.degrees(0, view.height);
  const to = view.degrees(view.width, 0);
  const lines = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ most) => {
    const all = [];
    for (let at = Math.ceil(Math.max(a, -most) / step) * step; at <= Math.min(b, most); at += step) all.push(at);
    return all;
  };
  context.strokeStyle = "#ffffff1a";
  context.fillStyle = "#9fb0c3";
  context.lineWidth = 1;
  context.font = "11px system-ui, sans-serif";
  for (const lon of lines(from.lon, to.lon, 180)) {
    const top = view.place(lon, 90);
    const bottom = view.place(lon, -90);
    stroke(context, top.x, top.y, bottom.x, bottom.y);
    context.fillText(label(lon, "E", "W"), top.x + 3, view.height - 4);
  }
  for (const lat of lines(from.lat, to.lat, 90)) {
    const left = view.place(-180, lat);
    const right = view.place(180, lat);
    stroke(context, left.x, left.y, right.x, right.y);
    context.fillText(label(lat, "N", "S"), view.width - 34, left.y - 3);
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} toX @param {number} toY */
function stroke(context, x, y, toX, toY) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
}

/** @param {number} degrees @param {string} positive @param {string} negative */
function label(degrees, positive, negative) {
  if (degrees === 0) return "0°";
  return `${Math.abs(degrees)}°${degrees > 0 ? positive : negative}`;
}
