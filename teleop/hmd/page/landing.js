/** The flat page before and beside the immersive session. */

const PHASE_TEXT = Object.freeze({
  connecting: "Connecting…",
  open: "Connected",
  waiting: "Not connected, trying again",
  refused: "Refused",
  closed: "Closed",
});
const LOCK_KEY = "telecap.lock";
const ROOM_KEY = "telecap.room";
const WRISTS_KEY = "telecap.wrists";
const ARMS_KEY = "telecap.arms";
const VOICE_KEY = "telecap.voice";

/**
 * @typedef {{enter: () => void, estop: () => void, lock: (value: "room" | "head") => void,
 *            wrists: (value: "low" | "high" | "side" | "off") => void,
 *            arms: (value: "off" | "on") => void,
 *            room: (value: "dark" | "room") => void,
 *            voice: (value: "off" | "warnings" | "all") => void,
 *            token: (value: string) => void}} LandingActions
 */

export class Landing {
  #root;
  #isObstructed = true;
  #isRefused = false;
  #isRunning = false;

  /**
   * @param {HTMLElement} root element that holds the page's parts by id
   * @param {LandingActions} actions
   */
  constructor(root, actions) {
    this.#root = root;
    this.#on("enter", "click", actions.enter);
    this.#on("estop", "click", actions.estop);
    this.#on("token-form", "submit", (event) => {
      event.preventDefault();
      actions.token(this.#part("token").value.trim());
    });
    this.#choice("lock", LOCK_KEY, "room", actions.lock);
    this.#choice("wrists", WRISTS_KEY, "low", actions.wrists);
    this.#choice("arms", ARMS_KEY, "off", actions.arms);
    this.#choice("room", ROOM_KEY, "dark", actions.room);
    this.#choice("voice", VOICE_KEY, "all", actions.voice);
  }

  /** A choice that this browser remembers. */
  #choice(id, key, usual, action) {
    const part = this.#part(id);
    part.value = localStorage.getItem(key) ?? usual;
    part.addEventListener("change", () => {
      localStorage.setItem(key, part.value);
      action(part.value);
    });
    action(part.value);
  }

  /** @param {import("./link.js").LinkState} state */
  showLink(state) {
    const part = this.#part("link");
    part.dataset.phase = state.phase;
    part.textContent = [PHASE_TEXT[state.phase], state.reason].filter(Boolean).join(": ");
    this.#part("token-form").hidden = state.code !== 4401;
    this.#isRefused = state.phase === "refused";
    this.#allowEnter();
  }

  /** @param {string} text robot and role */
  showRig(text) {
    this.#part("rig").textContent = text;
  }

  /** @param {{title: string, steps: string[]} | null} obstacle null: VR can be entered */
  showObstacle(obstacle) {
    this.#isObstructed = obstacle !== null;
    this.#allowEnter();
    const part = this.#part("obstacle");
    part.hidden = obstacle === null;
    if (obstacle === null) return;
    const title = document.createElement("strong");
    title.textContent = obstacle.title;
    const list = document.createElement("ul");
    for (const step of obstacle.steps) {
      list.append(Object.assign(document.createElement("li"), { textContent: step }));
    }
    part.replaceChildren(title, list);
  }

  /** @param {boolean} can whether this device shows the room at all */
  offerRoom(can) {
    this.#part("room-option").hidden = !can;
  }

  /** @param {boolean} running */
  showSession(running) {
    this.#root.dataset.session = running ? "running" : "ended";
    this.#isRunning = running;
    this.#allowEnter();
    this.#part("enter").textContent = running ? "In VR — leave" : "Enter VR";
  }

  /** @param {string} text who has the robot; empty when it is free */
  showHolder(text) {
    this.#part("holder").hidden = text === "";
    this.#part("holder").textContent = text;
  }

  /** @param {string[]} lines what the HUD says */
  showHud(lines) {
    const text = lines.join("\n");
    const part = this.#part("hud-text");
    if (part.textContent !== text) part.textContent = text;
  }

  /** @param {string} text empty to clear */
  showError(text) {
    const part = this.#part("error");
    part.hidden = text === "";
    part.textContent = text;
  }

  #allowEnter() {
    this.#part("enter").disabled = !this.#isRunning && (this.#isObstructed || this.#isRefused);
  }

  #part(id) {
    return this.#root.querySelector(`#${id}`);
  }

  #on(id, event, action) {
    this.#part(id).addEventListener(event, action);
  }
}
