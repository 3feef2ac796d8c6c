/** Trading by hand: joining, the order ticket, one's own portfolio and orders. */

import { byId, confirmed, make, notify, rows, say } from "../dom.js";
import { gain, number, signed } from "../format.js";
import { isOpen } from "../store.js";

const SHOWN = 50;
const TOGETHER_MS = 400;

export class Ticket {
  #told = new Set();

  constructor(store, painter, trader) {
    this.store = store;
    this.trader = trader;
    byId("join").addEventListener("submit", (event) => this.#join(event));
    byId("ticket").addEventListener("submit", (event) => this.#submit(event));
    byId("ticket").addEventListener("input", () => this.#describe());
    byId("cancel-all").addEventListener("click", () => this.#cancelAll());
    byId("leave").addEventListener("click", () => this.#leave());
    const orders = painter.add(byId("orders"), 250, () => this.#orders());
    const portfolio = painter.add(byId("portfolio"), 500, () => this.#portfolio());
    store.on("own", orders);
    store.on("portfolio_update trader", portfolio);
    store.on("trader", () => this.#who());
    store.on("selected instruments", () => this.#describe());
    store.on("filled", (id) => this.#filled(id));
    this.#who();
  }

  /** Put a side and a price into the ticket, as somebody who clicked into the ladder wants it. */
  fill(side, price) {
    const form = byId("ticket");
    form.elements.side.value = side;
    form.elements.orderType.value = "LIMIT";
    form.elements.price.value = price.toFixed(this.store.decimals());
    this.#describe();
    form.elements.quantity.focus();
  }

  #who() {
    const { agent } = this.trader;
    byId("join").hidden = agent !== null;
    byId("ticket").hidden = agent === null;
    byId("account").hidden = agent === null;
    if (agent) say(byId("me"), agent.name);
    this.#describe();
  }

  async #join(event) {
    event.preventDefault();
    const { name, capital } = event.target.elements;
    try {
      const agent = await this.trader.join(name.value.trim(), Number(capital.value));
      notify(`You trade as ${agent.name}.`, "good");
      byId("ticket").elements.quantity.focus();
    } catch (error) {
      notify(`Not joined: ${error.message}`, "bad");
    }
  }

  async #leave() {
    say(byId("question-text"), `Forget ${this.trader.agent.name} on this page? Its orders stay in the market, and`
      + " nobody can take it up again from here.");
    say(byId("question-yes"), "Forget");
    if (await confirmed(byId("question"))) this.trader.leave();
  }

  /** Return what the ticket asks for, as the wire has it. */
  #order() {
    const { side, orderType, price, quantity, time_in_force: time, post_only: post } = byId("ticket").elements;
    const order = {
      symbol_id: this.store.selected, side: side.value, orderType: orderType.value, quantity: Number(quantity.value),
    };
    if (order.orderType === "LIMIT") {
      order.price = Number(price.value);
      order.time_in_force = time.value;
      if (post.checked) order.post_only = true;
    }
    return order;
  }

  #describe() {
    const form = byId("ticket");
    const { decimals = 2, tick_size: tick = 0.01 } = this.store.instrument ?? {};
    const order = this.#order();
    const limit = order.orderType === "LIMIT";
    for (const it of [form.elements.price, form.elements.time_in_force, form.elements.post_only]) it.disabled = !limit;
    form.elements.price.step = tick.toFixed(decimals);
    const verb = order.side === "buy" ? "Buy" : "Sell";
    const button = byId("send");
    say(button, `${verb} ${this.store.ticker(this.store.selected ?? 0)}\u2026`);
    button.className = order.side;
    const notional = limit ? order.price * order.quantity : this.#expected(order);
    say(byId("notional"), notional ? `about ${number(notional, 2)}` : "");
  }

  /** What a market order would come to in the book as it is seen. */
  #expected({ side, quantity }) {
    const book = this.store.books.get(this.store.selected);
    let left = quantity;
    let sum = 0;
    for (const level of (side === "buy" ? book?.asks : book?.bids) ?? []) {
      const taken = Math.min(left, level.quantity);
      sum += taken * level.price;
      left -= taken;
    }
    return sum;
  }

  async #submit(event) {
    event.preventDefault();
    const order = this.#order();
    const { side, quantity, price } = order;
    const what = `${side === "buy" ? "Buy" : "Sell"} ${number(quantity)} ${this.store.ticker(order.symbol_id)}`;
    const terms = order.orderType === "LIMIT"
      ? `at ${number(price, this.store.decimals())} or better, ${order.time_in_force}${order.post_only ? ", post only" : ""}`
      : "at the market";
    say(byId("confirm-text"), `${what} ${terms}`);
    say(byId("confirm-cost"), byId("notional").textContent);
    byId("confirm-yes").className = side;
    if (!(await confirmed(byId("confirm")))) return;
    const answer = await this.trader.enter(order);
    if (answer.status !== "success") notify(`Refused: ${answer.message}`, "bad");
    else if (!answer.filled) notify(`${what} ${terms}: in the market as order ${answer.orderId}.`, "good");
  }

  /** Tell of fills, once for all that come in quick succession to an order. */
  #filled(id) {
    if (this.#told.has(id)) return;
    this.#told.add(id);
    setTimeout(() => {
      this.#told.delete(id);
      const order = this.store.orders.get(id);
      if (!order) return;
      const verb = order.side?.toLowerCase() === "sell" ? "Sold" : "Bought";
      const decimals = this.store.decimals(order.symbol_id) + 1;
      const left = isOpen(order) ? `, ${number(order.quantity - order.filled)} to go` : "";
      notify(
        `${verb} ${number(order.filled)} ${this.store.ticker(order.symbol_id)} at`
        + ` ${number(order.average_price, decimals)} on average${left}.`,
        "good",
      );
    }, TOGETHER_MS);
  }

  async #cancelAll() {
    const answer = await this.trader.cancelAll();
    notify(answer.message || "All orders are cancelled.", answer.status === "success" ? "good" : "bad");
  }

  #orders() {
    const { store } = this;
    const all = [...store.orders.values()].reverse();
    all.sort((a, b) => isOpen(b) - isOpen(a));
    byId("cancel-all").disabled = !all.some(isOpen);
    byId("no-orders").hidden = all.length > 0;
    rows(byId("orders"), all.slice(0, SHOWN), () => this.#orderRow(), (row, order) => {
      const [what, side, price, size, status, action] = row.children;
      say(what, store.ticker(order.symbol_id));
      say(side, order.side?.toLowerCase() ?? "");
      side.className = order.side?.toLowerCase() === "sell" ? "asks" : "bids";
      say(price, order.price === null ? "market" : number(order.price, store.decimals(order.symbol_id)));
      say(size, `${number(order.filled)} of ${number(order.quantity)}`);
      say(status, WORDS[order.status] ?? order.status);
      row.dataset.order = order.orderId;
      const button = action.firstChild;
      if (button.hidden === isOpen(order)) button.hidden = !isOpen(order);
      button.setAttribute("aria-label", `Cancel order ${order.orderId}`);
    });
  }

