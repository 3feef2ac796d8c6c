/** The charts, drawn by BokehJS: candles, depth, spread and volatility. Colours are those of the style sheet. */

const { Bokeh } = window;
const NAMES = [
  "ink", "muted", "line", "panel", "bid", "ask", "bid-soft", "ask-soft", "fundamental", "news", "accent",
];
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Bokeh shows times as UTC: shift them to what the clock on the wall says. */
const local = (time) => time - 60000 * new Date(time).getTimezoneOffset();

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** A figure without tools, whose ranges are set by whoever draws into it. */
class Figure {
  constructor(target, { height, times = false, ticks = 5 }) {
    this.target = target;
    this.plot = new Bokeh.Plotting.Figure({
      height,
      sizing_mode: "stretch_width",
      toolbar_location: null,
      tools: [],
      x_axis_type: times ? "datetime" : "linear",
      y_axis_location: "right",
      x_range: new Bokeh.Range1d({ start: 0, end: 1 }),
      y_range: new Bokeh.Range1d({ start: 0, end: 1 }),
      min_border_left: 8,
      min_border_top: 6,
      lod_threshold: null,
    });
    for (const axis of this.plot.axes) {
      axis.setv({ minor_tick_line_color: null, major_label_policy: new Bokeh.NoOverlap({ min_distance: 8 }) });
    }
    this.plot.grid.grid_line_alpha = 0.6;
    if (times) {
      const [long, brief] = ["%H:%M:%S", "%H:%M"];
      this.plot.xaxis.formatter = new Bokeh.DatetimeTickFormatter({
        microseconds: long, milliseconds: long, seconds: long, minsec: long, minutes: brief, hourmin: brief, hours: brief,
      });
    }
    for (const ticker of this.plot.xaxes.map((axis) => axis.ticker)) ticker.desired_num_ticks = ticks;
  }

  /** A source of these columns, in which `set` puts one object a row. */
  source(...columns) {
    const source = new Bokeh.ColumnDataSource({ data: Object.fromEntries(columns.map((it) => [it, []])) });
    return {
      source,
      set: (items) => {
        source.data = Object.fromEntries(columns.map((column) => [column, items.map((item) => item[column])]));
      },
    };
  }

  async show() {
    this.dress();
    await Bokeh.Plotting.show(this.plot, this.target);
    unreachable(this.target);
    dark.addEventListener("change", () => this.dress());
  }

  /** Put on the colours that hold now. */
  dress() {
    const it = colours();
    this.colours = it;
    this.plot.setv({ background_fill_color: it.panel, border_fill_color: it.panel, outline_line_color: null });
    for (const axis of this.plot.axes) {
      axis.setv({
        axis_line_color: it.line,
        major_tick_line_color: it.line,
        major_label_text_color: it.muted,
        major_label_text_font_size: "11px",
      });
    }
    for (const grid of this.plot.grids) grid.grid_line_color = it.line;
  }

  tell(text) {
    this.target.setAttribute("aria-label", text);
  }
}

/** Take a figure out of the order of the Tab key: it is a picture, and its label says what it shows. */
function unreachable(root) {
  for (const node of root.querySelectorAll("*")) {
    if (node.tabIndex >= 0) node.tabIndex = -1;
    if (node.shadowRoot) unreachable(node.shadowRoot);
  }
}

