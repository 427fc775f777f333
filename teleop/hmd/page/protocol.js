/**
 * telecap.v1 on the wire: bytes in, values out. No sockets, no clock.
 *
 * The constants mirror `teleop/samples.py`, the layouts `teleop/protocol.md`; all little-endian.
 */

export const SUBPROTOCOL = "telecap.v1";

export const MessageType = Object.freeze({ TRACKING: 0x01, VIDEO: 0x02 });

export const Codec = Object.freeze({ JPEG: 1, H264: 2 });

/** Validity of one pose; the low bits are OpenXR's `XrSpaceLocationFlags`. */
export const Tracking = Object.freeze({
  ORIENTATION_VALID: 1,
  POSITION_VALID: 2,
  ORIENTATION_TRACKED: 4,
  POSITION_TRACKED: 8,
  EMULATED: 16,
  PALM_DERIVED: 32,
  STAND_IN: 64,
});

export const Button = Object.freeze({
  TRIGGER: 1,
  SQUEEZE: 2,
  THUMBSTICK: 4,
  PRIMARY: 8,
  SECONDARY: 16,
  MENU: 32,
});

/** Close codes of the server, and whether trying again can help. */
export const CLOSE_REASONS = Object.freeze({
  4400: { text: "The server could not read a message of this page.", retry: true },
  4401: { text: "Wrong access token.", retry: false },
  4403: { text: "The server refuses connections from this address (origin).", retry: false },
  4406: { text: "Page and server differ in protocol version. Reload the page.", retry: false },
  4408: { text: "The server heard no greeting in time.", retry: true },
  4409: { text: "This session goes on in another page. Reload this one to take part.", retry: false },
  4410: { text: "The server is stopping.", retry: true },
  4413: { text: "A message was too large for the server.", retry: true },
  4429: { text: "This page sent too many messages.", retry: true },
});

export const N_HAND_JOINTS = 26;
const HEADER_BYTES = 16;
const HEAD_BYTES = 32;
const CONTROLLER_BYTES = 80;
const HAND_BYTES = 4 + N_HAND_JOINTS * 32;
const VIDEO_HEADER_BYTES = 16;
const TURN_BYTES = 16;

/**
 * @typedef {Float32Array | number[]} Pose7  px py pz [m], qx qy qz qw
 * @typedef {{flags: number, pose: Pose7}} HeadSample
 * @typedef {{flags: number, grip: Pose7, aim: Pose7, trigger: number, squeeze: number,
 *            stick: [number, number], buttons: number}} ControllerSample
 * @typedef {{flags: number, joints: Pose7[], radii: Float32Array | number[]}} HandSample
 *   26 joints in `XrHandJointEXT` order: palm, wrist, thumb, index, middle, ring, little
 * @typedef {{head: HeadSample | null, controllers: (ControllerSample | null)[],
 *            hands: (HandSample | null)[]}} TrackingSample  controllers and hands: left, right
 */

/** Writes tracking messages into one buffer that is reused from frame to frame. */
export class TrackingEncoder {
  #bytes = new Uint8Array(HEADER_BYTES + HEAD_BYTES + 2 * CONTROLLER_BYTES + 2 * HAND_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  /**
   * @param {number} seq message counter, wraps at 2^32
   * @param {number} timeMs device time [ms], the `performance.now()` scale
   * @param {TrackingSample} sample
   * @returns {Uint8Array} view of the encoder's own buffer, valid until the next call
   */
  encode(seq, timeMs, sample) {
    this.#at = HEADER_BYTES;
    let presence = 0;
    const blocks = [
      [sample.head, (block) => this.#head(block)],
      [sample.controllers[0], (block) => this.#controller(block)],
      [sample.controllers[1], (block) => this.#controller(block)],
      [sample.hands[0], (block) => this.#hand(block)],
      [sample.hands[1], (block) => this.#hand(block)],
    ];
    blocks.forEach(([block, write], bit) => {
      if (block === null) return;
      presence |= 1 << bit;
      write(block);
    });
    this.#view.setUint8(0, MessageType.TRACKING);
    this.#view.setUint8(1, presence);
    this.#view.setUint16(2, 0, true);
    this.#view.setUint32(4, seq >>> 0, true);
    this.#view.setBigInt64(8, BigInt(Math.round(timeMs * 1e6)), true);
    return this.#bytes.subarray(0, this.#at);
  }

  #head(head) {
    this.#u32(head.flags);
    this.#f32(head.pose);
  }

  #controller(controller) {
    this.#u32(controller.flags);
    this.#f32(controller.grip);
    this.#f32(controller.aim);
    this.#f32([controller.trigger, controller.squeeze, ...controller.stick]);
    this.#u32(controller.buttons);
  }

  #hand(hand) {
    this.#u32(hand.flags);
    for (let i = 0; i < N_HAND_JOINTS; i++) {
      this.#f32(hand.joints[i]);
      this.#view.setFloat32(this.#at, hand.radii[i], true);
      this.#at += 4;
    }
  }

  #u32(value) {
    this.#view.setUint32(this.#at, value >>> 0, true);
    this.#at += 4;
  }

  #f32(values) {
    for (const value of values) {
      this.#view.setFloat32(this.#at, value, true);
      this.#at += 4;
    }
  }
}

/**
 * @typedef {{codec: number, streamId: number, key: boolean, seq: number, captureMs: number,
 *            turn: number[] | null, payload: Uint8Array}} VideoMessage  captureMs: host clock [ms];
 *   turn: quaternion xyzw by which the camera had turned, in STAGE
 */

/**
 * Read one binary message of the server.
 *
 * @param {ArrayBuffer} buffer
 * @returns {VideoMessage}
 * @throws {RangeError} when it is not a video message
 */
export function decodeVideo(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength <= VIDEO_HEADER_BYTES || view.getUint8(0) !== MessageType.VIDEO) {
    throw new RangeError(`not a video message: ${buffer.byteLength} bytes`);
  }
  const isTurned = (view.getUint8(3) & 2) === 2;
  const start = VIDEO_HEADER_BYTES + (isTurned ? TURN_BYTES : 0);
  if (buffer.byteLength <= start) throw new RangeError("a video message without a picture");
  return {
    codec: view.getUint8(1),
    streamId: view.getUint8(2),
    key: (view.getUint8(3) & 1) === 1,
    seq: view.getUint32(4, true),
    captureMs: Number(view.getBigInt64(8, true)) / 1e6,
    turn: isTurned
      ? [0, 4, 8, 12].map((at) => view.getFloat32(VIDEO_HEADER_BYTES + at, true))
      : null,
    payload: new Uint8Array(buffer, start),
  };
}
