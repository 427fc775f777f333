/** Paints the HUD model on a 2D canvas with a transparent middle; repaints only on change. */

import { COLOURS, twoLines } from "./hudmodel.js";

/** @typedef {import("./hudmodel.js").HudModel} HudModel */

const WIDTH = 1280;
const HEIGHT = 1024;
const FONT = "system-ui, 'DejaVu Sans', sans-serif";
const PANEL = "rgba(12, 16, 22, 0.82)";
const TRACKING_COLOURS = Object.freeze({
  ok: COLOURS.green, lost: COLOURS.red, absent: COLOURS.grey,
});

export class HudCanvas {
  canvas = document.createElement("canvas");
  /** Counts repaints. */
  version = 0;
  #ctx;
  #painted = "";

  constructor() {
    this.canvas.width = WIDTH;
    this.canvas.height = HEIGHT;
    this.#ctx = this.canvas.getContext("2d");
    this.#ctx.textBaseline = "middle";
  }

  /**
   * @param {HudModel} model
   */
  paint(model) {
    const key = JSON.stringify(model);
    if (key === this.#painted) return;
    this.#painted = key;
    this.version += 1;
    this.#ctx.clearRect(0, 0, WIDTH, HEIGHT);
    this.#state(model);
    this.#recording(model);
    this.#quality(model);
    this.#prompt(model);
    this.#middle(model);
    this.#gesture(model);
    this.#lines(model);
  }

  #state({ motion, arms }) {
    this.#pill(24, 24, 300, 76, motion.colour);
    this.#text(motion.text, 174, 63, 40, "bold", COLOURS.text, "center");
    ["L", "R"].forEach((label, i) => {
      this.#pill(340 + i * 64, 24, 54, 76, arms[i] ? COLOURS.green : PANEL);
      this.#text(label, 367 + i * 64, 63, 34, "bold", arms[i] ? COLOURS.text : COLOURS.grey,
        "center");
    });
  }

  #recording({ recording }) {
    const active = recording.colour !== COLOURS.grey;
    this.#pill(478, 24, 400, 76, active ? recording.colour : PANEL);
    const start = recording.dot ? 548 : 502;
    if (recording.dot) this.#dot(518, 62, 15, COLOURS.text);
    this.#text(recording.text, start, 63, 34, "bold", active ? COLOURS.text : COLOURS.dim, "left",
      866 - start);
  }

  #quality({ tracking }) {
    this.#pill(892, 24, 364, 76, PANEL);
    tracking.forEach(({ label, word }, i) => {
      const x = 914 + i * 116;
      this.#dot(x + 8, 62, 12, TRACKING_COLOURS[word] ?? COLOURS.grey);
      this.#text(label, x + 28, 63, 26, "", word === "absent" ? COLOURS.grey : COLOURS.text);
    });
  }

  #prompt({ task, prompt, latency }) {
    if (task || prompt) {
      this.#pill(24, 112, 854, prompt && task ? 104 : 58, PANEL);
      if (task) this.#text(task, 46, 142, 30, "bold", COLOURS.text, "left", 814);
      if (prompt) this.#text(prompt, 46, task ? 188 : 142, 28, "", COLOURS.dim, "left", 814);
    }
    const parts = latency ? latency.split("   ") : [];
    if (parts.length === 0) return;
    this.#pill(1016, 112, 240, 18 + parts.length * 34, PANEL);
    parts.forEach((part, i) => {
      this.#text(part, 1234, 138 + i * 34, 24, "", COLOURS.dim, "right");
    });
  }

  #middle({ banner, countdown, review, grade, byHand }) {
    if (banner) {
      this.#pill(140, 400, 1000, 190, banner.colour);
      this.#text(banner.title, 640, 460, 72, "bold", COLOURS.text, "center");
      this.#text(banner.text, 640, 542, 30, "", COLOURS.text, "center", 950);
    } else if (countdown) {
      this.#dot(640, 480, 120, PANEL);
      this.#text(countdown, 640, 486, 150, "bold", COLOURS.text, "center");
    } else if (review) {
      this.#review(grade, byHand);
    }
  }

  #review(grade, byHand) {
    this.#pill(220, 400, 840, 190, PANEL);
    if (grade === null) {
      this.#text("How did it go?", 640, 440, 32, "", COLOURS.dim, "center");
    } else {
      this.#text(`Grade ${grade} of 5`, 560, 440, 32, "bold", COLOURS.text, "right");
      for (let k = 1; k <= 5; k += 1) {
        this.#dot(580 + 40 * k, 440, 14, k <= grade ? COLOURS.green : COLOURS.grey);
      }
    }
    if (byHand) {
      this.#text("right palm: success, failure, grade", 640, 502, 32, "bold", COLOURS.text, "center");
      this.#text("left palm: discard, once more", 640, 552, 32, "bold", COLOURS.text, "center");
      return;
    }
    this.#text("right stick up, down: grade     hold X: discard and record again", 640, 564, 24, "",
      COLOURS.dim, "center");
    const keys = [["A", "success", COLOURS.green], ["B", "failure", COLOURS.red],
      ["X", "discard", COLOURS.grey]];
    keys.forEach(([key, word, colour], i) => {
      const x = 300 + i * 270;
      this.#dot(x, 506, 30, colour);
      this.#text(key, x, 508, 34, "bold", COLOURS.text, "center");
      this.#text(word, x + 44, 508, 36, "bold", COLOURS.text);
    });
  }

  /** What a bare hand's gesture is about to do, with how far it has got. */
  #gesture({ gesture }) {
    if (gesture === null) return;
    const lines = twoLines(gesture.text);
    const height = 22 + 38 * lines.length;
    this.#pill(190, 606, 900, height, PANEL);
    if (gesture.share > 0) this.#pill(190, 606, 900 * gesture.share, height, COLOURS.blue);
    lines.forEach((line, i) => {
      this.#text(line, 640, 638 + 38 * i, 30, "bold", COLOURS.text, "center", 860);
    });
  }

  #lines({ lines }) {
    lines.forEach(({ text, colour }, i) => {
      const y = 900 - (lines.length - i) * 58;
      this.#pill(190, y, 900, 50, colour);
      this.#text(text, 640, y + 26, 28, "", COLOURS.text, "center", 860);
    });
  }

  #pill(x, y, width, height, colour) {
    this.#ctx.fillStyle = colour;
    this.#ctx.beginPath();
    this.#ctx.roundRect(x, y, width, height, 14);
    this.#ctx.fill();
  }

  #dot(x, y, radius, colour) {
    this.#ctx.fillStyle = colour;
    this.#ctx.beginPath();
    this.#ctx.arc(x, y, radius, 0, 2 * Math.PI);
    this.#ctx.fill();
  }

  #text(text, x, y, size, weight, colour, align = "left", maxWidth = WIDTH) {
    const ctx = this.#ctx;
    ctx.font = `${weight} ${size}px ${FONT}`.trim();
    ctx.fillStyle = colour;
    ctx.textAlign = align;
    // Canvas squeezes what is too wide; beyond a third narrower it is cut instead.
    let shown = text;
    while (ctx.measureText(shown).width > maxWidth * 1.3) shown = `${shown.slice(0, -2)}…`;
    ctx.fillText(shown, x, y, maxWidth);
  }
}
