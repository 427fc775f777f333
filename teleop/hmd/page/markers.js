/**
 * Where hands are and where an absolute clutch wants them: a dart each, its tip forward, its fin
 * up. Bring the white dart onto the coloured one.
 */

import { multiply, placed, rigid } from "./matrix.js";
import { plainTexture } from "./texture.js";

const SIDES = Object.freeze(["left", "right"]);
/** rgba; over a busy picture only opaque markers are seen. */
const COLOURS = Object.freeze({
  hand: [235, 235, 235, 255],
  far: [217, 138, 0, 255],
  near: [31, 157, 85, 255],
  bone: [90, 170, 235, 255],
});
/** Half width of a drawn limb [m]. */
const BONE_M = 0.008;
const LYING = rigid({ x: -Math.SQRT1_2, y: 0, z: 0, w: Math.SQRT1_2 }, { x: 0, y: 0, z: 0 });
const SIDEWAYS = rigid({ x: 0, y: Math.SQRT1_2, z: 0, w: Math.SQRT1_2 }, { x: 0, y: 0, z: 0 });
/** Shaft along -z, fin up behind it, bar across its front [m]. */
const PARTS = Object.freeze([
  multiply(LYING, placed(0, 0.03, 0, 0.008, 0.07)),
  multiply(SIDEWAYS, placed(-0.02, 0.02, 0, 0.02, 0.02)),
  placed(0, 0, -0.1, 0.03, 0.006),
]);

/** @typedef {{pose: number[], kind: "hand" | "far" | "near"}} Marker */

/**
 * @param {any} status
 * @param {import("./protocol.js").TrackingSample} sample
 * @returns {Marker[]} none unless an absolute clutch waits for a hand
 */
export function alignmentMarkers(status, sample) {
  const markers = [];
  for (const { side, ghost, direction } of status?.alignment ?? []) {
    markers.push({ pose: ghost, kind: direction === "" ? "near" : "far" });
    const index = SIDES.indexOf(side);
    const pose = sample.controllers[index]?.grip ?? sample.hands[index]?.joints[0];
    if (pose) markers.push({ pose, kind: "hand" });
  }
  return markers;
}

/**
 * @param {any} status
 * @returns {Marker[]} where the robot's tips are commanded to be
 */
export function targetMarkers(status) {
  return Object.values(status?.targets ?? {}).map((pose) => ({ pose, kind: "near" }));
}

export class MarkerPainter {
  #quad;
  #textures = {};

  /**
   * @param {WebGL2RenderingContext} gl
   * @param {(texture: WebGLTexture, mvp: Float32Array) => void} quad draws a textured quad
   */
  constructor(gl, quad) {
    this.#quad = quad;
    for (const [kind, rgba] of Object.entries(COLOURS)) {
      this.#textures[kind] = plainTexture(gl, rgba);
    }
  }

  /**
   * @param {Float32Array} clip view and projection of one eye
   * @param {Marker} marker
   */
  draw(clip, { pose: [px, py, pz, x, y, z, w], kind }) {
    const frame = multiply(clip, rigid({ x, y, z, w }, { x: px, y: py, z: pz }));
    for (const part of PARTS) this.#quad(this.#textures[kind], multiply(frame, part));
  }

  /**
   * @param {Float32Array} clip view and projection of one eye
   * @param {number[][]} points along a limb of the robot, in STAGE [m]
   */
  drawLimb(clip, points) {
    for (let i = 1; i < points.length; i += 1) {
      for (const strip of bone(points[i - 1], points[i])) {
        this.#quad(this.#textures.bone, multiply(clip, strip));
      }
    }
  }
}

/**
 * Two crossed strips from one point to another.
 *
 * @param {number[]} a
 * @param {number[]} b
 * @returns {Float32Array[]} none where the points are one
 */
export function bone(a, b) {
  const along = a.map((value, i) => (b[i] - value) / 2);
  const length = Math.hypot(...along);
  if (length < 1e-4) return [];
  const least = along.map(Math.abs).indexOf(Math.min(...along.map(Math.abs)));
  const across = unit(cross(along, [0, 1, 2].map((i) => Number(i === least))));
  const middle = a.map((value, i) => (value + b[i]) / 2);
  return [across, cross(along.map((value) => value / length), across)].map((side) => {
    const normal = cross(side, along.map((value) => value / length));
    return new Float32Array([
      ...side.map((value) => BONE_M * value), 0, ...along, 0, ...normal, 0, ...middle, 1,
    ]);
  });
}

function cross([a, b, c], [x, y, z]) {
  return [b * z - c * y, c * x - a * z, a * y - b * x];
}

function unit(v) {
  const norm = Math.hypot(...v);
  return v.map((value) => value / norm);
}
