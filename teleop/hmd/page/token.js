/** The access token: from the URL fragment `#token=…`, kept for this tab. */

const KEY = "telecap.token";

/** @returns {string} the token, empty when there is none */
export function readToken() {
  const fragment = new URLSearchParams(location.hash.slice(1)).get("token");
  if (fragment) sessionStorage.setItem(KEY, fragment);
  return fragment || sessionStorage.getItem(KEY) || "";
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
