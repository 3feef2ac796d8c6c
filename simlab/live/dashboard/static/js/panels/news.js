/** The news feed, and the form that publishes. */

import { post } from "../api.js";
import { byId, make, notify, rows, say } from "../dom.js";
import { moment, signed, time } from "../format.js";

const SHOWN = 30;

export class News {
  constructor(store, painter) {
    this.store = store;
    const draw = painter.add(byId("news"), 250, () => this.#draw());
    store.on("news news_history", draw);
    store.on("instruments", () => this.#options());
    byId("publish").addEventListener("submit", (event) => this.#publish(event));
    const { sentiment } = byId("publish").elements;
    sentiment.addEventListener("input", () => say(byId("sentiment-now"), signed(Number(sentiment.value), 1)));
  }

  #options() {
    const select = byId("publish").elements.instrument_id;
    const all = [{ symbol_id: "", ticker: "the market" }, ...this.store.instruments.values()];
    const chosen = select.value;
    rows(select, all, () => make("option"), (option, it) => {
      say(option, it.ticker);
      option.value = it.symbol_id;
    });
    select.value = chosen;
  }

  #draw() {
    byId("no-news").hidden = this.store.news.length > 0;
    rows(byId("news"), this.store.news.slice(0, SHOWN), () => make("li", {},
      make("div", { className: "headline" }), make("p"), make("div", { className: "muted meta" })), (item, it) => {
      const [headline, content, meta] = item.children;
      say(headline, it.headline);
      say(content, it.content ?? "");
      content.hidden = !it.content;
      const parts = [time(moment(it.created_at)), it.source];
      if (it.instrument_id) parts.push(this.store.ticker(it.instrument_id));
      if (typeof it.sentiment === "number" && it.sentiment !== 0) parts.push(`sentiment ${signed(it.sentiment, 1)}`);
      say(meta, parts.filter(Boolean).join(" \u00b7 "));
      item.className = it.sentiment > 0 ? "good" : it.sentiment < 0 ? "bad" : "";
    });
  }

  async #publish(event) {
    event.preventDefault();
    const form = event.target;
    const { headline, content, sentiment, instrument_id: instrument } = form.elements;
    const news = { headline: headline.value.trim(), source: "dashboard", sentiment: Number(sentiment.value) };
    if (content.value.trim()) news.content = content.value.trim();
    if (instrument.value) news.instrument_id = Number(instrument.value);
    try {
      await post("/api/news", news);
      form.reset();
      say(byId("sentiment-now"), signed(0, 1));
      notify("Published.", "good");
    } catch (refused) {
      notify(`Not published: ${refused.message}`, "bad");
    }
  }
}
