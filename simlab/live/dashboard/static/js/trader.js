/** The agent that a person at this page trades as: registered once, resumed after every gap. */

import { get, listOf } from "./api.js";
import { moment, sideOf } from "./format.js";

const KEPT = "simlab.agent";
const FORGET_MS = 60000;
const SOON_MS = 300;
const GONE = new Set(["UNKNOWN_AGENT", "BAD_TOKEN", "AGENT_TAKEN"]);

export class Trader {
  agent = null;
  #waiting = new Map();
  #cancels = [];
  #joining = null;
  #soon = null;
  #serial = 0;

  constructor(store, connection) {
    this.store = store;
    this.connection = connection;
    connection.addEventListener("state", () => this.#connected());
    store.on("agent_registered", (message) => this.#registered(message));
    store.on("order_response", ({ data }) => this.#answered(data));
    store.on("cancel_response", ({ data }) => this.#cancels.shift()?.(data));
    store.on("order_update", () => this.#fillsSoon());
    store.on("error", (message) => this.#refused(message));
  }

  /** Take part under a name; resolves when the market has given an account. */
  join(name, capital) {
    const message = { type: "agent_register", name, personality: "person" };
    if (capital) message.starting_capital = capital;
    return this.#register(message);
  }

  /** Give the agent up: its orders stay, this page forgets it. */
  leave() {
    localStorage.removeItem(KEPT);
    this.agent = null;
    this.store.orders = new Map();
    this.store.fills = [];
    this.store.portfolio = null;
    this.store.tell("trader");
    this.store.tell("own");
    this.store.tell("fills");
  }

  /** Enter an order; an answer that is lost is asked for again under the same id, and the order entered once. */
  enter(order) {
    this.#serial += 1;
    const id = `${Date.now().toString(36)}-${this.#serial}`;
    const message = { type: "add_order", client_id: id, agent_id: this.agent.agent_id, ...order };
    return new Promise((resolve) => {
      this.#waiting.set(id, { message, resolve, since: Date.now() });
      this.connection.send(message);
    });
  }

  cancel(order) {
    return this.#cancel({ type: "cancel_order", symbol_id: order.symbol_id, orderId: order.orderId });
  }

  cancelAll() {
    return this.#cancel({ type: "cancel_all", agent_id: this.agent.agent_id });
  }

  #cancel(message) {
    return new Promise((resolve) => {
      if (this.connection.send(message)) this.#cancels.push(resolve);
      else resolve({ status: "error", message: "there is no connection" });
    });
  }

  #register(message) {
    return new Promise((resolve, reject) => {
      this.#joining = { resolve, reject };
      if (!this.connection.send(message)) reject(new Error("there is no connection"));
    });
  }

  #connected() {
    if (this.connection.state !== "open") {
      for (const resolve of this.#cancels.splice(0)) {
        resolve({ status: "error", message: "the connection was lost before the answer came" });
      }
      return;
    }
    const kept = readKept();
    if (!kept) return;
    const { agent_id, session_token, name } = kept;
    this.#register({ type: "agent_register", agent_id, session_token, name }).catch(() => {});
  }

  #registered({ agent_id, session_token, agent }) {
    localStorage.setItem(KEPT, JSON.stringify({ agent_id, session_token, name: agent.name }));
    this.agent = agent;
    this.#joining?.resolve(agent);
    this.#joining = null;
    this.connection.send({ type: "get_orders", agent_id });
    this.#askAgain();
    this.#fillsSoon();
    this.store.tell("trader");
  }

  #askAgain() {
    for (const [id, { message, resolve, since }] of this.#waiting) {
      if (Date.now() - since < FORGET_MS) this.connection.send({ ...message, agent_id: this.agent.agent_id });
      else {
        this.#waiting.delete(id);
        resolve({ status: "error", message: "the answer was lost; look at your orders before you try again" });
      }
    }
  }

  #answered(data) {
    const waiting = this.#waiting.get(data.client_id);
    if (!waiting) return;
    this.#waiting.delete(data.client_id);
    if (data.status === "success") this.#keep(data, waiting.message);
    waiting.resolve(data);
  }

  /** Keep what was asked with what came of it: an update that came first knows nothing of the side. */
  #keep(data, { symbol_id, side, price = null, quantity, client_id }) {
    const known = this.store.orders.get(data.orderId);
    const filled = data.filled ?? 0;
    this.store.keepOrder({
      orderId: data.orderId, status: data.state ?? "accepted", filled, ...known,
      client_id, symbol_id, side, price, quantity,
    });
  }

  #refused(message) {
    if (message.request !== "agent_register" && !GONE.has(message.code)) return;
    const kept = readKept();
    if (kept && GONE.has(message.code)) this.leave();
    this.#joining?.reject(new Error(message.message));
    this.#joining = null;
  }

  /** Fetch one's own trades once the flurry is over: they carry price and time as the market has them. */
  #fillsSoon() {
    if (this.#soon || !this.agent) return;
    this.#soon = setTimeout(async () => {
      this.#soon = null;
      if (!this.agent) return;
      const path = `/api/agents/${encodeURIComponent(this.agent.agent_id)}/trades?limit=100`;
      const trades = await get(path).catch(() => null);
      if (trades === null || !this.agent) return;
      const me = this.agent.agent_id;
      this.store.fills = listOf(trades, "trades").map((it) => (
        { ...it, time: moment(it.timestamp), side: sideOf(it, me) }));
      this.store.tell("fills");
    }, SOON_MS);
  }
}

function readKept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT));
  } catch {
    return null;
  }
}
