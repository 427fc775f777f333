/**
 * Life cycle of the immersive session. Events: "started" {hands}, "visibility" {state},
 * "recentred", "ended". Frames go straight to the callback.
 */

/**
 * @typedef {{timeMs: number, frame: XRFrame, space: XRReferenceSpace, layer: XRWebGLLayer}} XrTick
 */

export class XrSession extends EventTarget {
  /** @type {XRSession | null} */
  #session = null;
  #space = null;
  #layer = null;
  #onFrame;

  /** @param {(tick: XrTick) => void} onFrame */
  constructor(onFrame) {
    super();
    this.#onFrame = onFrame;
  }

  get isRunning() {
    return this.#session !== null;
  }

  /** Whether poses and buttons belong to this page now, and not to a system menu. */
  get isVisible() {
    return this.#session?.visibilityState === "visible";
  }

  /** Whether the operator sees the room where nothing is drawn. */
  get seesRoom() {
    const blend = this.#session?.environmentBlendMode ?? "opaque";
    return blend !== "opaque";
  }

  get inputSources() {
    return this.#session?.inputSources ?? [];
  }

  /**
   * Must be called from a user's click.
   *
   * @param {WebGL2RenderingContext} gl an `xrCompatible` context
   * @param {"immersive-vr" | "immersive-ar"} mode the robot's view alone, or the room around it too
   */
  async enter(gl, mode = "immersive-vr") {
    const session = await navigator.xr.requestSession(mode, {
      requiredFeatures: ["local-floor"],
      optionalFeatures: ["hand-tracking"],
    });
    try {
      this.#layer = new XRWebGLLayer(session, gl, { antialias: false });
      await session.updateRenderState({ baseLayer: this.#layer });
      this.#space = await session.requestReferenceSpace("local-floor");
    } catch (error) {
      await session.end();
      throw error;
    }
    this.#session = session;
    this.#space.addEventListener("reset", () => this.#emit("recentred"));
    session.addEventListener("visibilitychange", () => {
      this.#emit("visibility", { state: session.visibilityState });
    });
    session.addEventListener("end", () => this.#ended());
    session.requestAnimationFrame((time, frame) => this.#frame(time, frame));
    const hands = session.enabledFeatures?.includes("hand-tracking") ?? false;
    this.#emit("started", { hands });
  }

  async end() {
    await this.#session?.end();
  }

  #frame(timeMs, frame) {
    if (this.#session === null) return;
    // Asked first: an error in one frame must not stop the next.
    this.#session.requestAnimationFrame((time, next) => this.#frame(time, next));
    this.#onFrame({ timeMs, frame, space: this.#space, layer: this.#layer });
  }

  #ended() {
    this.#session = this.#space = this.#layer = null;
    this.#emit("ended");
  }

  #emit(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/**
 * Whether the operator can see the room around the robot's picture here.
 *
 * @returns {Promise<boolean>}
 */
export async function canSeeRoom() {
  return (await navigator.xr?.isSessionSupported("immersive-ar").catch(() => false)) ?? false;
}

/**
 * Why this browser cannot enter VR here, and what to do about it.
 *
 * @returns {Promise<{title: string, steps: string[]} | null>} null when nothing stands in the way
 */
export async function obstacle() {
  if (!window.isSecureContext) {
    return {
      title: "The browser allows VR only on a secure page, and this address is not.",
      steps: [
        `Open https://${location.host}${location.pathname} and accept the certificate once, or`,
        `connect the headset by USB, run “adb reverse tcp:${port()} tcp:${port()}” on the ` +
          `computer and open http://localhost:${port()}${location.pathname} in the headset.`,
      ],
    };
  }
  if (!navigator.xr) {
    return {
      title: "This browser has no WebXR.",
      steps: ["Open this page in the headset's own browser (Quest Browser, Wolvic, Pico Browser)."],
    };
  }
  if (!(await navigator.xr.isSessionSupported("immersive-vr"))) {
    return {
      title: "This device has no VR display.",
      steps: ["Open this page in the headset's browser, or connect a PC headset and reload."],
    };
  }
  return null;
}

function port() {
  return location.port || (location.protocol === "https:" ? "443" : "80");
}
