/** One canvas a camera stream, with its measured rate and age. */

import { element } from "./dom.js";

const RATE_WINDOW_MS = 2000;

/** @typedef {import("/static/xr/video.js").Picture} Picture */

export class CameraWall {
  #root;
  #clock;
  /** @type {Map<string, {canvas: HTMLCanvasElement, times: number[], ageMs: number | null}>} */
  #tiles = new Map();

  /**
   * @param {HTMLElement} root
   * @param {import("/static/xr/clock.js").ClockFit} clock
   */
  constructor(root, clock) {
    this.#root = root;
    this.#clock = clock;
  }

  /** @param {import("/static/xr/video.js").StreamInfo[]} streams */
  setStreams(streams) {
    this.#tiles = new Map(streams.map(({ name, width, height }) => [
      name, { canvas: element("canvas", { width, height }), times: [], ageMs: null },
    ]));
    if (streams.length === 0) {
      const text = "This robot has no cameras";
      this.#root.replaceChildren(element("p", { className: "empty", textContent: text }));
      return;
    }
    this.#root.replaceChildren(...[...this.#tiles].map(([name, { canvas }]) =>
      element("figure", { dataset: { stream: name } }, canvas,
        element("figcaption", { textContent: name.replaceAll("_", " ") }))));
  }

  /** @param {Picture} picture drawn at once and closed */
  show({ stream, bitmap, captureMs }) {
    const tile = this.#tiles.get(stream.name);
    if (tile) {
      const nowMs = performance.now();
      tile.canvas.getContext("2d").drawImage(bitmap, 0, 0, tile.canvas.width, tile.canvas.height);
      tile.times = [...tile.times.filter((t) => nowMs - t < RATE_WINDOW_MS), nowMs];
      tile.ageMs = this.#clock.ageMs(captureMs, nowMs);
      tile.canvas.parentElement.dataset.live = "yes";
    }
    bitmap.close();
  }

  /** Renew the captions: rate and age of what this page shows. Call it about once a second. */
  caption() {
    const nowMs = performance.now();
    for (const [name, { canvas, times, ageMs }] of this.#tiles) {
      const recent = times.filter((t) => nowMs - t < RATE_WINDOW_MS);
      const figure = canvas.parentElement;
      if (recent.length === 0) delete figure.dataset.live;
      const words = [name.replaceAll("_", " ")];
      const hz = (recent.length * 1000) / RATE_WINDOW_MS;
      if (recent.length > 0) words.push(`${Math.round(hz)} Hz`);
      if (recent.length > 0 && ageMs !== null) words.push(`${Math.round(ageMs)} ms`);
      figure.querySelector("figcaption").textContent = words.join("   ");
    }
  }
}
