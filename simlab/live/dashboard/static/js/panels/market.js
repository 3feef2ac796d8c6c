/** The list of instruments, the quote of the selected one, and its charts. */

import { Candles, volatility } from "../candles.js";
import { byId, make, notify, rows, say, toggle } from "../dom.js";
import { CandleFigure, DepthFigure, LineFigure } from "../figures.js";
import { gain, number, percent, short } from "../format.js";

const NARROW = matchMedia("(max-width: 700px)");
const INTERVAL_KEY = "simlab.interval";

export class Market {
  constructor(store, painter) {
    this.store = store;
    this.candles = new Candles(store, () => this.drawCharts());
    this.#choices();
    this.#charts(painter);
    const list = painter.add(byId("instruments"), 1000, () => this.#list());
    const quote = painter.add(byId("quote"), 500, () => this.#quote());
    store.on("instruments orderbooks trades selected", () => { list(); quote(); });
    store.on("instruments", () => this.#options());
    store.on("selected", () => { this.#options(); this.reload(); });
  }

  /** Take candles and trades from history again: at the start, after a choice and after a gap. */
  async reload() {
    try {
      await this.candles.load();
    } catch (refused) {
      notify(`No candles: ${refused.message}`, "bad");
    }
  }

  #choices() {
    const interval = byId("interval");
    const kept = localStorage.getItem(INTERVAL_KEY);
    if (Array.from(interval.options).some((it) => it.value === kept)) interval.value = kept;
    this.candles.interval = Number(interval.value);
    interval.addEventListener("change", () => {
      localStorage.setItem(INTERVAL_KEY, interval.value);
      this.candles.interval = Number(interval.value);
      this.reload();
    });
    byId("symbol").addEventListener("change", (event) => this.store.select(Number(event.target.value)));
    byId("marks").addEventListener("change", () => this.drawCharts());
    byId("filter").addEventListener("input", () => this.#list());
  }

  #options() {
    const select = byId("symbol");
    const all = [...this.store.instruments.values()];
    rows(select, all, () => make("option"), (option, it) => {
      say(option, it.ticker);
      option.value = it.symbol_id;
    });
    select.value = this.store.selected ?? "";
  }

  #charts(painter) {
    const figures = {
      candles: new CandleFigure(byId("candles")),
      depth: new DepthFigure(byId("depth")),
      spread: new LineFigure(byId("spread"), "accent", { corners: true }),
      volatility: new LineFigure(byId("volatility"), "news", { percent: true }),
    };
    const name = () => this.store.instrument?.ticker ?? "the market";
    const draw = {
      candles: () => this.#drawCandles(figures.candles, name()),
      depth: () => figures.depth.draw({
        book: this.store.books.get(this.store.selected), name: name(), decimals: this.store.decimals(),
      }),
      spread: () => figures.spread.draw({
        points: this.store.quality.map((it) => ({ time: it.time, value: it.spread })), label: `Spread of ${name()}`,
      }),
      volatility: () => figures.volatility.draw({
        points: volatility(this.candles.bars.slice(-this.#most())), label: `Volatility of ${name()}`,
      }),
    };
    const every = { candles: 500, depth: 1000, spread: 1000, volatility: 2000 };
    const dirty = {};
    for (const [which, figure] of Object.entries(figures)) {
      dirty[which] = painter.add(byId(which), every[which], () => { if (figure.shown) draw[which](); });
      figure.show().then(() => { figure.shown = true; dirty[which](); });
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dirty[which]);
    }
    this.drawCharts = () => { dirty.candles(); dirty.volatility(); };
    this.store.on("orderbooks", ({ data }) => {
      if (String(this.store.selected) in data) { dirty.depth(); dirty.spread(); }
    });
    this.store.on("own fills", () => dirty.candles());
    this.store.on("selected", () => { for (const it of Object.values(dirty)) it(); });
  }

  #most() {
    return NARROW.matches ? 50 : 120;
  }

  #drawCandles(figure, name) {
    const { store, candles } = this;
    const here = (it) => it.symbol_id === store.selected;
    figure.draw({
      bars: candles.bars,
      marks: byId("marks").checked ? candles.marks : [],
      fills: store.fills.filter(here),
      orders: store.openOrders().filter((it) => here(it) && it.price !== null),
      interval: candles.interval,
      most: this.#most(),
      name,
      decimals: store.decimals(),
    });
    const bars = candles.bars.slice(-this.#most());
    say(byId("window"), bars.length ? `the latest ${bars.length} candles of ${candles.interval} s` : "no trades yet");
  }

  #quote() {
    const { store } = this;
    const it = store.instrument;
    if (!it) return;
    const quote = store.quotes.get(it.symbol_id) ?? {};
    const book = store.books.get(it.symbol_id);
    const last = quote.last ?? this.candles.bars.at(-1)?.close ?? quote.mid ?? it.initial_price;
    const change = last / it.initial_price - 1;
    const decimals = it.decimals;
    say(byId("last"), number(last, decimals));
    const changed = byId("change");
    say(changed, percent(change));
    changed.className = `change ${gain(change)}`;
    say(byId("bid"), number(book?.bids[0]?.price, decimals));
    say(byId("ask"), number(book?.asks[0]?.price, decimals));
    say(byId("about"), [it.description, it.industry].filter(Boolean).join(" \u00b7 "));
    document.title = `${number(last, decimals)} ${it.ticker} \u00b7 simlab`;
  }

  #list() {
    const { store } = this;
    const wanted = byId("filter").value.trim().toLowerCase();
    const all = [...store.instruments.values()].filter((it) => it.ticker.toLowerCase().includes(wanted));
    rows(byId("instruments"), all, () => this.#row(), (row, it) => {
      const quote = store.quotes.get(it.symbol_id) ?? {};
      const last = quote.last ?? quote.mid ?? it.initial_price;
      const change = last / it.initial_price - 1;
      row.dataset.symbol = it.symbol_id;
      const [ticker, price, moved, volume] = row.children;
      say(ticker.firstChild, it.ticker);
      say(price, number(last, it.decimals));
      say(moved, percent(change));
      moved.className = `number ${gain(change)}`;
      say(volume, short(quote.volume ?? 0));
      const chosen = it.symbol_id === store.selected;
      toggle(row, "chosen", chosen);
      ticker.firstChild.setAttribute("aria-pressed", String(chosen));
    });
  }

  #row() {
    const button = make("button", { className: "plain", type: "button" });
    const row = make("tr", {}, make("td", {}, button),
      ...Array.from({ length: 3 }, () => make("td", { className: "number" })));
    row.addEventListener("click", () => this.store.select(Number(row.dataset.symbol)));
    return row;
  }
}
