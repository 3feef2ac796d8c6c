/** All agents with their P&L: sorted, filtered, and only the rows that are seen exist. */

import { get, listOf } from "../api.js";
import { byId, make, rows, say } from "../dom.js";
import { gain, moment, number, short, sideOf, signed, time } from "../format.js";
import { fillPositions } from "./ticket.js";

const ROW = 30;
const SPARE = 4;
const MOST = 30;
const AGAIN_MS = 2000;

export class Agents {
  #sort = "pnl";
  #down = true;
  #shown = [];

  constructor(store, painter) {
    this.store = store;
    this.view = byId("agents-view");
    this.body = byId("agents");
    const draw = painter.add(this.view, 1000, () => this.#refresh());
    store.on("agents", draw);
    this.view.addEventListener("scroll", () => requestAnimationFrame(() => this.#draw()), { passive: true });
    byId("agents-filter").addEventListener("input", () => this.#refresh());
    for (const button of byId("agents-head").querySelectorAll("button")) {
      button.addEventListener("click", () => this.#by(button.dataset.key));
    }
    this.details = new Details(store);
  }

  #by(key) {
    this.#down = this.#sort === key ? !this.#down : key !== "name";
    this.#sort = key;
    for (const button of byId("agents-head").querySelectorAll("button")) {
      const order = this.#down ? "descending" : "ascending";
      button.closest("th").setAttribute("aria-sort", button.dataset.key === key ? order : "none");
    }
    this.view.scrollTop = 0;
    this.#refresh();
  }

  #refresh() {
    const wanted = byId("agents-filter").value.trim().toLowerCase();
    const all = this.store.latestAgents();
    const matches = (it) => `${it.name} ${it.personality}`.toLowerCase().includes(wanted);
    this.#shown = wanted ? all.filter(matches) : [...all];
    const key = this.#sort;
    const sign = this.#down ? -1 : 1;
    const compare = key === "name" || key === "personality"
      ? (a, b) => String(a[key]).localeCompare(String(b[key]))
      : (a, b) => a[key] - b[key];
    this.#shown.sort((a, b) => sign * compare(a, b));
    say(byId("agents-count"), `${number(this.#shown.length)} of ${number(all.length)}`);
    this.#draw();
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW) - SPARE);
    const count = Math.ceil(this.view.clientHeight / ROW) + 2 * SPARE;
    const some = this.#shown.slice(first, first + count);
    byId("agents-above").style.height = `${first * ROW}px`;
    byId("agents-below").style.height = `${Math.max(0, this.#shown.length - first - some.length) * ROW}px`;
    byId("agents-table").setAttribute("aria-rowcount", this.#shown.length + 1);
    rows(this.body, some, () => this.#row(), (row, agent, place) => this.#fill(row, agent, first + place));
  }

  #row() {
    const button = make("button", { type: "button", className: "plain name" });
    const canvas = make("canvas", { width: 168, height: 40, "aria-hidden": "true" });
    const row = make("tr", {}, make("td", {}, button), make("td", { className: "wide muted" }),
      make("td", { className: "number" }), make("td", { className: "spark" }, canvas),
      make("td", { className: "number" }), make("td", { className: "number wide" }), make("td", { className: "wide" }));
    row.addEventListener("click", () => this.details.open(row.dataset.agent));
    return row;
  }

  #fill(row, agent, place) {
    const [name, kind, pnl, line, value, cash, state] = row.children;
    row.dataset.agent = agent.agent_id;
    row.setAttribute("aria-rowindex", place + 2);
    say(name.firstChild, agent.name);
    say(kind, agent.personality);
    say(pnl, signed(agent.pnl));
    pnl.className = `number ${gain(agent.pnl)}`;
    say(value, number(agent.total_value, 0));
    say(cash, number(agent.cash, 0));
    say(state, agent.connected === false ? "away" : "here");
    spark(line.firstChild, this.store.history.get(agent.agent_id) ?? []);
  }
}

/** Draw a line of values into a canvas from the least to the greatest, with zero as a faint line where it is between. */
function spark(canvas, values) {
  const key = `${values.length}:${values.at(-1)}:${values[0]}`;
  if (canvas.dataset.key === key) return;
  canvas.dataset.key = key;
  const { width, height } = canvas;
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, width, height);
  if (values.length < 2) return;
  const low = Math.min(...values);
  const high = Math.max(...values);
  const y = (value) => 4 + (height - 8) * (1 - (value - low) / (high - low || 1));
  const style = getComputedStyle(canvas);
  if (low < 0 && high > 0) {
    pen.lineWidth = 1;
    pen.strokeStyle = style.getPropertyValue("--muted");
    pen.beginPath();
    pen.moveTo(0, y(0));
    pen.lineTo(width, y(0));
    pen.stroke();
  }
  pen.lineWidth = 2.5;
  pen.strokeStyle = style.getPropertyValue(values.at(-1) >= 0 ? "--bid" : "--ask");
  pen.beginPath();
  values.forEach((value, place) => pen.lineTo((place * (width - 4)) / (values.length - 1) + 2, y(value)));
  pen.stroke();
}

