/**
 * The operator's view: the robot's head pictures at their true angular size, wrist pictures and
 * the HUD in front of them. One textured-quad program draws everything.
 */

import { MarkerPainter } from "./markers.js";
import { multiply, placed, rigid, turned, yawOf } from "./matrix.js";
import { WristPanels } from "./panels.js";
import { makeTexture, plainTexture } from "./texture.js";

const VERTEX = `#version 300 es
uniform mat4 mvp;
out vec2 uv;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  uv = vec2(corner.x, 1.0 - corner.y);
  gl_Position = mvp * vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
uniform sampler2D picture;
in vec2 uv;
out vec4 colour;
void main() { colour = texture(picture, uv); }`;

/** Far enough for relaxed eyes, near enough to stay inside any far plane [m]. */
const PICTURE_M = 2.0;
const HUD_M = 1.5;
const BACKGROUND = [0.05, 0.06, 0.08, 1];
/** Frame around a wrist picture, which may be as dark as what it covers: colour, width [m]. */
const FRAME = Object.freeze({ rgba: [110, 122, 136, 255], width: 0.004 });
/** The same of a panel that is pointed at, and half the size of the point [m]. */
const POINTED = Object.freeze({ rgba: [47, 127, 224, 255], width: 0.01, cursor: 0.008 });
/** Angular width of the HUD canvas [rad]. */
const HUD_WIDTH = 0.98;

/** @typedef {import("./video.js").Picture} Picture */

export class StereoView {
  #gl;
  #program;
  #mvp;
  #frame;
  #pointed;
  /** @type {Map<string, {texture: WebGLTexture, stream: import("./video.js").StreamInfo,
   *                       turn: number[] | null}>} */
  #pictures = new Map();
  /** @type {Map<string, Picture>} decoded, not yet uploaded */
  #fresh = new Map();
  #hudTexture = null;
  #hudVersion = -1;
  #hudAspect = 1;
  #heading = null;
  /** "head": the picture follows the head; "room": it stays where the operator faced. */
  lock = "room";
  /** Where wrist pictures hang. */
  panels = new WristPanels();
  /** @type {Record<string, number[][]>} points along the robot's limbs; empty draws none */
  skeleton = {};
  /** @type {import("./markers.js").Marker[]} where hands are and where they must be */
  markers = [];
  #markers;

  /** @param {WebGL2RenderingContext} gl */
  constructor(gl) {
    this.#gl = gl;
    this.#program = link(gl);
    this.#mvp = gl.getUniformLocation(this.#program, "mvp");
    this.#markers = new MarkerPainter(gl, (texture, mvp) => this.#quad(texture, mvp));
    this.#frame = plainTexture(gl, FRAME.rgba);
    this.#pointed = plainTexture(gl, POINTED.rgba);
  }

  /** Put the picture in front of the operator again at the next frame. */
  recentre() {
    this.#heading = null;
  }