/** Candles with volume below, trades as dots, one's own fills as triangles and resting orders as lines. */
export class CandleFigure extends Figure {
  constructor(target) {
    super(target, { height: 380, times: true });
    const { plot } = this;
    plot.extra_y_ranges = { volume: new Bokeh.Range1d({ start: 0, end: 1 }) };
    this.bars = this.source("x", "open", "high", "low", "close", "volume", "width", "line", "fill");
    this.dots = this.source("x", "price", "colour");
    this.fills = this.source("x", "price", "colour", "marker");
    this.own = this.source("price", "colour", "label", "x");
    const bars = { source: this.bars.source };
    plot.vbar({
      ...bars, x: { field: "x" }, top: { field: "volume" }, bottom: 0, width: { field: "width" },
      fill_color: { field: "line" }, line_color: null, fill_alpha: 0.25, y_range_name: "volume",
    });
    plot.segment({
      ...bars, x0: { field: "x" }, y0: { field: "low" }, x1: { field: "x" }, y1: { field: "high" },
      line_color: { field: "line" },
    });
    const bodies = plot.vbar({
      ...bars, x: { field: "x" }, top: { field: "open" }, bottom: { field: "close" }, width: { field: "width" },
      fill_color: { field: "fill" }, line_color: { field: "line" },
    });
    plot.scatter({
      source: this.dots.source, x: { field: "x" }, y: { field: "price" }, size: 3.5, marker: "circle",
      fill_color: { field: "colour" }, line_color: null, fill_alpha: 0.55,
    });
    plot.hspan({ field: "price" }, {
      source: this.own.source, line_color: { field: "colour" }, line_dash: "dashed",
      line_width: 1.5,
    });
    plot.text({
      source: this.own.source, x: { field: "x" }, y: { field: "price" }, text: { field: "label" }, x_offset: 4,
      text_color: { field: "colour" }, text_font_size: "11px", text_baseline: "bottom",
    });
    this.fillGlyphs = plot.scatter({
      source: this.fills.source, x: { field: "x" }, y: { field: "price" }, size: 11,
      marker: { field: "marker" }, fill_color: { field: "colour" }, line_width: 1.5,
    });
    plot.add_tools(new Bokeh.HoverTool({
      renderers: [bodies],
      mode: "vline",
      tooltips: [
        ["time", "@x{%H:%M:%S}"], ["open", "@open{0.[0000]}"], ["high", "@high{0.[0000]}"],
        ["low", "@low{0.[0000]}"], ["close", "@close{0.[0000]}"], ["volume", "@volume{0,0}"],
      ],
      formatters: { "@x": "datetime" },
    }));
  }

  dress() {
    super.dress();
    this.fillGlyphs.glyph.line_color = this.colours.ink;
  }

  /** Draw the latest `most` bars of `interval` seconds. */
  draw({ bars, marks, fills, orders, interval, most, name, decimals }) {
    const shown = bars.slice(-most);
    const width = 1000 * interval;
    const { colours: it } = this;
    this.bars.set(shown.map((bar) => {
      const rises = bar.close >= bar.open;
      const line = rises ? it.bid : it.ask;
      return { ...bar, x: local(bar.time) + width / 2, width: 0.7 * width, line, fill: rises ? it.panel : line };
    }));
    const first = shown.length ? shown[0].time : Date.now() - width * most;
    const end = shown.length ? Math.max(shown.at(-1).time + width, first + (width * most) / 4) : Date.now();
    const inside = (mark) => mark.time >= first;
    const side = (which) => (which.toLowerCase() === "buy" ? it.bid : it.ask);
    this.dots.set(marks.filter(inside).map((mark) => (
      { x: local(mark.time), price: mark.price, colour: side(mark.side) })));
    const seen = fills.filter(inside);
    this.fills.set(seen.map((fill) => ({
      x: local(fill.time), price: fill.price, colour: side(fill.side),
      marker: fill.side.toLowerCase() === "buy" ? "triangle" : "inverted_triangle",
    })));
    const low = Math.min(...shown.map((bar) => bar.low), ...seen.map((fill) => fill.price));
    const high = Math.max(...shown.map((bar) => bar.high), ...seen.map((fill) => fill.price));
    const reach = 3 * (high - low || high * 0.01);
    const near = orders.filter((order) => order.price > low - reach && order.price < high + reach);
    this.own.set(near.map((order) => ({
      price: order.price, colour: side(order.side), x: local(first),
      label: `${order.side.toLowerCase()} ${order.quantity - order.filled}`,
    })));
    if (shown.length === 0) return this.tell(`Candles of ${name}: no trades yet`);
    const prices = near.map((order) => order.price);
    this.plot.extra_y_ranges.volume.setv({ end: 5 * Math.max(1, ...shown.map((bar) => bar.volume)) });
    const [bottom, top] = [Math.min(low, ...prices), Math.max(high, ...prices)];
    const room = 0.08 * (top - bottom || 0.01 * top || 1);
    this.plot.x_range.setv({ start: local(first) - width / 2, end: local(end) + width });
    this.plot.y_range.setv({ start: bottom - room, end: top + room });
    this.tell(
      `Candles of ${name}: ${shown.length} of ${interval} s, last ${shown.at(-1).close.toFixed(decimals)}, lowest`
      + ` ${low.toFixed(decimals)}, highest ${high.toFixed(decimals)}`,
    );
  }
}

