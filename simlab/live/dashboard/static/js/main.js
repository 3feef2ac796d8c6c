/** Puts the page together: what is known, how it comes, and the panels that show it. */

import { post } from "./api.js";
import { Connection } from "./connection.js";
import { byId, say } from "./dom.js";
import { Painter } from "./painter.js";
import { Agents } from "./panels/agents.js";
import { Book } from "./panels/book.js";
import { Create } from "./panels/create.js";
import { Engine } from "./panels/engine.js";
import { Market } from "./panels/market.js";
import { News } from "./panels/news.js";
import { Ticket } from "./panels/ticket.js";
import { Store } from "./store.js";
import { Trader } from "./trader.js";

/** How often the gateway pushes: what is drawn has its own intervals. */
const PUSHED_MS = 250;

const store = new Store();
const connection = new Connection();
const painter = new Painter();
const trader = new Trader(store, connection);
const market = new Market(store, painter);
const ticket = new Ticket(store, painter, trader);
new Book(store, painter, (side, price) => ticket.fill(side, price));
new Agents(store, painter);
new News(store, painter);
new Create();
const engine = new Engine(store, painter, connection);

connection.addEventListener("message", (event) => store.take(event.data));
connection.addEventListener("state", () => {
  if (connection.state === "locked") unlock();
  if (connection.state !== "open") return;
  connection.send({
    type: "subscribe", channels: ["orderbooks", "trades", "news", "agents", "orders"], interval_ms: PUSHED_MS,
  });
  engine.poll();
  if (store.selected !== null) market.reload();
});
connection.open();

/** A page that a browser keeps for the Back button does not hold an agent. */
addEventListener("pagehide", () => connection.close());
addEventListener("pageshow", (event) => { if (event.persisted) connection.open(); });

/** Ask for the token: the server keeps it as a cookie that no script reads. */
function unlock() {
  const dialog = byId("unlock");
  if (!dialog.open) dialog.showModal();
}

byId("unlock-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { token } = event.target.elements;
  try {
    await post("/login", { token: token.value });
    token.value = "";
    byId("unlock").close();
    connection.open();
  } catch (refused) {
    say(byId("unlock-problem"), refused.message);
  }
});

/** For whoever watches the page from outside, a test above all. */
document.documentElement.dataset.ready = "true";
