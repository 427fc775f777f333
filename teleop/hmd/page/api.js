/** The server's HTTP API; every call carries the bearer token. */

import { readToken } from "./token.js";

/** An answer other than 2xx, or none at all (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {string} path such as "/api/status"
 * @param {object} [body] sent as JSON by POST; without it the call is a GET
 * @returns {Promise<any>} the JSON answer, null when it is empty
 */
export async function call(path, body) {
  const headers = { Authorization: `Bearer ${readToken()}` };
  const init = body === undefined ? { headers } : {
    method: "POST",
    headers: { ...headers, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    throw new ApiError(0, `The server does not answer (${error.message}).`);
  }
  const text = await answer.text();
  if (!answer.ok) throw new ApiError(answer.status, errorText(answer.status, text));
  return text === "" ? null : JSON.parse(text);
}

/**
 * @param {string} name session intent: "record_start", "estop", …
 * @param {object} [args]
 */
export function intent(name, args = {}) {
  return call(`/api/session/${name}`, args);
}

function errorText(status, text) {
  if (status === 401) return "Wrong access token.";
  try {
    const body = JSON.parse(text);
    return String(body.reason ?? body.error ?? body.detail ?? text);
  } catch {
    return text || `The server answered ${status}.`;
  }
}
