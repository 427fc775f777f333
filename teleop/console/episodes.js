/** The list of episodes: verdict, outcome, duration; labels and discards them. */

import { call } from "/static/xr/api.js";
import { clockText } from "/static/xr/hudmodel.js";
import { element, setText } from "./dom.js";
import { Player } from "./player.js";

/** A discard needs a second click within this time [ms]. */
const SURE_MS = 3000;

export class EpisodeList {
  #root;
  #report;
  #player;
  #shown = "";

  /**
   * @param {HTMLElement} root
   * @param {(promise: Promise<any>, done: string) => Promise<boolean>} report shows how a call went
   */
  constructor(root, report) {
    this.#root = root;
    this.#report = report;
    this.#player = new Player();
  }

  /** Ask the server again; draws only when something changed. */
  async refresh() {
    const answer = await call("/api/episodes");
    // Names begin with the time, so that their order is the order of recording.
    const rows = answer.episodes.toSorted((a, b) => (a.id < b.id ? 1 : -1));
    const key = JSON.stringify(rows);
    if (key === this.#shown) return;
    this.#shown = key;
    setText("episode-count", String(rows.length));
    const opened = this.#root.querySelectorAll("details[open]");
    const open = new Set([...opened].map((item) => item.dataset.id));
    const items = rows.map((row) => this.#item(row, open.has(row.id)));
    const empty = element("p", { className: "empty", textContent: "No episodes yet" });
    this.#root.replaceChildren(...(items.length ? items : [empty]));
  }

  #item(row, isOpen) {
    const verdict = row.quality ?? "";
    const summary = element("summary", {},
      element("span", { className: `mark ${verdict}`, textContent: verdict || "—",
        title: "automatic quality check" }),
      element("span", { className: "when", textContent: whenText(row) }),
      element("span", { textContent: clockText(row.duration_s) }),
      element("span", { className: row.outcome ?? "dim", textContent: row.outcome ?? "no label" }));
    const item = element("details", { open: isOpen, dataset: { id: row.id } }, summary);
    item.append(element("p", { className: "dim", textContent: detailText(row) }),
      ...this.#editor(row));
    return item;
  }

  #editor(row) {
    const notes = element("textarea", {
      rows: 2, maxLength: 4096, placeholder: "Notes", value: row.notes,
    });
    const label = (outcome) => element("button", {
      className: outcome === "success" ? "good" : "bad",
      textContent: outcome === "success" ? "Success" : "Failure",
      onclick: () => {
        this.#post(row, "label", { outcome, notes: notes.value }, `Labelled ${outcome}`);
      },
    });
    const play = element("button", { textContent: "Play" });
    play.onclick = () => this.#report(this.#player.open(row.id), "");
    const discard = element("button", { textContent: "Discard" });
    discard.onclick = () => sure(discard, () => this.#post(row, "discard", {}, "Discarded"));
    const buttons = element("div", { className: "row wide" },
      play, label("success"), label("failure"), discard);
    return [notes, buttons];
  }

  async #post(row, action, body, done) {
    const path = `/api/episodes/${encodeURIComponent(row.id)}/${action}`;
    if (await this.#report(call(path, body), done)) await this.#report(this.refresh(), done);
  }
}

/**
 * Ask for a second click.
 *
 * @param {HTMLButtonElement} button
 * @param {() => void} action
 */
export function sure(button, action) {
  if (button.dataset.sure) {
    delete button.dataset.sure;
    button.textContent = button.dataset.label;
    action();
    return;
  }
  button.dataset.label = button.textContent;
  button.dataset.sure = "yes";
  button.textContent = "Really?";
  setTimeout(() => {
    delete button.dataset.sure;
    button.textContent = button.dataset.label;
  }, SURE_MS);
}

function whenText({ id, take, wall_time: wallTime }) {
  const options = { hour: "2-digit", minute: "2-digit", hour12: false };
  const part = id.includes("~") ? ` part ${id.split("~")[1]}` : "";
  return `take ${take}${part}, ${new Date(wallTime).toLocaleTimeString([], options)}`;
}

function detailText({ task, operator, id, drops, failed }) {
  const trouble = failed ? "the disk refused data" : drops > 0 ? `${drops} rows lost` : "";
  return [task, operator, trouble, id].filter(Boolean).join(" · ");
}
