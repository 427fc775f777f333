/**
 * The access token: from the URL fragment `#token=…`, or for a one-time code from `#code=…`, kept for
 * this tab.
 */

const KEY = "telecap.token";

/** @returns {string} the token, empty when there is none */
export function readToken() {
  const fragment = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fragment) sessionStorage.setItem(KEY, fragment);
  return fragment || sessionStorage.getItem(KEY) || "";
}

/**
 * Exchange the one-time code of this page's address, if it has one, for the token.
 *
 * @returns {Promise<string>} why that failed; empty when it did not
 */
export async function redeemCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (!code) return "";
  const why = await redeem(code);
  if (why) history.replaceState(null, "", `${location.pathname}${location.search}`);
  return why;
}

/**
 * @param {string} code one-time code
 * @returns {Promise<string>} why it is worth nothing; empty when the token is stored
 */
async function redeem(code) {
  try {
    const answer = await fetch("/api/pairing/redeem", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code }),
    });
    const body = await answer.json();
    if (!answer.ok) return body.error;
    storeToken(body.token);
    return "";
  } catch (error) {
    return `The server does not answer (${error.message}).`;
  }
}

/**
 * Take what was typed: a token, or a one-time code.
 *
 * @param {string} typed
 * @returns {Promise<string>} why it is worth nothing as a code; empty when it is, or is none
 */
export async function storeTyped(typed) {
  const isCode = /^[2-9A-HJKMNP-TV-Z]{4}[ -]?[2-9A-HJKMNP-TV-Z]{4}$/i.test(typed);
  const why = isCode ? await redeem(typed) : "";
  if (!isCode || why !== "") storeToken(typed); // a token may look like a code
  return why;
}

/**
 * Use another token from now on, in this page's address too, so that it survives a bookmark.
 *
 * @param {string} token
 */
export function storeToken(token) {
  sessionStorage.setItem(KEY, token);
  const fragment = new URLSearchParams({ token });
  history.replaceState(null, "", `${location.pathname}${location.search}#${fragment}`);
}

/**
 * @param {string} path page path such as "/xr"
 * @returns {string} address of another page of this server, token included
 */
export function pageUrl(path) {
  const url = new URL(path, location.origin);
  const token = readToken();
  if (token) url.hash = new URLSearchParams({ token }).toString();
  return url.href;
}