/** What rests in the book, added up from the best price outward. */
export class DepthFigure extends Figure {
  constructor(target) {
    super(target, { height: 170, ticks: 3 });
    this.sides = { bid: this.source("x", "y"), ask: this.source("x", "y") };
    this.glyphs = {};
    for (const [side, { source }] of Object.entries(this.sides)) {
      const place = { source, x: { field: "x" } };
      this.glyphs[side] = [
        this.plot.varea({ ...place, y1: 0, y2: { field: "y" } }),
        this.plot.line({ ...place, y: { field: "y" }, line_width: 2 }),
      ];
    }
  }

  dress() {
    super.dress();
    for (const [side, [area, line]] of Object.entries(this.glyphs)) {
      area.glyph.setv({ fill_color: this.colours[side], fill_alpha: 0.18 });
      line.glyph.setv({ line_color: this.colours[side] });
    }
  }

  draw({ book, name, decimals }) {
    const bids = summed(book?.bids ?? []);
    const asks = summed(book?.asks ?? []);
    this.sides.bid.set(stepped(bids));
    this.sides.ask.set(stepped(asks));
    const all = [...bids, ...asks];
    if (all.length === 0) return this.tell(`Depth of ${name}: nothing rests`);
    const prices = all.map((it) => it.x);
    this.plot.x_range.setv(apart(Math.min(...prices), Math.max(...prices)));
    this.plot.y_range.setv({ start: 0, end: 1.08 * Math.max(...all.map((it) => it.y)) });
    const side = (levels) => `${levels.at(-1)?.y ?? 0} from ${levels[0]?.x.toFixed(decimals) ?? "nowhere"} on`;
    this.tell(`Depth of ${name}: to buy ${side(bids)}, to sell ${side(asks)}`);
  }
}

function summed(levels) {
  let sum = 0;
  return levels.map((level) => ({ x: level.price, y: (sum += level.quantity) }));
}

/** What holds from each point to the next, as corners: Bokeh's own steps do not end where there are none. */
function stepped(points) {
  return points.flatMap((point, place) => (place ? [{ x: point.x, y: points[place - 1].y }, point] : [point]));
}

/** A range from one number to another, never empty: Bokeh looks for ticks in it. */
function apart(start, end) {
  return end > start ? { start, end } : { start: start - 1, end: end + 1 };
}

/** One line over time. */
export class LineFigure extends Figure {
  constructor(target, colour, { percent = false, corners = false } = {}) {
    super(target, { height: 170, times: true, ticks: 3 });
    this.colour = colour;
    this.percent = percent;
    this.points = this.source("x", "y");
    this.corners = corners;
    this.line = this.plot.line({
      source: this.points.source, x: { field: "x" }, y: { field: "y" }, line_width: 1.5,
    });
    if (percent) this.plot.yaxis.formatter = new Bokeh.NumeralTickFormatter({ format: "0.000%" });
  }

  dress() {
    super.dress();
    this.line.glyph.line_color = this.colours[this.colour];
  }

  draw({ points, label }) {
    const line = points.map(({ time, value }) => ({ x: local(time), y: value }));
    this.points.set(this.corners ? stepped(line) : line);
    if (line.length < 2) return this.tell(`${label}: not known yet`);
    const values = points.map((it) => it.value);
    const least = Math.min(0, ...values);
    this.plot.x_range.setv(apart(line[0].x, line.at(-1).x));
    this.plot.y_range.setv(apart(least, least + 1.08 * (Math.max(...values) - least)));
    const last = values.at(-1);
    this.tell(`${label}: ${this.percent ? `${(100 * last).toFixed(4)}%` : last.toPrecision(4)}`);
  }
}
