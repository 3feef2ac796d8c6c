/** Candles of one instrument: first from history over REST, then kept up with the trades that come. */

import { get, listOf } from "./api.js";
import { moment } from "./format.js";

export const MOST = 240;

export class Candles {
  interval = 5;
  bars = [];
  marks = [];
  #asked = 0;

  constructor(store, changed) {
    this.store = store;
    this.changed = changed;
    store.on("tape", (trades) => trades?.forEach((trade) => this.#add(trade)));
  }

  /** Fetch what was before; what an earlier call still brings is thrown away. */
  async load() {
    const asked = ++this.#asked;
    const symbol = this.store.selected;
    this.bars = [];
    this.marks = [];
    if (symbol === null) return;
    const path = `/api/instruments/${symbol}`;
    const [bars, trades] = await Promise.all([
      get(`${path}/candles?interval=${this.interval}&limit=${MOST}`),
      get(`${path}/trades?limit=60`),
    ]);
    if (asked !== this.#asked) return;
    const past = listOf(trades, "trades").sort((a, b) => a.sequence - b.sequence);
    this.bars = listOf(bars, "candles").map(barOf).sort((a, b) => a.time - b.time).slice(-MOST);
    this.marks = past.map(markOf);
    this.store.pastTrades(past);
    this.changed();
  }

  #add(trade) {
    const at = moment(trade.timestamp);
    const width = 1000 * this.interval;
    const start = Math.floor(at / width) * width;
    const last = this.bars.at(-1);
    if (last && start < last.time) return;
    if (last && start === last.time) {
      last.high = Math.max(last.high, trade.price);
      last.low = Math.min(last.low, trade.price);
      last.close = trade.price;
      last.volume += trade.quantity;
    } else {
      const { price, quantity } = trade;
      this.bars.push({ time: start, open: price, high: price, low: price, close: price, volume: quantity });
      if (this.bars.length > MOST) this.bars.shift();
    }
    this.marks.push(markOf(trade));
    if (this.marks.length > MOST) this.marks.shift();
    this.changed();
  }
}

const markOf = (trade) => ({ time: moment(trade.timestamp), price: trade.price, side: trade.aggressor_side });

function barOf(candle) {
  const [timestamp, open, high, low, close, volume] = Array.isArray(candle)
    ? candle
    : [candle.timestamp ?? candle.time, candle.open, candle.high, candle.low, candle.close, candle.volume];
  return { time: moment(timestamp), open, high, low, close, volume };
}

/**
 * Volatility at each candle: the standard deviation of the relative change from one close to the next, over the latest
 * `window` changes, with n in the denominator (as in the summary of a run, by candle instead of by step).
 */
export function volatility(bars, window = 20) {
  const changes = bars.slice(1).map((bar, place) => bar.close / bars[place].close - 1);
  const line = [];
  for (let end = 2; end <= changes.length; end += 1) {
    const some = changes.slice(Math.max(0, end - window), end);
    const mean = some.reduce((sum, it) => sum + it, 0) / some.length;
    const square = some.reduce((sum, it) => sum + (it - mean) ** 2, 0) / some.length;
    line.push({ time: bars[end].time, value: Math.sqrt(square) });
  }
  return line;
}
