/** What the operator is told, as a plain value: pure function of status, link and local state. */

export const COLOURS = Object.freeze({
  text: "#f4f6f8",
  dim: "#aab4c0",
  grey: "#5b6673",
  green: "#1f9d55",
  amber: "#d98a00",
  blue: "#2f7fe0",
  red: "#d92d20",
});

export const MOTION = Object.freeze({
  idle: { text: "IDLE", colour: COLOURS.grey },
  aligning: { text: "ALIGNING", colour: COLOURS.blue },
  engaged: { text: "ENGAGED", colour: COLOURS.green },
  hold: { text: "HOLD", colour: COLOURS.amber },
  homing: { text: "HOMING", colour: COLOURS.blue },
  estop: { text: "E-STOP", colour: COLOURS.red },
});

/** Without a status for this long the numbers shown are history [ms]. */
const STALE_STATUS_MS = 1500;
const NOTICE_MS = 4000;
const LINE_LENGTH = 50;

/**
 * @typedef {{level: string, text: string, atMs: number}} LocalNotice
 * @typedef {{status: any, statusAtMs: number, link: import("./link.js").LinkState,
 *            claim: {granted: boolean, refusedBy: string | null},
 *            isInVr: boolean, isGripHeld: boolean,
 *            latencyMs: {link: number?, command: number?, picture: number?},
 *            notices: LocalNotice[]}} HudInput
 * @typedef {{title: string, text: string, colour: string}} Banner
 * @typedef {{text: string, colour: string}} Line
 * @typedef {{motion: Line, arms: boolean[], recording: Line & {dot: boolean}, latency: string,
 *            tracking: {label: string, word: string}[], task: string, prompt: string,
 *            countdown: string, review: boolean, grade: number | null, byHand: boolean,
 *            gesture: {text: string, share: number} | null, banner: Banner | null, lines: Line[]}} HudModel
 */

/**
 * @param {HudInput} input
 * @param {number} nowMs
 * @returns {HudModel}
 */
export function hudModel(input, nowMs) {
  const status = input.status ?? EMPTY_STATUS;
  const counting = status.recording === "countdown";
  return {
    motion: MOTION[status.motion] ?? { text: "…", colour: COLOURS.grey },
    arms: status.engaged,
    recording: recordingLine(status),
    latency: latencyText(input.latencyMs),
    tracking: ["head", "left", "right"].map((label) => ({ label, word: status.tracking[label] })),
    task: taskText(status),
    prompt: promptText(input, status),
    countdown: counting ? String(Math.max(1, Math.ceil(status.countdown_s))) : "",
    review: status.review,
    grade: status.grade ?? null,
    byHand: status.input === "hands",
    banner: banner(input, status, nowMs),
    gesture: status.gesture ?? null,
    lines: noticeLines(input, status, nowMs),
  };
}

/**
 * The model as plain lines, for people and programs that do not see the canvas.
 *
 * @param {HudModel} model
 * @returns {string[]}
 */
export function hudText(model) {
  const arms = ["left", "right"].filter((_, i) => model.arms[i]);
  return [
    model.banner ? `${model.banner.title}: ${model.banner.text}` : "",
    `Motion: ${model.motion.text}${arms.length ? ` (${arms.join(" + ")})` : ""}`,
    `Recording: ${model.recording.text}`,
    model.task ? `Task: ${model.task}` : "",
    model.prompt,
    model.review && !model.byHand ? "A success, B failure, X discard, hold X once more" : "",
    model.review && model.grade !== null ? `Grade ${model.grade} of 5` : "",
    model.gesture ? `${model.gesture.text} ${Math.round(model.gesture.share * 100)} %` : "",
    model.latency,
    `Tracking: ${model.tracking.map(({ label, word }) => `${label} ${word}`).join(", ")}`,
    ...model.lines.map((line) => line.text),
  ].filter((line) => line !== "");
}

/**
 * One line, or two of about the same length that break after a comma.
 * @param {string} text
 * @returns {string[]}
 */
export function twoLines(text) {
  if (text.length <= LINE_LENGTH) return [text];
  const commas = [...text.matchAll(/, /g)].map((found) => found.index + 1);
  if (commas.length === 0) return [text];
  const distance = (at) => Math.abs(at - text.length / 2);
  const at = commas.reduce((best, next) => (distance(next) < distance(best) ? next : best));
  return [text.slice(0, at), text.slice(at + 1)];
}

