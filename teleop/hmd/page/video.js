/** JPEG streams to pictures. Latest wins: while one picture is decoded, only the newest waits. */

import { Codec } from "./protocol.js";

/**
 * @typedef {{id: number, name: string, eye: string, width: number, height: number,
 *            fovy_deg: number, codec: string}} StreamInfo
 * @typedef {{stream: StreamInfo, bitmap: ImageBitmap, seq: number, captureMs: number}} Picture
 */

export class VideoReceiver {
  /** @type {Map<number, StreamDecoder>} */
  #decoders = new Map();
  #onPicture;
  #onAck;

  /**
   * @param {(picture: Picture) => void} onPicture owns the bitmap and must close it
   * @param {(stream: string, seq: number) => void} onAck  that picture was decoded
   */
  constructor(onPicture, onAck) {
    this.#onPicture = onPicture;
    this.#onAck = onAck;
  }

  /** @param {StreamInfo[]} streams as announced by the server's welcome */
  setStreams(streams) {
    this.#decoders = new Map(
      streams.map((stream) => [stream.id, new StreamDecoder(stream, this.#onPicture, this.#onAck)]),
    );
  }

  /** @returns {{name: string, decoded: number, skipped: number, failed: number}[]} */
  get counters() {
    return [...this.#decoders.values()].map((d) => ({ name: d.stream.name, ...d.counters }));
  }

  /** @param {import("./protocol.js").VideoMessage} message */
  receive(message) {
    this.#decoders.get(message.streamId)?.push(message);
  }
}

class StreamDecoder {
  counters = { decoded: 0, skipped: 0, failed: 0 };
  #waiting = null;
  #busy = false;

  constructor(stream, onPicture, onAck) {
    this.stream = stream;
    this.onPicture = onPicture;
    this.onAck = onAck;
  }

  push(message) {
    if (this.#waiting !== null) this.counters.skipped += 1;
    this.#waiting = message;
    if (!this.#busy) this.#drain();
  }

  async #drain() {
    this.#busy = true;
    while (this.#waiting !== null) {
      const message = this.#waiting;
      this.#waiting = null;
      await this.#decode(message);
    }
    this.#busy = false;
  }

  async #decode({ codec, payload, seq, captureMs }) {
    if (codec !== Codec.JPEG) {
      this.counters.failed += 1;
      return;
    }
    try {
      const bitmap = await createImageBitmap(new Blob([payload], { type: "image/jpeg" }));
      this.counters.decoded += 1;
      this.onPicture({ stream: this.stream, bitmap, seq, captureMs });
    } catch {
      // A broken picture is counted and shown in the counters; the next one follows at once.
      this.counters.failed += 1;
    }
    // Also after a failure: the server waits for the answer before it sends more.
    this.onAck(this.stream.name, seq);
  }
}
