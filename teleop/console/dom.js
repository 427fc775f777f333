/** The few DOM helpers the console shares. */

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]> & {dataset?: Record<string, string>}} [properties]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, properties = {}, ...children) {
  const { dataset = {}, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  Object.assign(node.dataset, dataset);
  node.append(...children);
  return node;
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function part(id) {
  return document.getElementById(id);
}

/**
 * Set text only when it differs: a selection and the screen reader stay undisturbed.
 *
 * @param {string} id
 * @param {string} text
 */
export function setText(id, text) {
  const node = part(id);
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {string} id of a list
 * @param {string[]} lines
 */
export function setList(id, lines) {
  const list = part(id);
  const text = lines.join("\n");
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.replaceChildren(...lines.map((line) => element("li", { textContent: line })));
}

/**
 * @param {string} id of a `<dl>`
 * @param {[string, string, string?][]} rows term, value, level ("", "warn", "bad")
 */
export function setRows(id, rows) {
  part(id).replaceChildren(...rows.flatMap(([term, value, level = ""]) => [
    element("dt", { textContent: term }),
    element("dd", { textContent: value, className: level }),
  ]));
}
