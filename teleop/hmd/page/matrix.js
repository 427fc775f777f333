/** The little 4×4 algebra the panels need; column-major Float32Array, as WebGL wants it. */

/**
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @returns {Float32Array} a · b
 */
export function multiply(a, b) {
  const out = new Float32Array(16);
  for (let column = 0; column < 4; column++) {
    for (let row = 0; row < 4; row++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += a[k * 4 + row] * b[column * 4 + k];
      out[column * 4 + row] = sum;
    }
  }
  return out;
}

/**
 * @param {{x: number, y: number, z: number, w: number}} q
 * @param {{x: number, y: number, z: number}} p
 * @returns {Float32Array} rigid transform
 */
export function rigid({ x, y, z, w }, p) {
  return new Float32Array([
    1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w), 0,
    2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w), 0,
    2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y), 0,
    p.x, p.y, p.z, 1,
  ]);
}

/**
 * A quad of the given size, moved in the frame it is placed in.
 *
 * @param {number} x
 * @param {number} y
 * @param {number} z
 * @param {number} halfWidth
 * @param {number} halfHeight
 * @returns {Float32Array}
 */
export function placed(x, y, z, halfWidth, halfHeight) {
  return new Float32Array([halfWidth, 0, 0, 0, 0, halfHeight, 0, 0, 0, 0, 1, 0, x, y, z, 1]);
}

/**
 * The part of an orientation that turns about the vertical.
 *
 * @param {{x: number, y: number, z: number, w: number}} q
 * @returns {{x: number, y: number, z: number, w: number}}
 */
export function yawOf({ y, w }) {
  const norm = Math.hypot(y, w) || 1;
  return { x: 0, y: y / norm, z: 0, w: w / norm };
}

/**
 * An orientation, turned.
 *
 * @param {number[]} a quaternion xyzw of the turn
 * @param {{x: number, y: number, z: number, w: number}} b
 * @returns {{x: number, y: number, z: number, w: number}} a · b
 */
export function turned([ax, ay, az, aw], { x, y, z, w }) {
  return {
    x: aw * x + ax * w + ay * z - az * y,
    y: aw * y - ax * z + ay * w + az * x,
    z: aw * z + ax * y - ay * x + az * w,
    w: aw * w - ax * x - ay * y - az * z,
  };
}

/**
 * @param {{x: number, y: number, z: number, w: number}} q
 * @returns {{x: number, y: number, z: number, w: number}} the turn back
 */
export function conjugated({ x, y, z, w }) {
  return { x: -x, y: -y, z: -z, w };
}

/**
 * @param {{x: number, y: number, z: number, w: number}} q
 * @param {number[]} v
 * @returns {number[]} the vector, turned
 */
export function rotated({ x, y, z, w }, [a, b, c]) {
  const [p, q, r] = [2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)];
  return [a + w * p + y * r - z * q, b + w * q + z * p - x * r, c + w * r + x * q - y * p];
}