  /** @param {Picture} picture taken over; shown at the next frame */
  setPicture(picture) {
    this.#fresh.get(picture.stream.name)?.bitmap.close();
    this.#fresh.set(picture.stream.name, picture);
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} version of its content; the same one is not uploaded twice
   */
  setHud(canvas, version) {
    if (version === this.#hudVersion) return;
    this.#hudVersion = version;
    const gl = this.#gl;
    this.#hudTexture ??= makeTexture(gl);
    gl.bindTexture(gl.TEXTURE_2D, this.#hudTexture);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, true);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, canvas);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    this.#hudAspect = canvas.width / canvas.height;
  }

  /**
   * @param {XRViewerPose} viewer
   * @param {XRWebGLLayer} layer
   * @param {boolean} seesRoom leave free what is not drawn: the headset shows the room there
   * @returns {{stream: import("./video.js").StreamInfo, seq: number, captureMs: number}[]}
   *   pictures that are seen for the first time
   */
  draw(viewer, layer, seesRoom = false) {
    const gl = this.#gl;
    const fresh = this.#upload();
    this.#heading ??= yawOf(viewer.transform.orientation);
    gl.bindFramebuffer(gl.FRAMEBUFFER, layer.framebuffer);
    gl.clearColor(...(seesRoom ? [0, 0, 0, 0] : BACKGROUND));
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.disable(gl.DEPTH_TEST);
    gl.useProgram(this.#program);
    for (const view of viewer.views) {
      const { x, y, width, height } = layer.getViewport(view);
      gl.viewport(x, y, width, height);
      this.#drawEye(viewer.transform, view);
    }
    return fresh;
  }

  #drawEye(head, view) {
    const clip = multiply(view.projectionMatrix, view.transform.inverse.matrix);
    const main = this.#headPicture(view.eye);
    if (main) {
      // Where its camera looked when it was taken: the world then stands still.
      const ahead = main.turn ? turned(main.turn, this.#heading) : this.#heading;
      const turn = this.lock === "head" ? head.orientation : ahead;
      // A stereo pair is placed around each eye, a single picture around the head: distant
      // things then have no disparity beyond what the robot's own cameras saw.
      const origin = main.stream.eye ? view.transform.position : head.position;
      const frame = multiply(clip, rigid(turn, origin));
      this.#quad(main.texture, multiply(frame, angular(main.stream, PICTURE_M)));
    }
    const front = multiply(clip, rigid(head.orientation, head.position));
    for (const side of ["left", "right"]) this.#drawWrist(front, side);
    this.#drawCursor(front);
    for (const points of Object.values(this.skeleton)) this.#markers.drawLimb(clip, points);
    for (const marker of this.markers) this.#markers.draw(clip, marker);
    if (this.#hudTexture !== null) this.#drawHud(front);
  }

  #drawHud(front) {
    const gl = this.#gl;
    const half = HUD_M * Math.tan(HUD_WIDTH / 2);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    const hud = placed(0, 0, -HUD_M, half, half / this.#hudAspect);
    this.#quad(this.#hudTexture, multiply(front, hud));
    gl.disable(gl.BLEND);
  }

  /** @returns {Record<string, number>} height over width of the wrist pictures there are */
  get wristAspects() {
    const found = {};
    for (const side of ["left", "right"]) {
      const picture = this.#pictures.get(`wrist_${side}`);
      if (picture) found[side] = picture.stream.height / picture.stream.width;
    }
    return found;
  }

  #drawWrist(front, side) {
    const picture = this.#pictures.get(`wrist_${side}`);
    const place = this.panels.place(side);
    if (!picture || !place) return;
    const { width, height } = picture.stream;
    const across = HUD_M * Math.tan(place.width / 2);
    const along = (across * height) / width;
    const x = HUD_M * Math.tan(place.right), y = -HUD_M * Math.tan(place.down);
    const [texture, edge] = this.panels.pointed === side
      ? [this.#pointed, POINTED.width] : [this.#frame, FRAME.width];
    this.#quad(texture, multiply(front, placed(x, y, -HUD_M, across + edge, along + edge)));
    this.#quad(picture.texture, multiply(front, placed(x, y, -HUD_M, across, along)));
  }

  #drawCursor(front) {
    const { cursor } = this.panels;
    if (cursor === null) return;
    const at = placed(cursor.x * HUD_M, cursor.y * HUD_M, -HUD_M, POINTED.cursor, POINTED.cursor);
    this.#quad(this.#pointed, multiply(front, at));
  }

  #headPicture(eye) {
    const wanted = eye === "right" ? "right" : "left";
    const all = [...this.#pictures.values()];
    const heads = all.filter(({ stream }) => !stream.name.startsWith("wrist"));
    return heads.find(({ stream }) => stream.eye === wanted) ??
      heads.find(({ stream }) => stream.eye !== "") ?? heads[0];
  }

  #upload() {
    const gl = this.#gl;
    const fresh = [];
    for (const [name, { stream, bitmap, turn, seq, captureMs }] of this.#fresh) {
      const texture = this.#pictures.get(name)?.texture ?? makeTexture(gl);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
      bitmap.close();
      this.#pictures.set(name, { texture, stream, turn });
      fresh.push({ stream, seq, captureMs });
    }
    this.#fresh.clear();
    return fresh;
  }

  #quad(texture, mvp) {
    const gl = this.#gl;
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.uniformMatrix4fv(this.#mvp, false, mvp);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}

/**
 * Where a picture must hang to fill the angle its camera saw.
 *
 * @param {import("./video.js").StreamInfo} stream
 * @param {number} distance [m]
 * @returns {Float32Array}
 */
export function angular({ width, height, fovy_deg: fovy }, distance) {
  const halfHeight = distance * Math.tan(((fovy || 60) * Math.PI) / 360);
  return placed(0, 0, -distance, (halfHeight * width) / height, halfHeight);
}

function link(gl) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    throw new Error(`the graphics driver refused the shader: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}
