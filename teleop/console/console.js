/** The console put together: a watcher's link, status, cameras, episodes and the e-stop. */

import { call, intent } from "/static/xr/api.js";
import { Link, socketUrl } from "/static/xr/link.js";
import { pageUrl, readToken, storeToken } from "/static/xr/token.js";
import { VideoReceiver } from "/static/xr/video.js";
import { CameraWall } from "./cameras.js";
import { part, setText } from "./dom.js";
import { EpisodeList, sure } from "./episodes.js";
import { showStatus } from "./statusview.js";

const VERSION = "0.1.0";
const EPISODES_EVERY_MS = 10_000;
const CAPTIONS_EVERY_MS = 1000;
const MESSAGE_MS = 5000;
const PHASES = Object.freeze({
  connecting: "Connecting…", open: "Connected", waiting: "Not connected", refused: "Refused",
  closed: "Closed",
});

/** A fresh one-time code, as a picture a headset can scan and as letters it can type. */
async function showPairing() {
  const { code, url, svg } = await call("/api/pairing", {});
  part("pairing-picture").innerHTML = svg;
  setText("pairing-code", `${code.slice(0, 4)}-${code.slice(4)}`);
  setText("pairing-url", `at ${url.split("#")[0]}`);
  part("pairing").showModal();
}

class Console {
  #link = new Link(socketUrl(), () => ({
    client: "console", version: VERSION, role: "watcher", token: readToken(), device: "browser",
    video: ["*"],
  }));
  #wall = new CameraWall(part("cameras"), this.#link.clock);
  #video = new VideoReceiver(
    (picture) => this.#wall.show(picture),
    (stream, seq) => this.#link.send({ type: "video_ack", stream, seq }),
  );
  #episodes = new EpisodeList(part("episodes"), (promise, done) => this.#report(promise, done));
  #lastTake = "";
  #messageTimer = 0;

  start() {
    this.#link.addEventListener("phase", ({ detail }) => this.#phase(detail));
    this.#link.addEventListener("message", ({ detail }) => this.#message(detail));
    this.#link.addEventListener("video", ({ detail }) => this.#video.receive(detail));
    this.#bindButtons();
    this.#bindKeys();
    this.#bindToken();
    window.addEventListener("pagehide", () => this.#link.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.#link.open());
    setInterval(() => this.#refreshEpisodes(), EPISODES_EVERY_MS);
    setInterval(() => this.#wall.caption(), CAPTIONS_EVERY_MS);
    this.#showHeadsetUrl();
    this.#link.open();
  }

  #bindButtons() {
    part("estop").onclick = () => this.#estop();
    for (const button of document.querySelectorAll("button[data-intent]")) {
      const name = button.dataset.intent;
      const act = () => this.#report(intent(name), `${button.textContent}: asked`);
      button.onclick = name === "discard" ? () => sure(button, act) : act;
    }
    for (const outcome of ["success", "failure"]) {
      part(outcome).onclick = () => this.#save(outcome);
    }
    part("clutch").onchange = ({ target }) => {
      this.#report(call("/api/clutch", { mode: target.value }), `Clutch: ${target.value}`);
      target.blur(); // from here on it shows what the server says
    };
    part("headset-copy").onclick = () => {
      this.#report(copy(pageUrl("/xr")), "Address copied");
    };
    part("headset-code").onclick = () => this.#report(showPairing(), "");
  }

  #bindKeys() {
    // In the capture phase, before a focused button takes the space bar for itself.
    window.addEventListener("keydown", (event) => {
      const isTyping = event.target instanceof Element && event.target.matches("input, textarea");
      const isStop = event.key === "Escape" || (event.key === " " && !isTyping);
      if (!isStop) return;
      event.preventDefault();
      event.stopPropagation();
      if (!event.repeat) this.#estop();
    }, true);
  }

  #bindToken() {
    const connect = () => {
      this.#showHeadsetUrl();
      this.#link.open();
    };
    part("token-form").onsubmit = (event) => {
      event.preventDefault();
      storeToken(part("token").value.trim());
      connect();
    };
    window.addEventListener("hashchange", connect);
  }

  /** Both ways at once: one of them may be blocked. */
  #estop() {
    this.#link.send({ type: "event", name: "estop", args: {} });
    intent("estop").then(
      () => this.#say("E-stop sent"),
      (error) => this.#say(`E-STOP FAILED over HTTP: ${error.message}`, "error"),
    );
  }

  async #save(outcome) {
    const notes = part("notes"), grade = part("grade");
    const given = grade.value === "" ? {} : { grade: Number(grade.value) };
    const saved = intent("save", { outcome, notes: notes.value, ...given });
    if (await this.#report(saved, `Saved: ${outcome}`)) {
      notes.value = "";
      grade.value = "";
    }
  }

  #phase({ phase, reason, code }) {
    document.body.dataset.link = phase;
    setText("link", PHASES[phase]);
    const isDown = phase === "waiting" || phase === "refused";
    // "connecting" follows "waiting" at every try: the banner stays until the link is back.
    if (isDown) {
      part("banner").hidden = false;
      setText("banner-title", code === 4401 ? "Wrong access token." : "No connection.");
      setText("banner-text", code === 4401
        ? "Open the address that telecap run printed, or enter its token."
        : `${reason} What you see below is old.${phase === "waiting" ? " Trying again…" : ""}`);
      part("token-form").hidden = code !== 4401;
    } else if (phase === "open") {
      part("banner").hidden = true;
    }
  }

  #message(message) {
    if (message.type === "welcome") this.#welcome(message);
    else if (message.type === "status") this.#status(message);
    else if (message.type === "notice") this.#say(message.text, message.level);
    else if (message.type === "error") this.#say(message.reason, "error");
  }

  #welcome(message) {
    setText("rig", message.rig.name);
    this.#video.setStreams(message.streams);
    this.#wall.setStreams(message.streams);
    this.#refreshEpisodes();
    this.#report(call("/api/rig").then(({ simulated }) => {
      part("scene-reset").hidden = !simulated;
    }), "");
  }

  #status(status) {
    showStatus(status);
    if (document.activeElement !== part("clutch")) part("clutch").value = status.clutch;
    const { last_take: last, recording } = status;
    const take = JSON.stringify([last?.id, last?.verdict, recording]);
    if (take !== this.#lastTake) this.#refreshEpisodes();
    this.#lastTake = take;
  }

  #refreshEpisodes() {
    if (this.#link.isOpen) this.#report(this.#episodes.refresh(), "");
  }

  #showHeadsetUrl() {
    const link = part("headset-url");
    link.href = pageUrl("/xr");
    link.textContent = new URL("/xr", location.origin).href;
  }

  /**
   * @param {Promise<any>} promise
   * @param {string} done said on success; empty for nothing
   * @returns {Promise<boolean>}
   */
  async #report(promise, done) {
    try {
      await promise;
      if (done) this.#say(done);
      return true;
    } catch (error) {
      this.#say(error.message, "error");
      return false;
    }
  }

  #say(text, level = "info") {
    setText("message", text);
    part("message").dataset.level = level;
    clearTimeout(this.#messageTimer);
    this.#messageTimer = setTimeout(() => setText("message", ""), MESSAGE_MS);
  }
}

async function copy(text) {
  // Browsers offer the clipboard on secure pages only.
  if (!navigator.clipboard) throw new Error("Copying needs a secure page: copy the link by hand.");
  await navigator.clipboard.writeText(text);
}

new Console().start();
