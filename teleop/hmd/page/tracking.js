/** One XR frame to one tracking sample: head, controllers and hands in the reference space. */

import { Button, Tracking } from "./protocol.js";

/** @typedef {import("./protocol.js").TrackingSample} TrackingSample */

const IDENTITY = Object.freeze([0, 0, 0, 0, 0, 0, 1]);
const SIDES = Object.freeze(["left", "right"]);
const N_WEBXR_JOINTS = 25;
/** An analogue button counts as held from here on: devices disagree on `pressed`. */
const PRESSED = 0.5;
/** Index of each button in the `xr-standard` gamepad mapping. */
const XR_STANDARD = Object.freeze([
  [0, Button.TRIGGER],
  [1, Button.SQUEEZE],
  [3, Button.THUMBSTICK],
  [4, Button.PRIMARY],
  [5, Button.SECONDARY],
]);

/**
 * @param {XRFrame} frame
 * @param {XRReferenceSpace} space
 * @returns {TrackingSample}
 */
export function readTracking(frame, space) {
  const sample = { head: readHead(frame, space), controllers: [null, null], hands: [null, null] };
  for (const source of frame.session.inputSources) {
    const side = SIDES.indexOf(source.handedness);
    if (side < 0) continue;
    if (source.hand) {
      sample.hands[side] = readHand(frame, space, source.hand);
    } else if (source.gripSpace && source.gamepad) {
      sample.controllers[side] = readController(frame, space, source);
    }
  }
  return sample;
}

/**
 * What is tracked, for the operator: "controller", "hand" or "none" a side.
 *
 * @param {TrackingSample} sample
 * @returns {string[]} left, right
 */
export function deviceKinds(sample) {
  return SIDES.map((_, i) => {
    if (sample.hands[i]) return "hand";
    return sample.controllers[i] ? "controller" : "none";
  });
}

function readHead(frame, space) {
  const pose = frame.getViewerPose(space);
  return pose ? { flags: poseFlags(pose), pose: pose7(pose.transform) } : null;
}

function readController(frame, space, source) {
  const grip = frame.getPose(source.gripSpace, space);
  const aim = source.targetRaySpace ? frame.getPose(source.targetRaySpace, space) : null;
  return {
    flags: grip ? poseFlags(grip) : 0,
    grip: grip ? pose7(grip.transform) : IDENTITY,
    aim: aim ? pose7(aim.transform) : IDENTITY,
    ...readGamepad(source.gamepad),
  };
}

/**
 * Buttons and axes by the `xr-standard` mapping; of other mappings only the trigger is known.
 *
 * @param {Gamepad} gamepad
 * @returns {{trigger: number, squeeze: number, stick: [number, number], buttons: number}}
 */
export function readGamepad(gamepad) {
  const isStandard = gamepad.mapping === "xr-standard";
  const layout = isStandard ? XR_STANDARD : XR_STANDARD.slice(0, 1);
  let buttons = 0;
  for (const [index, bit] of layout) {
    if (buttonValue(gamepad, index) >= PRESSED) buttons |= bit;
  }
  // Axes 0 and 1 are the touchpad, null where the controller has none. Gamepads count down, the
  // protocol counts up.
  const stick = isStandard ? [gamepad.axes[2] ?? 0, 0 - (gamepad.axes[3] ?? 0)] : [0, 0];
  return {
    trigger: buttonValue(gamepad, 0),
    squeeze: isStandard ? buttonValue(gamepad, 1) : 0,
    stick,
    buttons,
  };
}

function buttonValue(gamepad, index) {
  const button = gamepad.buttons[index];
  if (!button) return 0;
  return button.value > 0 ? button.value : Number(button.pressed);
}

function readHand(frame, space, hand) {
  const poses = [];
  for (const joint of hand.values()) {
    const pose = frame.getJointPose(joint, space);
    if (pose) poses.push(pose);
  }
  // A hand with holes is of no use to a retargeter: all joints or none.
  if (poses.length !== N_WEBXR_JOINTS) return lostHand();
  const joints = poses.map((pose) => pose7(pose.transform));
  return {
    flags: poseFlags(poses[0]) | Tracking.PALM_DERIVED,
    joints: [palm(joints), ...joints],
    radii: [poses[10].radius, ...poses.map((pose) => pose.radius)].map((radius) => radius ?? 0),
  };
}

function lostHand() {
  return {
    flags: 0,
    joints: Array(N_WEBXR_JOINTS + 1).fill(IDENTITY),
    radii: Array(N_WEBXR_JOINTS + 1).fill(0),
  };
}

/**
 * OpenXR's palm, which WebXR lacks: the middle of the middle finger's metacarpal bone, oriented
 * like that bone (XR_EXT_hand_tracking, "palm joint").
 *
 * @param {number[][]} joints 25 WebXR joints; 10 and 11 are the bone's two ends
 * @returns {number[]} pose7
 */
export function palm(joints) {
  const [start, end] = [joints[10], joints[11]];
  return [0, 1, 2].map((i) => (start[i] + end[i]) / 2).concat(start.slice(3));
}

function poseFlags(pose) {
  const oriented = Tracking.ORIENTATION_VALID | Tracking.ORIENTATION_TRACKED;
  const positioned = Tracking.POSITION_VALID;
  return oriented | positioned |
    (pose.emulatedPosition ? Tracking.EMULATED : Tracking.POSITION_TRACKED);
}

/**
 * @param {XRRigidTransform} transform
 * @returns {number[]} px py pz qx qy qz qw
 */
export function pose7({ position: p, orientation: q }) {
  return [p.x, p.y, p.z, q.x, q.y, q.z, q.w];
}