  #orderRow() {
    const button = make("button", { type: "button", className: "small", textContent: "Cancel" });
    button.addEventListener("click", async () => {
      const order = this.store.orders.get(Number(button.closest("tr").dataset.order));
      const answer = await this.trader.cancel(order);
      if (answer.status !== "success") notify(`Not cancelled: ${answer.message}`, "bad");
    });
    const cells = ["", "", "number", "number", ""].map((className) => make("td", { className }));
    return make("tr", {}, ...cells, make("td", {}, button));
  }

  #portfolio() {
    const { portfolio } = this.store;
    const held = Object.values(portfolio?.positions ?? {}).filter((it) => it.quantity !== 0);
    say(byId("cash"), number(portfolio?.cash, 2));
    say(byId("value"), number(portfolio?.total_value, 2));
    const pnl = byId("pnl");
    say(pnl, signed(portfolio?.pnl));
    pnl.className = gain(portfolio?.pnl);
    fillPositions(byId("positions"), held, this.store);
    byId("no-positions").hidden = held.length > 0;
  }
}

const WORDS = {
  accepted: "open", resting: "open", replaced: "open", partial_fill: "partly filled", partially_filled: "partly filled",
  fill: "filled",
};

/** Show positions as rows: instrument, quantity, average price, price now, gain. */
export function fillPositions(body, held, store) {
  rows(body, held, () => make("tr", {}, make("td"), ...Array.from({ length: 4 }, () => make("td", { className: "number" }))),
    (row, it) => {
      const decimals = store.decimals(it.instrument_id);
      const [what, quantity, paid, now, pnl] = row.children;
      say(what, store.ticker(it.instrument_id));
      say(quantity, number(it.quantity));
      say(paid, number(it.avg_price, decimals + 1));
      say(now, number(it.current_price, decimals));
      say(pnl, signed(it.unrealized_pnl));
      pnl.className = `number ${gain(it.unrealized_pnl)}`;
    });
}
