/**
 * The host's clock as this page's clock sees it: offset and drift, from round trips.
 *
 * A round trip bounds the offset to half its length, whatever the way there and back took. The
 * quick ones of the last minute are fitted by a line.
 */

const WINDOW_MS = 60_000;
const KEPT = 120;
/** A drift needs this much time to show [ms], and no crystal has more [ms per ms]. */
const DRIFT_AFTER_MS = 10_000;
const MAX_DRIFT = 200e-6;
/** Round trips that take longer than the quickest by this share, and this much [ms], say little. */
const SLOWER = 1.5;
const SLACK_MS = 0.2;

export class ClockFit {
  /** @type {{atMs: number, rttMs: number, offsetMs: number}[]} */
  #trips = [];
  /** @type {{atMs: number, offsetMs: number, drift: number, errorMs: number} | null} */
  #fit = null;

  /**
   * @param {number} sentMs page clock when the ping left
   * @param {number} receivedMs page clock when the pong came
   * @param {number} serverMs host clock written into the pong
   */
  add(sentMs, receivedMs, serverMs) {
    const atMs = (sentMs + receivedMs) / 2;
    this.#trips.push({ atMs, rttMs: receivedMs - sentMs, offsetMs: serverMs - atMs });
    this.#trips = this.#trips.filter((trip) => atMs - trip.atMs <= WINDOW_MS).slice(-KEPT);
    this.#fit = fitted(this.#trips);
  }

  /** Forget everything: the host's clock is another one after a restart. */
  reset() {
    this.#trips = [];
    this.#fit = null;
  }

  /** @returns {number | null} newest round trip [ms] */
  get rttMs() {
    return this.#trips.at(-1)?.rttMs ?? null;
  }

  /** @returns {number | null} how far off mapped times may be [ms]; null before the first trip */
  get errorMs() {
    return this.#fit?.errorMs ?? null;
  }

  /** @returns {number} how much faster the host's clock runs [parts per million] */
  get driftPpm() {
    return (this.#fit?.drift ?? 0) * 1e6;
  }

  /**
   * @param {number} pageMs a time on the page clock
   * @returns {number | null} the same on the host clock [ms]; null before the first round trip
   */
  toHostMs(pageMs) {
    if (this.#fit === null) return null;
    const { atMs, offsetMs, drift } = this.#fit;
    return pageMs + offsetMs + drift * (pageMs - atMs);
  }

  /**
   * @param {number} hostMs a time on the host clock
   * @param {number} nowMs page clock
   * @returns {number | null} how long ago that was [ms]; null before the first round trip
   */
  ageMs(hostMs, nowMs) {
    const now = this.toHostMs(nowMs);
    return now === null ? null : now - hostMs;
  }
}

function fitted(trips) {
  const best = trips.reduce((a, b) => (b.rttMs < a.rttMs ? b : a));
  const quick = trips.filter((trip) => trip.rttMs <= best.rttMs * SLOWER + SLACK_MS);
  const span = quick.at(-1).atMs - quick[0].atMs;
  if (quick.length < 5 || span < DRIFT_AFTER_MS) {
    const drifted = MAX_DRIFT * (trips.at(-1).atMs - best.atMs);
    return { atMs: best.atMs, offsetMs: best.offsetMs, drift: 0,
      errorMs: best.rttMs / 2 + drifted };
  }
  const atMs = mean(quick.map((trip) => trip.atMs));
  const offsetMs = mean(quick.map((trip) => trip.offsetMs));
  const slope = sum(quick.map((trip) => (trip.atMs - atMs) * (trip.offsetMs - offsetMs))) /
    sum(quick.map((trip) => (trip.atMs - atMs) ** 2));
  const drift = Math.max(-MAX_DRIFT, Math.min(MAX_DRIFT, slope));
  return { atMs, offsetMs, drift, errorMs: best.rttMs / 2 };
}

function sum(values) {
  return values.reduce((a, b) => a + b, 0);
}

function mean(values) {
  return sum(values) / values.length;
}
