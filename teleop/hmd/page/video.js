/** Video streams to pictures, JPEG or H.264. */

import { Codec } from "./protocol.js";

/** Constrained baseline, level 3.1: no reordering, so no delay. */
const H264_BASELINE = "avc1.42E01F";

/**
 * What this browser decodes, best first.
 *
 * @returns {Promise<string[]>}
 */
export async function knownCodecs() {
  if (typeof VideoDecoder === "undefined") return ["jpeg"]; // also: an insecure page
  try {
    const answer = await VideoDecoder.isConfigSupported({ codec: H264_BASELINE });
    return answer.supported ? ["jpeg", "h264"] : ["jpeg"];
  } catch {
    return ["jpeg"];
  }
}

/**
 * @typedef {{id: number, name: string, eye: string, width: number, height: number,
 *            fovy_deg: number, codec: string}} StreamInfo
 * @typedef {{stream: StreamInfo, bitmap: ImageBitmap | VideoFrame, seq: number, captureMs: number,
 *            turn: number[] | null}} Picture
 */

export class VideoReceiver {
  /** @type {Map<number, StreamDecoder>} */
  #decoders = new Map();
  #onPicture;
  #onAck;

  /**
   * @param {(picture: Picture) => void} onPicture owns the bitmap and must close it
   * @param {(stream: string, seq: number, key: boolean) => void} onAck that picture was decoded,
   *   or with `key`: nothing can be until the next key picture
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
  /** @type {VideoDecoder | null} */
  #h264 = null;
  /** Given to the H.264 decoder, not shown yet. */
  #pending = [];

  constructor(stream, onPicture, onAck) {
    this.stream = stream;
    this.onPicture = onPicture;
    this.onAck = onAck;
  }

  /** JPEG pictures stand alone, the newest wins; H.264 pictures build on each other, all count. */
  push(message) {
    if (message.codec === Codec.H264) {
      this.#waiting = null;
      this.#pushH264(message);
      return;
    }
    this.#closeH264();
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

  async #decode({ payload, seq, captureMs, turn }) {
    try {
      const bitmap = await createImageBitmap(new Blob([payload], { type: "image/jpeg" }));
      this.counters.decoded += 1;
      this.onPicture({ stream: this.stream, bitmap, seq, captureMs, turn });
    } catch {
      // A broken picture is counted and shown in the counters; the next one follows at once.
      this.counters.failed += 1;
    }
    // Also after a failure: the server waits for the answer before it sends more.
    this.onAck(this.stream.name, seq, false);
  }

  #pushH264(message) {
    if (this.#h264 === null) {
      if (!message.key) {
        this.#lostH264(message.seq);
        return;
      }
      this.#h264 = this.#openH264();
    }
    this.#pending.push(message);
    try {
      this.#h264.decode(new EncodedVideoChunk({
        type: message.key ? "key" : "delta",
        timestamp: message.seq * 1000,
        data: message.payload,
      }));
    } catch {
      this.#lostH264(message.seq);
    }
  }

  #openH264() {
    const decoder = new VideoDecoder({
      output: (frame) => this.#shown(frame),
      error: () => this.#lostH264(this.#pending.at(-1)?.seq ?? 0),
    });
    decoder.configure({ codec: H264_BASELINE, optimizeForLatency: true });
    return decoder;
  }

  #shown(frame) {
    const seq = Math.round(frame.timestamp / 1000);
    while (this.#pending.length > 0 && this.#pending[0].seq < seq) this.#pending.shift();
    const message = this.#pending.shift();
    this.counters.decoded += 1;
    if (message) {
      const { captureMs, turn } = message;
      this.onPicture({ stream: this.stream, bitmap: frame, seq, captureMs, turn });
    } else {
      frame.close();
    }
    this.onAck(this.stream.name, seq, false);
  }

  /** What follows cannot be decoded: begin anew from a key picture. */
  #lostH264(seq) {
    this.counters.failed += 1;
    this.#closeH264();
    this.onAck(this.stream.name, seq, true);
  }

  #closeH264() {
    if (this.#h264 !== null && this.#h264.state !== "closed") this.#h264.close();
    this.#h264 = null;
    this.#pending = [];
  }
}
