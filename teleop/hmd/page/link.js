/**
 * The WebSocket to the server: greeting, clock, reconnect with back-off and session resume.
 *
 * Events (all `CustomEvent`, the value is `detail`): "phase" LinkState, "message" parsed JSON,
 * "video" VideoMessage.
 */

import { ClockFit } from "./clock.js";
import { CLOSE_REASONS, SUBPROTOCOL, decodeVideo } from "./protocol.js";

/** Above this much unsent data a pose is old before it leaves: it is dropped instead [bytes]. */
const MAX_BUFFERED = 64 * 1024;
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5000;
const PING_EVERY_MS = 500;
/** Without any message for this long the link is dead, whatever the socket says [ms]. */
const SILENCE_MS = 3000;

/**
 * @typedef {"connecting" | "open" | "waiting" | "refused" | "closed"} Phase
 * @typedef {{phase: Phase, reason: string, code: number, retryMs: number}} LinkState
 */

export class Link extends EventTarget {
  #hello;
  #url;
  /** @type {WebSocket | null} */
  #socket = null;
  #retryMs = FIRST_RETRY_MS;
  #timer = 0;
  #pingTimer = 0;
  #pings = 0;
  #heardMs = 0;
  /** @type {string | null} given by the server; greeting with it again resumes the session */
  sessionId = null;
  /** @type {LinkState} */
  #state = { phase: "closed", reason: "", code: 0, retryMs: 0 };
  /** Counters for the HUD and the console. */
  counters = { trackingSent: 0, trackingDropped: 0, connects: 0 };
  clock = new ClockFit();

  /**
   * @param {string} url ws:// or wss:// address
   * @param {() => object} hello what to greet with, without `type` and `resume`
   */
  constructor(url, hello) {
    super();
    this.#url = url;
    this.#hello = hello;
  }

  /** @returns {LinkState} */
  get state() {
    return this.#state;
  }

  get isOpen() {
    return this.#state.phase === "open";
  }

  /** Connect, and stay connected until `close`. */
  open() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#setState("connecting");
    const socket = new WebSocket(this.#url, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => this.#greet();
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#lost(event.code, event.reason);
  }

  close() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#setState("closed");
  }

  /**
   * @param {Uint8Array} bytes
   * @returns {boolean} false when it was dropped: link down or congested
   */
  sendTracking(bytes) {
    if (!this.isOpen || this.#socket.bufferedAmount > MAX_BUFFERED) {
      this.counters.trackingDropped += 1;
      return false;
    }
    this.#socket.send(bytes);
    this.counters.trackingSent += 1;
    return true;
  }

  /**
   * @param {object} message
   * @returns {boolean} false when there is no connection
   */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #greet() {
    this.#heardMs = performance.now();
    this.send({ type: "hello", ...this.#hello(), resume: this.sessionId });
    this.#pingTimer = setInterval(() => this.#beat(), PING_EVERY_MS);
  }

  #beat() {
    if (performance.now() - this.#heardMs > SILENCE_MS) {
      this.#lost(1006, "no message for 3 s");
      return;
    }
    this.#pings += 1;
    this.send({ type: "ping", id: this.#pings, t_device_ns: nowNs() });
  }

  #receive(data) {
    this.#heardMs = performance.now();
    if (data instanceof ArrayBuffer) {
      this.#emit("video", decodeVideo(data));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "ping") {
      this.send({ type: "pong", id: message.id, t_device_ns: nowNs() });
    } else if (message.type === "pong") {
      this.clock.add(message.t_device_ns / 1e6, performance.now(), message.t_server_ns / 1e6);
    } else {
      if (message.type === "welcome") this.#welcomed(message);
      this.#emit("message", message);
    }
  }

  #welcomed(message) {
    this.sessionId = message.session_id;
    this.#retryMs = FIRST_RETRY_MS;
    this.counters.connects += 1;
    this.clock.reset();
    this.#setState("open");
  }

  #lost(code, reason) {
    this.#drop();
    const known = CLOSE_REASONS[code];
    const text = known ? known.text : reason || "The server does not answer.";
    if (known && !known.retry) {
      this.#setState("refused", text, code);
      return;
    }
    // Half of the wait is random, so that several pages do not come back in step.
    const waitMs = this.#retryMs * (0.5 + Math.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
    this.#setState("waiting", text, code, waitMs);
    this.#timer = setTimeout(() => this.open(), waitMs);
  }

  #drop() {
    clearInterval(this.#pingTimer);
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #setState(phase, reason = "", code = 0, retryMs = 0) {
    this.#state = { phase, reason, code, retryMs };
    this.#emit("phase", this.#state);
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** @returns {string} address of this server's operator socket */
export function socketUrl() {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
}

function nowNs() {
  return Math.round(performance.now() * 1e6);
}
