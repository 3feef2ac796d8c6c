/** The WebSocket to the gateway: opened again after 3 s, then twice as long each time, at most 30 s. */

import { get } from "./api.js";

export const FIRST_S = 3;
export const LONGEST_S = 30;
const PING_MS = 15000;
const SILENT_MS = 40000;

export class Connection extends EventTarget {
  #socket = null;
  #timer = null;
  #watch = null;
  #heard = 0;
  #delay = FIRST_S;

  /** `state` is connecting, open or waiting; `retryAt` (ms) and `reason` tell of waiting. */
  state = "connecting";
  retryAt = 0;
  reason = "";

  open() {
    clearTimeout(this.#timer);
    if (this.#socket && this.#socket.readyState <= WebSocket.OPEN) return;
    this.#become("connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => {
      this.#heard = Date.now();
      this.dispatchEvent(new MessageEvent("message", { data: event.data }));
    };
    socket.onclose = (event) => this.#lost(socket, event.reason);
  }

  /** Leave, until `open` is called. */
  close() {
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#become("connecting");
  }

  /** Send a message; false when there is nobody to hear it. */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #opened() {
    this.#delay = FIRST_S;
    this.#heard = Date.now();
    this.#watch = setInterval(() => this.#check(), PING_MS);
    this.#become("open");
  }

  /** A connection that says nothing at all is as good as lost. */
  #check() {
    if (Date.now() - this.#heard > SILENT_MS) this.#socket.close();
    else this.send({ type: "ping" });
  }

  async #lost(socket, reason) {
    if (socket !== this.#socket) return;
    clearInterval(this.#watch);
    this.#socket = null;
    this.reason = reason || "the connection was lost";
    this.retryAt = Date.now() + 1000 * this.#delay;
    this.#timer = setTimeout(() => this.open(), 1000 * this.#delay);
    this.#delay = Math.min(2 * this.#delay, LONGEST_S);
    this.#become("waiting");
    const told = await why();
    if (this.state !== "waiting") return;
    if (told === null) clearTimeout(this.#timer); // a token is asked for first
    else if (told) this.reason = told;
    this.#become(told === null ? "locked" : "waiting");
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/** Ask why there is no connection: null when a token is missing, empty when nothing more is known. */
async function why() {
  try {
    await get("/health");
    return "";
  } catch (refused) {
    return refused.status === 401 ? null : refused.message;
  }
}
