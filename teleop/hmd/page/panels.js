/**
 * The wrist pictures as panels that can be moved: pointed at, held with the trigger, dragged.
 *
 * Panels are fixed to the head, at angles to the right and down of straight ahead. They are moved
 * only while no arm follows, for the trigger is a gripper's otherwise. Pure, but for the storage.
 */

import { conjugated, rotated } from "./matrix.js";

/** @typedef {{right: number, down: number, width: number}} Place angles [rad] */
/** @typedef {{x: number, y: number}} Point on the plane the panels hang in, 1 m ahead */

export const PLACES = Object.freeze({ low: [0.42, 0.4], high: [0.42, -0.32], side: [0.6, 0.05] });
const WIDTH = 0.25;
const WIDTHS = Object.freeze([0.12, 0.7]);
/** How far out a panel may go [rad]: it must stay where eyes reach it. */
const FARTHEST = Object.freeze({ right: 0.85, down: 0.65 });
const PULLED = 0.7;
const LET_GO = 0.4;
/** Growth of a held panel with the stick fully pushed [1/s]. */
const GROWTH = 0.8;
const KEY = "telecap.panels";

export class WristPanels {
  /** @type {Record<string, Place>} */
  #moved = {};
  #kind = "low";
  /** @type {Record<string, boolean>} trigger pulled, by controller */
  #pulled = {};
  /** @type {{side: string, by: string, offset: Point} | null} */
  #held = null;
  /** @type {string | null} panel that is pointed at */
  pointed = null;
  /** @type {Point | null} where */
  cursor = null;

  /** @param {Storage | null} storage where moved panels are kept; null forgets them */
  constructor(storage = null) {
    this.storage = storage;
    [this.#kind, this.#moved] = stored(storage);
  }

  /** @param {string} kind "low", "high", "side" or "off"; another one puts panels back */
  set kind(kind) {
    if (kind === this.#kind) return;
    this.#kind = kind;
    this.reset();
  }

  get kind() {
    return this.#kind;
  }

  /** Everything back to its place. */
  reset() {
    this.#moved = {};
    this.#held = null;
    this.#keep();
  }

  /**
   * @param {string} side "left" or "right"
   * @returns {Place | null} where that wrist's picture hangs; null for nowhere
   */
  place(side) {
    const place = PLACES[this.#kind];
    if (!place) return null;
    const sign = side === "left" ? -1 : 1;
    return this.#moved[side] ?? { right: sign * place[0], down: place[1], width: WIDTH };
  }

  /** @returns {string | null} panel that is held */
  get held() {
    return this.#held?.side ?? null;
  }

  /**
   * @param {{position: DOMPointReadOnly, orientation: DOMPointReadOnly}} head
   * @param {{left: any, right: any}} controllers each `{aim, trigger, stickUp}`, null when absent;
   *   `aim` a pose `[px, py, pz, qx, qy, qz, qw]`
   * @param {Record<string, number>} aspects height over width of the pictures that are shown
   * @param {boolean} allowed no arm follows
   * @param {number} seconds since the last call
   */
  update(head, controllers, aspects, allowed, seconds) {
    this.pointed = null;
    this.cursor = null;
    for (const by of ["left", "right"]) {
      const controller = controllers[by];
      const pulls = this.#pulls(by, controller);
      const hit = controller && allowed ? hitPoint(head, controller.aim) : null;
      if (this.#held?.by === by && (!hit || pulls === "open")) this.#drop();
      if (!hit) continue;
      const side = this.#held?.by === by ? this.#held.side : this.#under(hit, aspects);
      if (side === null) continue;
      this.pointed ??= side;
      this.cursor ??= hit;
      if (pulls === "pulled" && this.#held === null) this.#grab(side, by, hit);
      if (this.#held?.by === by) this.#drag(hit, controller.stickUp, seconds);
    }
  }

  /** @returns {"pulled" | "held" | "open"} `pulled` only once a pull */
  #pulls(by, controller) {
    const before = this.#pulled[by] ?? true; // what was pulled before is no pull
    const trigger = controller?.trigger ?? 0;
    const now = before ? trigger > LET_GO : trigger > PULLED;
    this.#pulled[by] = controller ? now : true;
    if (!now) return "open";
    return before ? "held" : "pulled";
  }

  #under(hit, aspects) {
    const sides = ["left", "right"].filter((side) => aspects[side] !== undefined);
    return sides.find((side) => {
      const place = this.place(side);
      if (place === null) return false;
      const half = Math.tan(place.width / 2);
      return Math.abs(hit.x - Math.tan(place.right)) <= half &&
        Math.abs(hit.y + Math.tan(place.down)) <= half * aspects[side];
    }) ?? null;
  }

  #grab(side, by, hit) {
    const { right, down } = this.place(side);
    const offset = { x: Math.tan(right) - hit.x, y: -Math.tan(down) - hit.y };
    this.#held = { side, by, offset };
  }

  #drag(hit, stickUp, seconds) {
    const { side, offset } = this.#held;
    const { width } = this.place(side);
    this.#moved[side] = {
      right: clamp(Math.atan(hit.x + offset.x), -FARTHEST.right, FARTHEST.right),
      down: clamp(-Math.atan(hit.y + offset.y), -FARTHEST.down, FARTHEST.down),
      width: clamp(width * (1 + GROWTH * stickUp * seconds), ...WIDTHS),
    };
  }

  #drop() {
    this.#held = null;
    this.#keep();
  }

  #keep() {
    try {
      this.storage?.setItem(KEY, JSON.stringify({ kind: this.#kind, moved: this.#moved }));
    } catch {
      // Private windows may have no storage: the places then last as long as the page.
    }
  }
}

/** Where a ray meets the plane 1 m ahead of the head; null when it points elsewhere. */
function hitPoint(head, aim) {
  const back = conjugated(head.orientation);
  const { position: { x, y, z } } = head;
  const origin = rotated(back, [aim[0] - x, aim[1] - y, aim[2] - z]);
  const [qx, qy, qz, qw] = aim.slice(3);
  const ahead = rotated(back, rotated({ x: qx, y: qy, z: qz, w: qw }, [0, 0, -1]));
  if (ahead[2] > -0.05) return null;
  const along = (-1 - origin[2]) / ahead[2];
  if (along <= 0) return null;
  return { x: origin[0] + along * ahead[0], y: origin[1] + along * ahead[1] };
}

function stored(storage) {
  try {
    const { kind, moved } = JSON.parse(storage?.getItem(KEY) ?? "{}");
    const sides = ["left", "right"].filter((side) => isPlace(moved?.[side]));
    return [kind ?? "low", Object.fromEntries(sides.map((side) => [side, moved[side]]))];
  } catch {
    return ["low", {}];
  }
}

function isPlace(place) {
  return Boolean(place) && ["right", "down", "width"].every((key) => Number.isFinite(place[key])) &&
    Math.abs(place.right) <= FARTHEST.right && Math.abs(place.down) <= FARTHEST.down &&
    place.width >= WIDTHS[0] && place.width <= WIDTHS[1];
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
