/** The headset page put together: link + session + tracking + pictures + HUD. */

import { intent } from "./api.js";
import { pulse } from "./haptics.js";
import { HudCanvas } from "./hud.js";
import { holderText, hudModel, hudText } from "./hudmodel.js";
import { alignmentMarkers, targetMarkers } from "./markers.js";
import { Landing } from "./landing.js";
import { Link, socketUrl } from "./link.js";
import { Button, TrackingEncoder } from "./protocol.js";
import { keepSession, takeSession } from "./resume.js";
import { XrSession, canSeeRoom, obstacle } from "./session.js";
import { StereoView } from "./stereo.js";
import { readToken, redeemCode, storeTyped } from "./token.js";
import { WristPanels } from "./panels.js";
import { readTracking } from "./tracking.js";
import { VideoReceiver, knownCodecs } from "./video.js";
import { Voice } from "./voice.js";

const VERSION = "0.1.0";
const HEADSET_STREAMS = ["head_left", "head_right", "wrist_left", "wrist_right"];
const HUD_EVERY_MS = 100;
const CLAIM_EVERY_MS = 1000;
/** A reloaded page holds the robot for this long without being in VR. */
const RESUME_MS = 30_000;
/** Figures that change faster cannot be read, and each change uploads the HUD again. */
const LATENCY_EVERY_MS = 1000;

