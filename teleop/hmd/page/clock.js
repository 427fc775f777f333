/** Offset of the host's clock from this page's, from round trips: the fastest recent one wins. */

const WINDOW = 20;

export class ClockFit {
  /** @type {{rttMs: number, offsetMs: number}[]} */
  #trips = [];

  /**
   * @param {number} sentMs page clock when the ping left
   * @param {number} receivedMs page clock when the pong came
   * @param {number} serverMs host clock written into the pong
   */
  add(sentMs, receivedMs, serverMs) {
    const rttMs = receivedMs - sentMs;
    this.#trips.push({ rttMs, offsetMs: serverMs - (sentMs + receivedMs) / 2 });
    if (this.#trips.length > WINDOW) this.#trips.shift();
  }

  /** Forget everything: the host's clock is another one after a restart. */
  reset() {
    this.#trips = [];
  }

  /** @returns {number | null} newest round trip [ms] */
  get rttMs() {
    return this.#trips.at(-1)?.rttMs ?? null;
  }

  /**
   * @param {number} hostMs a time on the host clock
   * @param {number} nowMs page clock
   * @returns {number | null} how long ago that was [ms]; null before the first round trip
   */
  ageMs(hostMs, nowMs) {
    if (this.#trips.length === 0) return null;
    const best = this.#trips.reduce((a, b) => (b.rttMs < a.rttMs ? b : a));
    return nowMs + best.offsetMs - hostMs;
  }
}
