/** Plays a recorded take: all cameras, the joints' curves and the events, on one time line. */

import { readToken } from "/static/xr/token.js";
import { call } from "/static/xr/api.js";
import { element, part, setText } from "./dom.js";

/** Pictures kept decoded, of all cameras. */
const MAX_KEPT = 240;
const COLOURS = Object.freeze([
  "#4ea1ff", "#ff8a4e", "#5fd38d", "#d88bff", "#ffd24e", "#4fd8d8", "#ff6b8b", "#a3b1c2",
]);

export class Player {
  #take = null;
  #timeS = 0;
  #isPlaying = false;
  #lastMs = 0;
  /** @type {Map<string, Promise<ImageBitmap>>} by camera and index */
  #pictures = new Map();
  #shown = {};
  #canvases = {};

  constructor() {
    part("player-play").onclick = () => this.#toggle();
    part("player-time").oninput = ({ target }) => {
      this.#isPlaying = false;
      this.#seek(Number(target.value));
    };
    part("player").addEventListener("close", () => this.#close());
  }

  /** @param {string} id of an episode */
  async open(id) {
    this.#close();
    this.#take = await call(`/api/episodes/${encodeURIComponent(id)}/take`);
    const { cameras, duration_s: durationS, task, quality, outcome } = this.#take;
    setText("player-title", [task, outcome, quality?.verdict].filter(Boolean).join(" · "));
    const reasons = (quality?.findings ?? []).map((finding) => finding.message);
    setText("player-reasons", reasons.join("; "));
    this.#canvases = Object.fromEntries(Object.entries(cameras).map(([name, camera]) => [
      name, element("canvas", { width: camera.width, height: camera.height, title: name }),
    ]));
    part("player-cameras").replaceChildren(...Object.values(this.#canvases));
    part("player-time").max = String(durationS);
    this.#drawMarks();
    part("player").showModal();
    this.#seek(0);
    this.#toggle(true);
  }

  #toggle(play = !this.#isPlaying) {
    this.#isPlaying = play;
    part("player-play").textContent = play ? "Pause" : "Play";
    if (!play || this.#take === null) return;
    if (this.#timeS >= this.#take.duration_s) this.#timeS = 0;
    this.#lastMs = performance.now();
    requestAnimationFrame((ms) => this.#tick(ms));
  }

  #tick(ms) {
    if (!this.#isPlaying || this.#take === null) return;
    this.#seek(this.#timeS + ((ms - this.#lastMs) / 1000) * Number(part("player-speed").value));
    this.#lastMs = ms;
    if (this.#timeS >= this.#take.duration_s) this.#toggle(false);
    else requestAnimationFrame((next) => this.#tick(next));
  }

  #seek(timeS) {
    this.#timeS = Math.min(Math.max(timeS, 0), this.#take.duration_s);
    part("player-time").value = String(this.#timeS);
    setText("player-clock", `${this.#timeS.toFixed(2)} / ${this.#take.duration_s.toFixed(2)} s`);
    for (const name of Object.keys(this.#canvases)) this.#showPicture(name);
    this.#drawCurves();
  }

  async #showPicture(name) {
    const index = lastAt(this.#take.cameras[name].t_s, this.#timeS);
    if (this.#shown[name] === index) return;
    this.#shown[name] = index;
    const [take, canvas] = [this.#take, this.#canvases[name]];
    const bitmap = await this.#picture(name, index);
    // A later picture may have overtaken this one, or another take.
    if (take !== this.#take || this.#shown[name] !== index || bitmap === null) return;
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    canvas.dataset.index = String(index);
    this.#picture(name, Math.min(index + 1, take.cameras[name].t_s.length - 1));
  }

  #picture(name, index) {
    const key = `${name}/${index}`;
    if (!this.#pictures.has(key)) {
      const path = `/api/episodes/${encodeURIComponent(this.#take.id)}/pictures/${key}`;
      this.#pictures.set(key, fetchPicture(path));
      if (this.#pictures.size > MAX_KEPT) {
        const [oldest] = this.#pictures.keys();
        this.#pictures.get(oldest).then((bitmap) => bitmap?.close());
        this.#pictures.delete(oldest);
      }
    }
    return this.#pictures.get(key);
  }

  #drawCurves() {
    const canvas = part("player-curves");
    const { measured, requested } = this.#take.curves;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!measured) return;
    const scale = scaleOf([measured, requested], this.#take.duration_s, canvas);
    measured.values.forEach((values, i) => {
      const colour = COLOURS[i % COLOURS.length];
      line(context, scale, measured.t_s, values, colour, []);
      if (requested?.values[i]) line(context, scale, requested.t_s, requested.values[i], colour, [4, 4]);
    });
    context.strokeStyle = "#fff";
    context.setLineDash([]);
    context.beginPath();
    context.moveTo(scale.x(this.#timeS), 0);
    context.lineTo(scale.x(this.#timeS), canvas.height);
    context.stroke();
  }

  #drawMarks() {
    const marks = this.#take.events.map(({ t_s: at, kind }) => element("button", {
      className: "mark", textContent: kind, title: `${at.toFixed(2)} s`,
      onclick: () => {
        this.#toggle(false);
        this.#seek(at);
      },
    }));
    part("player-events").replaceChildren(...marks);
  }

  #close() {
    this.#isPlaying = false;
    this.#take = null;
    for (const picture of this.#pictures.values()) picture.then((bitmap) => bitmap?.close());
    this.#pictures.clear();
    this.#shown = {};
  }
}

/** A picture, null when it cannot be had: the one before then stays. */
async function fetchPicture(path) {
  try {
    const answer = await fetch(path, { headers: { Authorization: `Bearer ${readToken()}` } });
    return answer.ok ? await createImageBitmap(await answer.blob()) : null;
  } catch {
    return null;
  }
}

/**
 * @param {number[]} times ascending
 * @param {number} at
 * @returns {number} index of the last one at or before; 0 before the first
 */
export function lastAt(times, at) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

function scaleOf(curves, durationS, { width, height }) {
  const all = curves.flatMap((curve) => curve?.values ?? []).flat().filter((v) => v !== null);
  const least = all.reduce((a, b) => Math.min(a, b), Infinity);
  const most = all.reduce((a, b) => Math.max(a, b), -Infinity);
  const span = most - least || 1;
  return {
    x: (t) => (t / (durationS || 1)) * width,
    y: (v) => height - 4 - ((v - least) / span) * (height - 8),
  };
}

function line(context, scale, times, values, colour, dash) {
  context.strokeStyle = colour;
  context.setLineDash(dash);
  context.beginPath();
  values.forEach((value, i) => {
    if (value !== null) context.lineTo(scale.x(times[i]), scale.y(value));
  });
  context.stroke();
}
