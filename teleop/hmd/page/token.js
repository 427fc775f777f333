/** The access token: from the URL fragment `#token=…`, kept for this tab. */

const KEY = "telecap.token";

/** @returns {string} the token, empty when there is none */
export function readToken() {
  const fragment = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fragment) sessionStorage.setItem(KEY, fragment);
  return fragment || sessionStorage.getItem(KEY) || "";
}

/** @param {string} token */
export function storeToken(token) {
  sessionStorage.setItem(KEY, token);
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
