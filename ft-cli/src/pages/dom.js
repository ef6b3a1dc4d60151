// Elements and words that every page needs. Texts of a run enter a page by el() alone, which never parses markup.
"use strict";

/** An element with attributes (functions are listeners) and children (strings are texts). */
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** The page's data; nothing else is ever read. */
const PAGE = JSON.parse(document.getElementById("data").textContent);

const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Virtual time in the unit that keeps it short. */
function timeText(nanos) {
  const micros = Math.round(nanos / 1000);
  if (micros === 0) return "0";
  if (micros % 1e6 === 0) return `${micros / 1e6} s`;
  if (micros % 1e3 === 0) return `${micros / 1e3} ms`;
  return `${micros} µs`;
}

/** One sign for one byte. */
function glyph(byte) {
  if (byte === 0x20) return "␣";
  if (byte === 0x0a) return "↵";
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}

/** How a byte is told in words. */
function byteName(byte) {
  if (byte === 0x20) return "space";
  if (byte === 0x0a) return "line feed";
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `byte ${byte}`;
}

const byteAt = (hex, i) => parseInt(hex.substr(2 * i, 2), 16);

/** Bytes as signs, at most `most` of them. */
function bytesText(hex, from, to, most) {
  const known = Math.min(to, hex.length / 2, from + most);
  let text = "";
  for (let i = from; i < known; i++) text += glyph(byteAt(hex, i));
  return known < to ? `${text}…` : text;
}

/** Buttons and a slider that walk through steps 0 to `count`; `show` hears where. */
function player(count, show, options = {}) {
  let at = 0;
  const where = el("span", { class: "where" });
  const slider = el("input", {
    type: "range", min: 0, max: count, value: 0, "aria-label": options.label || "Step",
    input: () => go(Number(slider.value)),
    // The slider tells where it is while it has the focus: the sentence below it must not say so again.
    focus: () => options.ear?.setAttribute("aria-live", "off"),
    blur: () => options.ear?.setAttribute("aria-live", "polite"),
  });
  const button = (sign, label, to) => el("button", { type: "button", class: "icon", "aria-label": label, click: () => go(to()) }, sign);
  const first = button("|◀", "To the beginning", () => 0);
  const back = button("◀", "One step back", () => at - 1);
  const next = button("▶", "One step forward", () => at + 1);
  const last = button("▶|", "To the end", () => count);
  const ticks = el("div", { class: "ticks", "aria-hidden": "true" });
  for (const step of options.marks || []) ticks.append(el("i", { style: `left:${(100 * step) / count}%` }, "✂"));
  const node = el("div", { class: "player" }, first, back, next, last, el("div", { class: "track" }, slider, ticks), where);

  function go(to) {
    at = Math.max(0, Math.min(count, to));
    slider.value = at;
    where.textContent = `${at} of ${count}`;
    slider.setAttribute("aria-valuetext", options.say ? options.say(at) : `${at} of ${count}`);
    for (const [node, off] of [[first, at === 0], [back, at === 0], [next, at === count], [last, at === count]]) {
      // A button that has the focus must not lose it: it stays, and says that it does nothing.
      node.setAttribute("aria-disabled", String(off));
    }
    show(at);
  }

  /** Keys for a whole page or panel; the slider has its own. */
  function keys(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target instanceof Element && event.target.closest("input, select, textarea, .cut")) return;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: count }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  }
  return { node, go, keys, at: () => at };
}
