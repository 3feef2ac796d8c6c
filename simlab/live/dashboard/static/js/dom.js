/** Small helpers over the document. Whatever came over the wire is put in as text, never as markup. */

export const byId = (id) => document.getElementById(id);

/** Make an element with properties, attributes (aria-*, data-*, role, scope, for) and children or text. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node && !name.includes("-")) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** Set text only where it differs: the browser lays out nothing for what did not change. */
export function say(node, text) {
  const value = String(text);
  if (node.textContent !== value) node.textContent = value;
}

export function toggle(node, name, on) {
  if (node.classList.contains(name) !== on) node.classList.toggle(name, on);
}

/** Keep as many rows as there are items, and let `fill(row, item)` set what a row shows. */
export function rows(body, items, create, fill) {
  while (body.children.length > items.length) body.lastElementChild.remove();
  while (body.children.length < items.length) body.append(create());
  items.forEach((item, place) => fill(body.children[place], item, place));
}

/** One stop of the Tab key for a group of buttons; arrows, Home and End move inside it. */
export function roving(group, selector) {
  const members = () => Array.from(group.querySelectorAll(selector)).filter((it) => !it.hidden);
  const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
  group.addEventListener("keydown", (event) => {
    const all = members();
    const here = all.indexOf(document.activeElement);
    if (here < 0) return;
    let next = here;
    if (event.key in steps) next = Math.min(all.length - 1, Math.max(0, here + steps[event.key]));
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = all.length - 1;
    else return;
    event.preventDefault();
    all[here].tabIndex = -1;
    all[next].tabIndex = 0;
    all[next].focus();
  });
}

/** Say something that is read out, and shown for some seconds: `kind` is good, bad or plain. */
export function notify(text, kind = "plain") {
  const list = byId("notices");
  const notice = make("li", { className: `notice ${kind}`, textContent: text });
  list.append(notice);
  while (list.children.length > 4) list.firstElementChild.remove();
  setTimeout(() => notice.remove(), kind === "bad" ? 12000 : 6000);
}

/** Show a dialog and return whether it was confirmed; focus goes back to where it was. */
export function confirmed(dialog) {
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "confirm"), { once: true });
    dialog.showModal();
  });
}
