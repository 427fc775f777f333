/** Textures without mipmaps, clamped: pictures, canvases and plain colours. */

/**
 * @param {WebGL2RenderingContext} gl
 * @returns {WebGLTexture} empty, bound
 */
export function makeTexture(gl) {
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) {
    gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
  }
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
  return texture;
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {number[]} rgba 0 to 255, colour premultiplied by alpha
 * @returns {WebGLTexture} one pixel
 */
export function plainTexture(gl, rgba) {
  const texture = makeTexture(gl);
  const pixel = new Uint8Array(rgba);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
  return texture;
}
