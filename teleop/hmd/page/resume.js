/**
 * The operator's session over a reload of the page.
 *
 * It is kept only while no page is there to use it: a copied tab must not take the robot from the
 * page it was copied from.
 */

const KEY = "telecap.session";

/** @param {string | null} sessionId of the page that goes away */
export function keepSession(sessionId) {
  if (sessionId !== null) sessionStorage.setItem(KEY, sessionId);
}

/** @returns {string | null} session of this tab's previous page; a second call has none */
export function takeSession() {
  const sessionId = sessionStorage.getItem(KEY);
  sessionStorage.removeItem(KEY);
  return sessionId;
}
