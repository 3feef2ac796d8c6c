/** Numbers and times as people read them. */

const NONE = "\u2013";
const formats = new Map();

function format(decimals, sign) {
  const key = `${decimals}${sign}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat("en", {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
      signDisplay: sign ? "exceptZero" : "negative",
    }));
  }
  return formats.get(key);
}

const known = (value) => value !== null && value !== undefined && Number.isFinite(Number(value));

export function number(value, decimals = 0) {
  return known(value) ? format(decimals, false).format(value) : NONE;
}

export function signed(value, decimals = 2) {
  return known(value) ? format(decimals, true).format(value) : NONE;
}

export function percent(value, decimals = 2) {
  return known(value) ? `${signed(100 * value, decimals)}%` : NONE;
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function short(value) {
  if (!known(value)) return NONE;
  return Math.abs(value) < 10000 ? number(value) : compact.format(value);
}

/** Decimals that a tick needs: 0.05 needs two. */
export function decimalsOf(tick) {
  const text = Number(tick).toFixed(10).replace(/0+$/, "");
  return Math.max(0, text.length - text.indexOf(".") - 1);
}

/** A moment on the wire, ISO 8601 or seconds, as milliseconds since 1970. */
export function moment(value) {
  if (typeof value === "number") return value > 1e12 ? value : 1000 * value;
  const parsed = Date.parse(value);
  return Number.isNaN(parsed) ? Date.now() : parsed;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const time = (milliseconds) => clock.format(milliseconds);

export function duration(seconds) {
  if (!known(seconds)) return NONE;
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

export const gain = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");

/** Which side of a trade an agent was on: the taker has the aggressor's. */
export function sideOf(trade, agent) {
  const took = trade.taker_agent === agent;
  return took === (trade.aggressor_side === "buy") ? "buy" : "sell";
}
