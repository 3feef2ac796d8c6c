/** All agents with their P&L: sorted, filtered, and only the rows that are seen exist. */

import { get, listOf } from "../api.js";
import { byId, make, rows, say } from "../dom.js";
import { gain, moment, number, short, sideOf, signed, time } from "../format.js";
import { fillPositions } from "./ticket.js";

const ROW = 30;
const SPARE = 4;
const MOST = 30;
const AGAIN_MS = 2000;
/** Puts noise/2 before noise/10. */
const alphabet = new Intl.Collator("en", { numeric: true });
/** Stands for those who connect, of no population inside the market, in the choice of populations: no name has a space. */
const CLIENTS = " clients";

export class Agents {
  #sort = "pnl";
  #down = true;
  #shown = [];
  /** Whose row has, or had last, the focus. */
  #at = null;

  constructor(store, painter) {
    this.store = store;
    this.view = byId("agents-view");
    this.body = byId("agents");
    const draw = painter.add(this.view, 1000, () => this.#refresh());
    store.on("agents", draw);
    this.view.addEventListener("scroll", () => requestAnimationFrame(() => this.#draw()), { passive: true });
    this.body.addEventListener("keydown", (event) => this.#move(event));
    this.body.addEventListener("focusin", (event) => { this.#at = event.target.closest("tr").dataset.agent; });
    byId("agents-filter").addEventListener("input", () => this.#refresh());
    byId("agents-population").addEventListener("change", () => {
      this.view.scrollTop = 0;
      this.#refresh();
    });
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
    this.#offer(all);
    const population = byId("agents-population").value;
    const matches = (it) => `${it.name} ${it.personality}`.toLowerCase().includes(wanted)
      && (population === "" || population === (it.population ?? CLIENTS));
    this.#shown = all.filter(matches);
    const key = this.#sort;
    const sign = this.#down ? -1 : 1;
    const compare = key === "name" || key === "personality"
      ? (a, b) => alphabet.compare(a[key], b[key])
      : (a, b) => a[key] - b[key];
    this.#shown.sort((a, b) => sign * compare(a, b));
    const count = this.store.agentCount;
    const rule = count > all.length && population !== CLIENTS ? ", the best and the worst of each population" : "";
    say(byId("agents-count"), `${number(this.#shown.length)} of ${number(count)}${rule}`);
    this.#draw();
  }

  /** Offer the populations that there are, and clients beside them. */
  #offer(all) {
    const names = [...new Set(all.map((it) => it.population ?? CLIENTS))].sort();
    const choice = byId("agents-population");
    const offered = [...choice.options].slice(1).map((it) => it.value);
    choice.hidden = names.length < 2;
    if (names.join() === offered.join()) return;
    const before = choice.value;
    const options = names.map((it) => make("option", { value: it, textContent: it === CLIENTS ? "Clients" : it }));
    choice.replaceChildren(choice.options[0], ...options);
    choice.value = names.includes(before) ? before : "";
  }

  #draw() {
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW) - SPARE);
    const leave = (rows) => {
      byId("agents-below").style.height = `${Math.max(0, this.#shown.length - first - rows) * ROW}px`;
    };
    byId("agents-above").style.height = `${first * ROW}px`;
    leave(this.body.children.length); // so that the view is as high as it will be
    const count = Math.ceil(this.view.clientHeight / ROW) + 2 * SPARE;
    const some = this.#shown.slice(first, first + count);
    leave(some.length);
    byId("agents-table").setAttribute("aria-rowcount", this.#shown.length + 1);
    const held = this.body.contains(document.activeElement);
    rows(this.body, some, () => this.#row(), (row, agent, place) => this.#fill(row, agent, first + place));
    const seen = this.body.children[Math.min(first === 0 ? 0 : SPARE, some.length - 1)];
    const own = [...this.body.children].find((row) => row.dataset.agent === this.#at);
    const stop = own ?? seen;
    for (const row of this.body.children) row.querySelector("button").tabIndex = row === stop ? 0 : -1;
    if (held) (own?.querySelector("button") ?? this.view).focus({ preventScroll: true });
  }

  /** Go from agent to agent by the keys: the whole list is one stop of the Tab key, and rows that are not seen are none. */
  #move(event) {
    const at = this.#shown.findIndex((it) => it.agent_id === this.#at);
    const last = this.#shown.length - 1;
    const asked = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (asked === undefined || last < 0) return;
    event.preventDefault();
    const place = Math.min(last, Math.max(0, asked));
    this.#at = this.#shown[place].agent_id;
    const { scrollTop, clientHeight } = this.view;
    const head = byId("agents-head").offsetHeight;
    const [least, most] = [(place + 1) * ROW + head - clientHeight, place * ROW];
    this.view.scrollTop = Math.min(most, Math.max(least, scrollTop));
    this.#draw();
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