/**
 * @param {number} seconds
 * @returns {string} such as "1:07"
 */
export function clockText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

const EMPTY_STATUS = Object.freeze({
  motion: "", engaged: [false, false], recording: "idle", take: 0, countdown_s: 0, recording_s: 0,
  task: "", prompt: "", review: false, drops: 0, notices: [], last_take: null,
  tracking: { head: "absent", left: "absent", right: "absent" },
});

/**
 * @param {any} status
 * @returns {string} what to do, and with a plan how far it has got
 */
export function taskText({ task, plan }) {
  if (!plan) return task;
  if (plan.wanted === 0) return `Plan done: ${plan.total_done} of ${plan.total_wanted} takes`;
  return [task, plan.variation, `${plan.done} of ${plan.wanted}`].filter(Boolean).join(" · ");
}

/** The server's prompt, but for what only this page knows. */
function promptText(input, status) {
  if (!input.claim.granted && input.isInVr) return "";
  if (status.motion === "hold" && input.isGripHeld && !status.review) {
    return "Let go of the grips, then hold again.";
  }
  return status.prompt;
}

/**
 * Who has the robot, for somebody who is not in VR.
 *
 * @param {HudInput} input
 * @returns {string} empty when the robot is free
 */
export function holderText({ status, claim, isInVr }) {
  if (isInVr) return "";
  if (claim.granted) return "You still have the robot. Enter VR to go on.";
  if (!status?.operator.connected) return "";
  const { name, device } = status.operator;
  const who = name && device ? `${name} (${device})` : name || device || "Another operator";
  return `${who} has the robot now. In VR you watch until it is free.`;
}

function recordingLine(status) {
  const take = `take ${status.take}`;
  const time = clockText(status.recording_s);
  switch (status.recording) {
    case "countdown":
      return { dot: false, text: `${take} starts`, colour: COLOURS.amber };
    case "recording":
      return { dot: true, text: `REC  ${take}  ${time}`, colour: COLOURS.red };
    case "paused":
      return { dot: true, text: `PAUSED  ${take}  ${time}`, colour: COLOURS.amber };
    case "review":
      return { dot: false, text: `REVIEW  ${take}  ${time}`, colour: COLOURS.blue };
    default:
      return { dot: false, text: "not recording", colour: COLOURS.grey };
  }
}

function latencyText(latencyMs) {
  return Object.entries(latencyMs)
    .filter(([, ms]) => typeof ms === "number")
    .map(([label, ms]) => `${label} ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`)
    .join("   ");
}

function banner(input, status, nowMs) {
  if (input.link.phase !== "open") {
    return { title: "NO CONNECTION", colour: COLOURS.red,
      text: `The robot holds. ${input.link.reason || "Connecting…"}` };
  }
  if (status.motion === "estop") {
    return { title: "E-STOP", colour: COLOURS.red, text: status.input === "hands"
      ? "Open both hands, turn the left palm to your face, keep the index pinch for 2 s to reset."
      : "Release both grips, then hold X for one second to reset." };
  }
  if (input.statusAtMs > 0 && nowMs - input.statusAtMs > STALE_STATUS_MS) {
    return { title: "SERVER SILENT", colour: COLOURS.red,
      text: "No status from the robot's computer." };
  }
  if (input.claim.refusedBy !== null) {
    return { title: "WATCHING ONLY", colour: COLOURS.amber,
      text: `${input.claim.refusedBy || "Another operator"} has the robot.` };
  }
  return null;
}

function checkText({ verdict, reasons: [first = "", ...others] }) {
  const more = others.length > 0 ? ` (and ${others.length} more)` : "";
  return `Check: ${verdict}. ${first}${more}`;
}

function noticeLines(input, status, nowMs) {
  const lines = status.notices.map((text) => ({ text, colour: COLOURS.amber }));
  for (const notice of input.notices) {
    if (nowMs - notice.atMs > NOTICE_MS) continue;
    const colour = { error: COLOURS.red, warning: COLOURS.amber }[notice.level] ?? COLOURS.grey;
    lines.push({ text: notice.text, colour });
  }
  if (status.drops > 0) {
    lines.push({ text: `${status.drops} rows lost in this take`, colour: COLOURS.red });
  }
  const last = status.last_take;
  if (status.review && last && last.verdict !== "pass") {
    const colour = last.verdict === "fail" ? COLOURS.red : COLOURS.amber;
    lines.push({ text: checkText(last), colour });
  }
  return lines.slice(-4);
}
