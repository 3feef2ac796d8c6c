/** The state of the connection and of all parts, the pace of the market, and the leaderboard: what is polled. */

import { get, listOf, post } from "../api.js";
import { byId, confirmed, make, notify, rows, say } from "../dom.js";
import { duration, gain, number, short, signed } from "../format.js";

const EVERY_MS = 2000;
const LEADERS = 10;

export class Engine {
  #paused = null;
  #killed = false;
  /** Counts what was asked of the pace, so that an answer from before is not taken for what holds now. */
  #acts = 0;

  constructor(store, painter, connection) {
    this.store = store;
    this.connection = connection;
    connection.addEventListener("state", () => this.#state());
    setInterval(() => this.#state(), 1000);
    byId("retry").addEventListener("click", () => connection.open());
    byId("pause").addEventListener("click", () => this.#ask(this.#paused ? "resume" : "pause"));
    byId("step").addEventListener("click", () => this.#ask("step"));
    byId("kill").addEventListener("click", () => this.#kill());
    byId("go-on").addEventListener("click", () => this.#goOn());
    byId("speed").addEventListener("change", (event) => this.#speed(event.target.value));
    setInterval(() => this.poll(), EVERY_MS);
    this.poll();
  }

  async poll() {
    if (document.hidden || this.connection.state !== "open") return;
    const some = (path) => get(path).catch(() => null);
    const acts = this.#acts;
    const [health, performance, leaders] = await Promise.all(
      ["/health", "/api/performance", `/api/leaderboard?limit=${LEADERS}`].map(some),
    );
    if (health) this.#health(health);
    if (performance) this.#performance(performance);
    if (performance && acts === this.#acts) this.#pace(performance);
    if (leaders) this.#leaders(listOf(leaders, "leaderboard"));
  }

  #state() {
    const { state, retryAt, reason } = this.connection;
    document.documentElement.dataset.connection = state;
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const words = { open: "Connected", connecting: "Connecting\u2026", waiting: "Disconnected", locked: "Locked" };
    say(byId("connection"), words[state]);
    byId("lost").hidden = state !== "waiting";
    if (state === "waiting") {
      say(byId("lost-reason"), `No connection: ${reason}`);
      say(byId("lost-when"), seconds > 0 ? `Next try in ${seconds} s.` : "Trying\u2026");
    }
    if (state !== "open") for (const it of ["engine", "gateway", "agents"]) this.#part(it, false, "unknown");
  }

  #health(health) {
    for (const part of ["engine", "gateway", "dashboard"]) {
      const { status = "unknown", pid } = health[part] ?? {};
      this.#part(part, ["ok", "healthy"].includes(status), pid ? `${status}, process ${pid}` : status);
    }
    const { count, connected } = health.agents ?? {};
    if (count !== undefined) this.#part("agents", connected > 0, `${number(connected)} of ${number(count)} connected`);
  }

  #part(part, good, text) {
    const item = byId(`part-${part}`);
    item.dataset.status = good ? "good" : "other";
    say(item.querySelector("dd"), text);
  }

  #performance(it) {
    const show = (id, text) => say(byId(id), text);
    show("orders-rate", number(it.orders_per_second, 1));
    show("trades-rate", number(it.trades_per_second, 1));
    show("total-orders", short(it.total_orders));
    show("total-trades", short(it.total_trades));
    show("total-volume", short(it.total_volume));
    show("queue", `${number(it.queue_usage_pct, 1)}%`);
    show("queue-full", `of ${number(it.queue_capacity)}, full ${number(it.queue_full_count)} times`);
    show("uptime", duration(it.uptime_seconds));
    if (it.step !== undefined) show("step-now", number(it.step));
    this.#latency(it.latency_ms);
  }

  #pace({ paused, steps_per_second: speed }) {
    if (paused !== undefined) this.#setPaused(paused);
    this.#showSpeed(speed);
  }

  #latency(legs) {
    const listed = Object.entries(legs ?? {}).filter(([, leg]) => leg?.p50 !== undefined && leg.p50 !== null);
    byId("latency-table").hidden = listed.length === 0;
    rows(byId("latency"), listed, () => make("tr", {}, make("th", { scope: "row" }),
      make("td", { className: "number" }), make("td", { className: "number" })), (row, [leg, it]) => {
      say(row.children[0], leg.replaceAll("_", " "));
      say(row.children[1], number(it.p50, 2));
      say(row.children[2], number(it.p99, 2));
    });
  }

  #leaders(leaders) {
    const most = Math.max(1, ...leaders.map((it) => Math.abs(it.pnl)));
    byId("no-leaders").hidden = leaders.length > 0;
    rows(byId("leaders"), leaders, () => make("li", {}, make("span", { className: "name" }),
      make("span", { className: "gauge" }, make("span")), make("span", { className: "number" })), (item, it) => {
      const [name, gauge, pnl] = item.children;
      say(name, it.name ?? it.agent_name ?? it.agent_id);
      gauge.firstChild.style.transform = `scaleX(${Math.abs(it.pnl) / most})`;
      say(pnl, signed(it.pnl));
      item.className = gain(it.pnl);
    });
  }

  #setPaused(paused) {
    if (this.#paused && !paused) this.#killed = false;
    this.#paused = paused;
    say(byId("pause"), paused ? "Resume" : "Pause");
    byId("step").disabled = !paused;
    byId("halted").hidden = !paused;
    byId("kill").disabled = paused;
    say(byId("halted-text"), this.#killed ? "Stopped by the kill switch: no step runs until you go on." : "Paused.");
  }

  #showSpeed(speed) {
    const select = byId("speed");
    if (speed === undefined || document.activeElement === select) return;
    const value = String(speed);
    if (!Array.from(select.options).some((it) => it.value === value)) {
      select.append(make("option", { value, textContent: `${value} steps/s` }));
    }
    select.value = value;
  }

  async #ask(what, body = {}) {
    this.#acts += 1;
    try {
      await post(`/api/market/${what}`, body);
      if (what === "pause" || what === "resume") this.#setPaused(what === "pause");
      this.poll();
      return true;
    } catch (refused) {
      notify(`The market did not take it: ${refused.message}`, "bad");
      return false;
    }
  }

  async #speed(value) {
    await this.#ask("speed", { steps_per_second: value === "max" ? value : Number(value) });
  }

  /** Stop at once, unasked; going on is what is asked about. */
  async #kill() {
    this.#killed = true;
    if (!(await this.#ask("pause"))) this.#killed = false;
    else byId("go-on").focus();
  }

  async #goOn() {
    if (this.#killed) {
      say(byId("question-text"), "The market was stopped by the kill switch. Let it go on?");
      say(byId("question-yes"), "Go on");
      if (!(await confirmed(byId("question")))) return;
    }
    await this.#ask("resume");
  }
}
