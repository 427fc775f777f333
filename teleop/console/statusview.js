/** Shows one status message of the server, and enables the buttons it allows. */

import { COLOURS, MOTION, clockText, taskText } from "/static/xr/hudmodel.js";
import { part, setList, setRows, setText } from "./dom.js";

const RECORDING_COLOURS = Object.freeze({
  idle: COLOURS.grey, countdown: COLOURS.amber, recording: COLOURS.red, paused: COLOURS.amber,
  review: COLOURS.blue,
});

/** Conditions named by `data-when` (enabled) and `data-show` (visible) of a button. */
const CONDITIONS = Object.freeze({
  estop: (status) => status.motion === "estop",
  "can-home": (status) => status.motion === "idle" || status.motion === "hold",
  "can-record": (status) => status.recording === "idle" && status.motion !== "estop",
  "not-taking": (status) => !isTaking(status),
  taking: isTaking,
  recording: (status) => status.recording === "recording",
  paused: (status) => status.recording === "paused",
});

/**
 * @param {any} status `status` message
 */
export function showStatus(status) {
  const motion = MOTION[status.motion] ?? { text: status.motion, colour: COLOURS.grey };
  badge("motion", motion.text, motion.colour);
  setText("arms", armsText(status.engaged));
  showOperator(status);
  showRecording(status);
  showFigures(status);
  showNotices(status.notices);
  for (const button of document.querySelectorAll("button[data-when]")) {
    button.disabled = !CONDITIONS[button.dataset.when](status);
  }
  for (const button of document.querySelectorAll("button[data-show]")) {
    button.hidden = !CONDITIONS[button.dataset.show](status);
  }
}

function armsText([left, right]) {
  if (left && right) return "both arms follow";
  if (!left && !right) return "no arm follows";
  return `${left ? "left" : "right"} arm follows`;
}

function isTaking({ recording }) {
  return ["countdown", "recording", "paused"].includes(recording);
}

function planText(status) {
  const { plan } = status;
  if (!plan) return status.task;
  const whole = `${plan.total_done} of ${plan.total_wanted} in all`;
  return [plan.name, taskText(status), plan.wanted > 0 ? whole : ""].filter(Boolean).join(" · ");
}

function badge(id, text, colour) {
  setText(id, text);
  part(id).style.background = colour;
}

function showOperator({ operator, tracking, calibrated, reach_scale: scale }) {
  const who = [operator.name, operator.device].filter(Boolean).join(", ");
  const missing = Object.entries(tracking).filter(([, word]) => word !== "ok");
  const words = missing.map(([name, word]) => `${name} ${word}`).join(", ") || "ok";
  const isLost = operator.connected && missing.some(([, word]) => word === "lost");
  setRows("operator", [
    ["Operator", operator.connected ? who || "connected" : "none"],
    ["Tracking", operator.connected ? words : "—", isLost ? "bad" : ""],
    ["Reach", `${calibrated ? "calibrated" : "not calibrated"}, scale ${scale.toFixed(2)}`],
  ]);
}

function showRecording(status) {
  const isIdle = status.recording === "idle";
  const word = isIdle ? "NOT RECORDING" : status.recording.toUpperCase();
  badge("recording", word, RECORDING_COLOURS[status.recording]);
  const time = status.recording === "countdown"
    ? `starts in ${Math.ceil(status.countdown_s)} s` : clockText(status.recording_s);
  setText("take", isIdle ? takesText(status.take) : `take ${status.take}   ${time}`);
  setText("task", planText(status));
  setText("prompt", status.prompt);
  part("record-buttons").hidden = status.review;
  part("review").hidden = !status.review;
  // Left alone, a save keeps what the operator gave.
  setText("grade-kept", (status.grade ?? null) === null ? "none" : `${status.grade}, by the operator`);
  const last = status.last_take;
  setText("verdict", last ? `Check: ${last.verdict}` : "");
  setList("reasons", last?.reasons ?? []);
}

function takesText(take) {
  return `${take} take${take === 1 ? "" : "s"}`;
}

function showFigures({ latency_ms: latency, rates, drops }) {
  setRows("figures", [
    ["Pose to command", milliseconds(latency.pose_to_command)],
    ["Operator link", milliseconds(latency.link_rtt)],
    ["Lost rows", String(drops), drops > 0 ? "bad" : ""],
    ...Object.entries(rates).sort().map(([name, hz]) => [name, rateText(hz)]),
  ]);
}

function rateText(hz) {
  return `${hz.toFixed(hz < 100 ? 1 : 0)} Hz`;
}

function milliseconds(value) {
  return typeof value === "number" ? `${value.toFixed(1)} ms` : "—";
}

function showNotices(notices) {
  part("notices-card").hidden = notices.length === 0;
  setList("notices", notices);
}