/** One agent in a dialog, kept up to date while it is open: portfolio, orders, trades, decisions with reasons. */
class Details {
  #shown = null;
  #timer = null;

  constructor(store) {
    this.store = store;
    this.dialog = byId("agent");
    this.dialog.addEventListener("close", () => this.#close());
  }

  open(id) {
    const agent = this.store.agents.find((it) => it.agent_id === id);
    say(byId("agent-name"), agent?.name ?? id);
    say(byId("agent-kind"), agent?.personality ?? "");
    for (const part of ["positions", "orders", "trades", "decisions"]) byId(`agent-${part}`).replaceChildren();
    this.#money(agent);
    say(byId("agent-note"), "Reading\u2026");
    this.#shown = id;
    this.dialog.showModal();
    this.#read();
  }

  #close() {
    this.#shown = null;
    clearTimeout(this.#timer);
  }

  async #read() {
    const id = this.#shown;
    const path = `/api/agents/${encodeURIComponent(id)}`;
    const parts = ["portfolio", "orders", `trades?limit=${MOST}`, `decisions?limit=${MOST}`];
    const read = await Promise.all(parts.map((part) => get(`${path}/${part}`))).catch((refused) => refused);
    if (this.#shown !== id) return;
    say(byId("agent-note"), read instanceof Error ? read.message : "");
    if (!(read instanceof Error)) this.#show(id, ...read);
    this.#timer = setTimeout(() => this.#read(), AGAIN_MS);
  }

  #show(id, portfolio, orders, trades, decisions) {
    this.#money(portfolio);
    const held = Object.values(portfolio.positions).filter((it) => it.quantity !== 0);
    fillPositions(byId("agent-positions"), held, this.store);
    this.#orders(listOf(orders, "orders"));
    this.#trades(listOf(trades, "trades"), id);
    this.#decisions(listOf(decisions, "decisions"));
  }

  #money(it) {
    say(byId("agent-cash"), number(it?.cash, 2));
    say(byId("agent-value"), number(it?.total_value, 2));
    const pnl = byId("agent-pnl");
    say(pnl, signed(it?.pnl));
    pnl.className = gain(it?.pnl);
  }

  #orders(orders) {
    rows(byId("agent-orders"), orders.slice(-MOST).reverse(), () => cells("", "", "number", "number", ""), (row, it) => {
      const texts = [this.store.ticker(it.symbol_id), it.side?.toLowerCase(),
        it.price === null ? "market" : number(it.price, this.store.decimals(it.symbol_id)),
        `${number(it.filled)} of ${number(it.quantity)}`, it.status];
      texts.forEach((text, place) => say(row.children[place], text ?? ""));
    });
  }

  #trades(trades, agent) {
    const latest = [...trades].sort((a, b) => b.sequence - a.sequence);
    rows(byId("agent-trades"), latest, () => cells("", "", "", "number", "number"), (row, it) => {
      const texts = [time(moment(it.timestamp)), this.store.ticker(it.symbol_id), sideOf(it, agent),
        number(it.price, this.store.decimals(it.symbol_id)), short(it.quantity)];
      texts.forEach((text, place) => say(row.children[place], text));
    });
  }

  #decisions(decisions) {
    byId("agent-no-decisions").hidden = decisions.length > 0;
    const latest = [...decisions].reverse();
    rows(byId("agent-decisions"), latest, () => make("li", {}, make("div", { className: "headline" }), make("p"),
      make("div", { className: "muted meta" })), (item, it) => {
      const [action, reason, meta] = item.children;
      say(action, it.action);
      say(reason, it.reason);
      reason.hidden = !it.reason;
      const parts = [`step ${number(it.step)}`, time(moment(it.timestamp)), it.strategy];
      if (it.order_ids.length > 0) parts.push(`order ${it.order_ids.join(", ")}`);
      say(meta, parts.filter(Boolean).join(" \u00b7 "));
    });
  }
}

const cells = (...classes) => make("tr", {}, ...classes.map((className) => make("td", { className })));
