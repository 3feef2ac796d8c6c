/**
 * All that the page knows of the market. Messages change it and tell which topics changed; panels only read. Everything
 * that grows has a bound.
 */

import { decimalsOf, moment } from "./format.js";

const TAPE = 60;
const NEWS = 100;
const ORDERS = 200;
const FILLS = 200;
const HISTORY = 60;
const QUALITY = 400;
const HISTORY_MS = 1000;
/** Marks the one message that is large and often superseded: it is read only when somebody looks at it. */
const SNAPSHOT = /^\{"type": ?"agents_snapshot"/;

export class Store {
  instruments = new Map();
  books = new Map();
  quotes = new Map();
  tape = [];
  quality = [];
  news = [];
  agents = [];
  /** How many agents there are, also of populations of which the best and the worst are listed. */
  agentCount = 0;
  history = new Map();
  orders = new Map();
  fills = [];
  portfolio = null;
  selected = null;
  #listeners = new Map();
  #snapshot = null;
  #sampled = 0;

  on(topics, listener) {
    for (const topic of topics.split(" ")) {
      if (!this.#listeners.has(topic)) this.#listeners.set(topic, []);
      this.#listeners.get(topic).push(listener);
    }
  }

  tell(topic, detail) {
    for (const listener of this.#listeners.get(topic) ?? []) listener(detail);
  }

  get instrument() {
    return this.instruments.get(this.selected);
  }

  decimals(symbol = this.selected) {
    return this.instruments.get(symbol)?.decimals ?? 2;
  }

  ticker(symbol) {
    return this.instruments.get(Number(symbol))?.ticker ?? `#${symbol}`;
  }

  select(symbol) {
    if (symbol === this.selected || !this.instruments.has(symbol)) return;
    this.selected = symbol;
    this.tape = [];
    this.quality = [];
    this.tell("selected");
  }

  /** Take one frame of the WebSocket. */
  take(frame) {
    if (SNAPSHOT.test(frame)) {
      this.#snapshot = frame;
      this.tell("agents");
      return;
    }
    const message = JSON.parse(frame);
    const reader = READERS[message.type];
    if (reader) reader(this, message);
    this.tell(message.type, message);
  }

  /** Return the agents as of the latest snapshot, and keep a sample of each one's P&L. */
  latestAgents() {
    if (this.#snapshot !== null) {
      const { data, count } = JSON.parse(this.#snapshot);
      this.agents = data;
      this.agentCount = Math.max(count ?? 0, data.length);
      this.#snapshot = null;
      this.#sample();
    }
    return this.agents;
  }

  #sample() {
    const now = Date.now();
    if (now - this.#sampled < HISTORY_MS) return;
    this.#sampled = now;
    const known = new Map();
    for (const agent of this.agents) {
      const line = this.history.get(agent.agent_id) ?? [];
      line.push(agent.pnl);
      if (line.length > HISTORY) line.shift();
      known.set(agent.agent_id, line);
    }
    this.history = known; // those who left are forgotten
  }

  /** Take trades of the selected instrument that happened before the page was open, oldest first. */
  pastTrades(trades) {
    this.tape = trades.slice(-TAPE).reverse();
    this.tell("tape");
  }

  addFill(fill) {
    this.fills.push(fill);
    if (this.fills.length > FILLS) this.fills.shift();
    this.tell("fills");
  }

  /** Keep an order of one's own; ended ones are forgotten first. */
  keepOrder(order) {
    const id = order.orderId;
    this.orders.set(id, { ...this.orders.get(id), ...order });
    if (this.orders.size > ORDERS) {
      const ended = [...this.orders.values()].find((it) => !isOpen(it)) ?? this.orders.values().next().value;
      this.orders.delete(ended.orderId);
    }
    this.tell("own");
  }

  openOrders() {
    return [...this.orders.values()].filter(isOpen);
  }
}

const OPEN = new Set(["accepted", "partial_fill", "replaced", "resting", "partially_filled", "open", "new"]);

export const isOpen = (order) => OPEN.has(order.status);

const READERS = {
  instruments(store, { data }) {
    const listed = new Map();
    for (const it of data) listed.set(it.symbol_id, { ...it, decimals: decimalsOf(it.tick_size ?? 0.01) });
    store.instruments = listed;
    if (!listed.has(store.selected)) store.select(data[0]?.symbol_id ?? null);
  },

  orderbooks(store, { data }) {
    for (const book of Object.values(data)) {
      store.books.set(book.symbol_id, book);
      quote(store, book.symbol_id).mid = midOf(book);
      if (book.symbol_id === store.selected) observe(store, book);
    }
  },

  trades(store, { data }) {
    for (const trade of data) {
      const known = quote(store, trade.symbol_id);
      known.last = trade.price;
      known.volume += trade.quantity;
    }
    const here = data.filter((trade) => trade.symbol_id === store.selected);
    if (here.length === 0) return;
    store.tape = [...here.slice(-TAPE).reverse(), ...store.tape].slice(0, TAPE);
    store.tell("tape", here);
  },

  news_history(store, { data }) {
    store.news = data.slice(-NEWS).reverse();
  },

  news(store, { data }) {
    if (store.news.some((it) => it.id === data.id)) return;
    store.news = [data, ...store.news].slice(0, NEWS);
  },

  portfolio_update(store, message) {
    store.portfolio = message;
  },

  orders(store, { data }) {
    store.orders = new Map(data.slice(-ORDERS).map((order) => [order.orderId, order]));
    store.tell("own");
  },

  order_update(store, { data }) {
    const { orderId, client_id, symbol_id, event, filled, average_price } = data;
    const before = store.orders.get(orderId);
    const asked = asOrdered(before, data);
    store.keepOrder({ orderId, client_id, symbol_id, filled, average_price, status: event, ...asked });
    if (filled > (before?.filled ?? 0) && event.endsWith("fill")) store.tell("filled", orderId);
  },
};

/** What an order asks for: an update about a fill has the price and the quantity of the fill. */
function asOrdered(before, { event, price, quantity, filled, remaining }) {
  if (event === "accepted" || event === "replaced") return { price: before?.price === null ? null : price, quantity };
  return before ? {} : { price, quantity: filled + remaining };
}

function quote(store, symbol) {
  if (!store.quotes.has(symbol)) store.quotes.set(symbol, { last: null, mid: null, volume: 0 });
  return store.quotes.get(symbol);
}

export function midOf(book) {
  const [bid, ask] = [book?.bids[0], book?.asks[0]];
  return bid && ask ? (bid.price + ask.price) / 2 : null;
}

/** Keep the spread of the selected instrument over time. */
function observe(store, book) {
  const [bid, ask] = [book.bids[0], book.asks[0]];
  if (!bid || !ask) return;
  store.quality.push({ time: moment(book.timestamp), spread: ask.price - bid.price });
  if (store.quality.length > QUALITY) store.quality.shift();
}