class HeadsetPage {
  #link = new Link(socketUrl(), () => this.#hello());
  #session = new XrSession((tick) => this.#frame(tick));
  #video = new VideoReceiver(
    (picture) => this.#picture(picture),
    (stream, seq, key) => this.#link.send({
      type: "video_ack", stream, seq, key, t_device_ns: Math.round(performance.now() * 1e6),
      ...this.#shown.get(stream),
    }),
  );
  /** @type {Map<string, {shown_seq: number, t_shown_ns: number}>} newest picture seen, by stream */
  #shown = new Map();
  #encoder = new TrackingEncoder();
  #hud = new HudCanvas();
  #voice = new Voice();
  /** @type {StereoView | null} */
  #view = null;
  #gl = null;
  #lock;
  #panels = new WristPanels(storage());
  #frameAtMs = 0;
  #drawsArms;
  #room;
  #canSeeRoom = false;
  #streams = HEADSET_STREAMS;
  #codecs = ["jpeg"];
  /** Why a one-time code was worth nothing; empty when there was none, or it was good. */
  #codeProblem = "";
  #seq = 0;
  #claimAtMs = -Infinity;
  #latencyAtMs = 0;
  #pictureAgeMs = null;
  #hudAtMs = 0;
  #stickHeld = false;
  #resumeTimer = 0;
  /** @type {import("./hudmodel.js").HudInput} */
  #input = {
    status: null, statusAtMs: 0, link: this.#link.state,
    claim: { granted: false, refusedBy: null }, isInVr: false, isGripHeld: false, latencyMs: {},
    notices: [],
  };
  // Last: its constructor already calls back.
  #landing = new Landing(document.body, {
    enter: () => this.#toggle(),
    estop: () => this.#estop(),
    lock: (value) => this.#setLock(value),
    wrists: (value) => { this.#panels.kind = value; },
    arms: (value) => { this.#drawsArms = value === "on"; },
    room: (value) => { this.#room = value; },
    voice: (value) => { this.#voice.level = value; },
    token: async (value) => {
      this.#codeProblem = await storeTyped(value);
      this.#link.open();
    },
  });

  async start() {
    this.#link.addEventListener("phase", ({ detail }) => this.#phase(detail));
    this.#link.addEventListener("message", ({ detail }) => this.#message(detail));
    this.#link.addEventListener("video", ({ detail }) => this.#video.receive(detail));
    this.#session.addEventListener("started", () => this.#started());
    this.#session.addEventListener("ended", () => this.#ended());
    this.#session.addEventListener("recentred", () => this.#view?.recentre());
    window.addEventListener("hashchange", () => this.#link.open());
    window.addEventListener("pagehide", () => this.#leave());
    window.addEventListener("pageshow", (event) => event.persisted && this.#arrive());
    setInterval(() => this.#showHud(performance.now()), HUD_EVERY_MS);
    this.#codecs = await knownCodecs();
    this.#codeProblem = await redeemCode();
    this.#landing.showError(this.#codeProblem);
    this.#arrive();
    this.#canSeeRoom = await canSeeRoom();
    this.#landing.offerRoom(this.#canSeeRoom);
    this.#landing.showObstacle(await obstacle());
  }

  #arrive() {
    this.#link.sessionId = takeSession() ?? this.#link.sessionId;
    this.#link.open();
  }

  #leave() {
    if (this.#input.claim.granted) keepSession(this.#link.sessionId);
    this.#link.close();
  }

  #hello() {
    return {
      client: "webxr", version: VERSION, role: "operator", token: readToken(),
      device: deviceName(), video: this.#streams, codecs: this.#codecs, turns: true,
    };
  }

  #mode() {
    return this.#canSeeRoom && this.#room === "room" ? "immersive-ar" : "immersive-vr";
  }

  async #toggle() {
    this.#landing.showError("");
    try {
      if (this.#session.isRunning) await this.#session.end();
      else await this.#session.enter(this.#graphics(), this.#mode());
    } catch (error) {
      this.#landing.showError(`Cannot enter VR: ${error.message}`);
    }
  }

  #graphics() {
    if (this.#gl !== null) return this.#gl;
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2", { xrCompatible: true, alpha: false, antialias: false });
    if (gl === null) throw new Error("this browser has no WebGL 2");
    canvas.addEventListener("webglcontextlost", () => {
      this.#gl = this.#view = null;
      this.#session.end();
      this.#landing.showError("The graphics driver was reset. Enter VR again.");
    });
    this.#gl = gl;
    this.#view = new StereoView(gl);
    this.#view.lock = this.#lock;
    return gl;
  }

  /** Both ways at once: one of them may be blocked. */
  #estop() {
    this.#link.send({ type: "event", name: "estop", args: {} });
    intent("estop").catch((error) => {
      this.#landing.showError(`E-stop over HTTP failed: ${error.message}`);
    });
  }

  #setLock(value) {
    this.#lock = value;
    if (this.#view) this.#view.lock = value;
  }

  #phase(state) {
    this.#input.link = state;
    if (state.phase !== "open") this.#input.claim = { granted: false, refusedBy: null };
    this.#landing.showLink(state);
    // The page asks for the token instead; why a code was worth nothing stays to be read.
    if (state.code === 4401) this.#landing.showError(this.#codeProblem);
  }

  #message(message) {
    switch (message.type) {
      case "welcome":
        this.#welcome(message);
        break;
      case "status":
        this.#status(message);
        break;
      case "claim_granted":
        this.#granted();
        break;
      case "claim_refused":
        this.#input.claim = { granted: false, refusedBy: message.holder };
        break;
      case "haptics":
        pulse(this.#session.inputSources, message);
        break;
      case "notice":
        this.#notice(message.level, message.text);
        break;
      case "error":
        this.#landing.showError(message.reason);
        break;
    }
  }

  #welcome(message) {
    const names = message.streams.map((stream) => stream.name);
    if (names.length > 0 && !names.some((name) => name.startsWith("head"))) {
      // No head camera: show whatever there is.
      if (this.#streams[0] !== "*") {
        this.#streams = ["*"];
        this.#link.open();
        return;
      }
    }
    this.#video.setStreams(message.streams);
    this.#landing.showError("");
    this.#landing.showRig(`Robot: ${message.rig.name}, ${message.control_rate_hz} Hz`);
    this.#claimAtMs = -Infinity;
    if (this.#session.isRunning) this.#claim();
  }

  #status(status) {
    const isDriving = status.engaged.every(Boolean);
    if (isDriving && !this.#input.status?.engaged.every(Boolean)) this.#clearWarnings();
    if (this.#input.isInVr) this.#voice.status(status);
    this.#input.status = status;
    this.#input.statusAtMs = performance.now();
    if (this.#input.statusAtMs - this.#latencyAtMs > LATENCY_EVERY_MS) {
      this.#latencyAtMs = this.#input.statusAtMs;
      const { link_rtt: link, pose_to_command: command } = status.latency_ms;
      this.#input.latencyMs = { link, command, picture: this.#pictureAgeMs };
    }
    const free = !status.operator.connected && !this.#input.claim.granted;
    if (free && this.#session.isRunning) this.#claim();
  }

  #claim() {
    const nowMs = performance.now();
    if (nowMs - this.#claimAtMs < CLAIM_EVERY_MS) return;
    this.#claimAtMs = nowMs;
    this.#link.send({ type: "claim" });
  }

  #granted() {
    this.#input.claim = { granted: true, refusedBy: null };
    clearTimeout(this.#resumeTimer);
    if (!this.#session.isRunning) {
      this.#resumeTimer = setTimeout(() => this.#session.isRunning || this.#release(), RESUME_MS);
    }
  }

  #release() {
    this.#link.send({ type: "release" });
    this.#input.claim = { granted: false, refusedBy: null };
  }

  #notice(level, text) {
    const notice = { level, text, atMs: performance.now() };
    if (this.#input.isInVr) this.#voice.notice(level, text);
    this.#input.notices = [...this.#input.notices.slice(-3), notice];
  }

  /** Why an arm did not follow is of no use any more once it does. */
  #clearWarnings() {
    this.#input.notices = this.#input.notices.filter(({ level }) => level === "error");
  }

  #started() {
    this.#view.recentre();
    this.#input.isInVr = true;
    this.#landing.showSession(true);
    this.#claimAtMs = -Infinity;
    this.#claim();
  }

  #ended() {
    this.#release();
    this.#input.isInVr = this.#input.isGripHeld = false;
    this.#landing.showSession(false);
  }

  #frame({ timeMs, frame, space, layer }) {
    const sample = readTracking(frame, space);
    // Poses go out before any drawing, and only while they belong to this page: the server
    // then sees them end and holds the robot.
    if (this.#session.isVisible && this.#input.claim.granted) {
      this.#link.sendTracking(this.#encoder.encode(this.#seq++, timeMs, sample));
    }
    this.#recentreOnStick(sample);
    this.#input.isGripHeld = holdsButton(sample, Button.SQUEEZE);
    const viewer = frame.getViewerPose(space);
    this.#showHud(performance.now());
    if (viewer && this.#view) {
      this.#movePanels(viewer.transform, sample, timeMs);
      this.#view.panels = this.#panels;
      this.#view.skeleton = this.#drawsArms ? this.#input.status?.skeleton ?? {} : {};
      this.#view.markers = [
        ...alignmentMarkers(this.#input.status, sample),
        ...(this.#drawsArms ? targetMarkers(this.#input.status) : []),
      ];
      const fresh = this.#view.draw(viewer, layer, this.#session.seesRoom);
      this.#wereShown(fresh, frame.predictedDisplayTime ?? timeMs);
    }
  }

  /** The age of a picture is what the operator sees: from its exposure to its display. */
  #wereShown(pictures, atMs) {
    for (const { stream, seq, captureMs } of pictures) {
      this.#shown.set(stream.name, { shown_seq: seq, t_shown_ns: Math.round(atMs * 1e6) });
      const ageMs = this.#link.clock.ageMs(captureMs, atMs);
      if (ageMs !== null && stream.eye !== "right") {
        this.#pictureAgeMs = smooth(this.#pictureAgeMs, ageMs);
      }
    }
  }

  /** Only while no arm follows: the trigger is a gripper's otherwise. */
  #movePanels(head, { controllers }, timeMs) {
    const [left, right] = controllers.map((controller) => controller && {
      aim: controller.aim, trigger: controller.trigger, stickUp: controller.stick[1],
    });
    const follows = this.#input.status?.engaged.some(Boolean) ?? false;
    const allowed = !follows && !this.#input.isGripHeld;
    const seconds = Math.min((timeMs - this.#frameAtMs) / 1000, 0.1);
    this.#frameAtMs = timeMs;
    this.#panels.update(head, { left, right }, this.#view.wristAspects, allowed, seconds);
  }

  #recentreOnStick(sample) {
    const held = holdsButton(sample, Button.THUMBSTICK);
    if (held && !this.#stickHeld) this.#view?.recentre();
    this.#stickHeld = held;
  }

  #picture(picture) {
    if (this.#view && this.#session.isRunning) this.#view.setPicture(picture);
    else picture.bitmap.close();
  }

  /** Called by a timer and by every XR frame: browsers slow timers down behind an XR session. */
  #showHud(nowMs) {
    if (nowMs - this.#hudAtMs < HUD_EVERY_MS * 0.9) return;
    this.#hudAtMs = nowMs;
    const model = hudModel(this.#input, nowMs);
    this.#landing.showHud(hudText(model));
    this.#landing.showHolder(holderText(this.#input));
    this.#hud.paint(model);
    if (this.#session.isRunning) this.#view?.setHud(this.#hud.canvas, this.#hud.version);
  }
}

function holdsButton({ controllers }, button) {
  return controllers.some((controller) => ((controller?.buttons ?? 0) & button) !== 0);
}

/** Browsers may refuse even to look at it. */
function storage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

function smooth(previous, value) {
  return previous === null ? value : previous + 0.1 * (value - previous);
}

function deviceName() {
  const known = /Quest \w+|Pico \w+|Vision Pro|OculusBrowser|Wolvic/i.exec(navigator.userAgent);
  return known ? known[0] : navigator.platform || "browser";
}

new HeadsetPage().start();
