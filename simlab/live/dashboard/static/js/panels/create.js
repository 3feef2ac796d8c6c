/** Making instruments and agents. */

import { post } from "../api.js";
import { byId, notify, say } from "../dom.js";

export class Create {
  constructor() {
    this.#form("new-instrument", "instrument-form", "/api/instruments", (it) => `${it.ticker} is listed.`);
    this.#form("new-agent", "agent-form", "/api/agents", (it) => `${it.name} is created.`);
    for (const button of document.querySelectorAll("dialog [data-close]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
  }

  #form(opener, name, path, done) {
    const form = byId(name);
    const dialog = form.closest("dialog");
    const problem = form.querySelector("[role=alert]");
    byId(opener).addEventListener("click", () => {
      say(problem, "");
      dialog.showModal();
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const asked = read(form);
      try {
        await post(path, asked);
        notify(done(asked), "good");
        form.reset();
        dialog.close();
      } catch (refused) {
        say(problem, refused.message);
      }
    });
  }
}

/** Return what a form holds; what is left empty is left out, and numbers are numbers. */
function read(form) {
  const asked = {};
  for (const field of form.elements) {
    const value = field.value?.trim();
    if (!field.name || !value) continue;
    asked[field.name] = field.type === "number" ? Number(value) : value;
  }
  return asked;
}
