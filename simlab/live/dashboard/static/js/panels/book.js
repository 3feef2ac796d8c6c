/** The ladder of the order book and the tape of trades. */

import { byId, make, roving, rows, say, toggle } from "../dom.js";
import { moment, number, time } from "../format.js";

const LEVELS = 10;
const TAPE = 40;

export class Book {
  /** `take(side, price)` is called with the price that somebody chose to trade at. */
  constructor(store, painter, take) {
    this.store = store;
    this.take = take;
    for (const side of ["asks", "bids"]) {
      rows(byId(side), Array(LEVELS).fill(null), () => this.#level(side), () => {});
    }
    roving(byId("ladder"), "button");
    const ladder = painter.add(byId("ladder"), 250, () => this.#ladder());
    const tape = painter.add(byId("tape"), 500, () => this.#tape());
    store.on("orderbooks own selected", ladder);
    store.on("tape selected", tape);
  }

  #level(side) {
    const price = make("button", { className: "plain", type: "button", tabIndex: -1, hidden: true });
    price.addEventListener("click", () => this.take(side === "asks" ? "buy" : "sell", Number(price.dataset.price)));
    const size = make("td", { className: "number size" }, make("span", { className: "bar" }), make("span"));
    const orders = make("td", { className: "number muted" });
    return make("tr", { className: side }, make("td", { className: "number" }, price), size, orders);
  }

  #ladder() {
    const { store } = this;
    const book = store.books.get(store.selected) ?? { bids: [], asks: [] };
    const decimals = store.decimals();
    const asks = book.asks.slice(0, LEVELS).reverse();
    const bids = book.bids.slice(0, LEVELS);
    const most = Math.max(1, ...asks.map((it) => it.quantity), ...bids.map((it) => it.quantity));
    const mine = new Map();
    for (const order of store.openOrders()) {
      if (order.symbol_id === store.selected && order.price !== null) {
        mine.set(order.price.toFixed(decimals), order.side);
      }
    }
    this.#side(byId("asks"), [...Array(LEVELS - asks.length).fill(null), ...asks], most, decimals, mine);
    this.#side(byId("bids"), [...bids, ...Array(LEVELS - bids.length).fill(null)], most, decimals, mine);
    if (!byId("ladder").querySelector("button[tabindex='0']:not([hidden])")) {
      const first = byId("bids").querySelector("button:not([hidden])") ?? byId("asks").querySelector("button:not([hidden])");
      if (first) first.tabIndex = 0;
    }
    const spread = asks.length && bids.length ? asks.at(-1).price - bids[0].price : null;
    say(byId("spread-now"), number(spread, decimals));
  }

  #side(body, levels, most, decimals, mine) {
    levels.forEach((level, place) => {
      const row = body.children[place];
      const [price, size, orders] = row.children;
      const button = price.firstChild;
      const [bar, quantity] = size.children;
      if (button.hidden !== (level === null)) button.hidden = level === null;
      toggle(row, "mine", level !== null && mine.has(level.price.toFixed(decimals)));
      say(button, level ? number(level.price, decimals) : "");
      say(quantity, level ? number(level.quantity) : "");
      say(orders, level?.orders ? number(level.orders) : "");
      bar.style.transform = `scaleX(${level ? level.quantity / most : 0})`;
      if (level === null) return;
      button.dataset.price = level.price;
      row.title = row.classList.contains("mine") ? "an order of yours rests here" : "";
    });
  }

  #tape() {
    const { store } = this;
    const decimals = store.decimals();
    rows(byId("tape"), store.tape.slice(0, TAPE), () => make("tr", {}, make("td"),
      make("td", { className: "number" }), make("td", { className: "number" }), make("td")),
    (row, trade) => {
      const [when, price, quantity, side] = row.children;
      say(when, time(moment(trade.timestamp)));
      say(price, number(trade.price, decimals));
      say(quantity, number(trade.quantity));
      say(side, trade.aggressor_side);
      row.className = trade.aggressor_side === "buy" ? "bids" : "asks";
    });
  }
}
