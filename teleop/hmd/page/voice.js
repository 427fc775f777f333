/** Says aloud what an operator should know without looking. Voices of this device only. */

const MOTION_WORDS = Object.freeze({
  hold: "Holding.",
  homing: "Going home.",
  estop: "Emergency stop.",
});
const RECORDING_WORDS = Object.freeze({
  recording: (take) => `Recording take ${take}.`,
  paused: () => "Paused.",
  review: () => "Success or failure?",
});

/**
 * What to say when one status follows another.
 *
 * @param {object | null} before
 * @param {object} now
 * @returns {string[]} sentences, the most important first
 */
export function cues(before, now) {
  if (before === null) return [];
  const said = [];
  if (now.motion !== before.motion) {
    if (MOTION_WORDS[now.motion]) said.push(MOTION_WORDS[now.motion]);
  }
  if (now.motion === "engaged" && String(now.engaged) !== String(before.engaged)) {
    const arms = ["left", "right"].filter((_, i) => now.engaged[i]);
    said.push(arms.length === 2 ? "Both arms." : `${arms[0] ?? "no"} arm.`);
  }
  if (now.recording !== before.recording) {
    const resumed = before.recording === "paused" && now.recording === "recording";
    const words = resumed ? () => "Going on." : RECORDING_WORDS[now.recording];
    if (words) said.push(words(now.take));
  }
  const verdict = now.last_take?.verdict;
  if (verdict && verdict !== "pass" && isNewVerdict(before.last_take, now.last_take)) {
    said.push(verdict === "fail" ? "The check of the take failed." : "The check has a warning.");
  }
  return said;
}

function isNewVerdict(before, now) {
  return before?.id !== now.id || before?.verdict !== now.verdict;
}

export class Voice {
  /** @type {"off" | "warnings" | "all"} */
  level = "all";
  #before = null;

  /** @param {object} status newest status of the server */
  status(status) {
    const before = this.#before;
    this.#before = status;
    if (this.level !== "all") return;
    for (const text of cues(before, status)) this.#say(text, status.motion === "estop");
  }

  /** @param {string} level of a notice @param {string} text */
  notice(level, text) {
    if (this.level === "off" || level === "info") return;
    this.#say(text, level === "error");
  }

  #say(text, isUrgent) {
    const speech = window.speechSynthesis;
    // A voice of a service elsewhere would send what happens here over the network.
    const local = speech?.getVoices().filter((voice) => voice.localService) ?? [];
    const voice = local.find(({ lang }) => lang.startsWith("en")) ?? local[0];
    if (!voice) return;
    if (isUrgent) speech.cancel();
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.voice = voice;
    utterance.rate = 1.2;
    speech.speak(utterance);
  }
}
