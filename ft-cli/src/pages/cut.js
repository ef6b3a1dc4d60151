// The cut explorer: one cut, dragged along the bytes, for several programs at once. Nothing is worked out here: every
// outcome is that of a run, looked up.
"use strict";

/** By word: sign and meaning. */
const MARKS = Object.fromEntries(PAGE.marks.map(([word, ...rest]) => [word, rest]));

/** Most bytes that are drawn one by one. */
const LETTERED = 64;

const stripOf = (map, dir) => map.cuts.strips.find((strip) => strip.dir === dir);
const bytesOf = (strip) => strip.hex.length / 2;
const rowOf = (strip, fault) => strip.rows.find((row) => row.fault === fault);

/** A text with its numbers. */
function numbered([text, ...numbers]) {
  let next = 0;
  return PAGE.texts[text].replace(/\u0001/g, () => numbers[next++]);
}

/** The ending of a cut; nothing if the program writes less, or the cut cannot be there. */
function endingOf(map, dir, fault, at) {
  const run = rowOf(stripOf(map, dir), fault).runs.find(([from, n]) => at >= from && at < from + n);
  if (!run) return null;
  const [mark, ...said] = map.cuts.endings[run[2]];
  const [client, server, files] = said.map(numbered);
  return { mark, client, server, files };
}

function markNode(mark) {
  return el("span", { class: `mark ${mark}` }, el("b", {}, MARKS[mark][0]), mark);
}

/** Where a cut is, in words. */
function placeText(map, dir, at) {
  const { hex } = stripOf(map, dir);
  const total = hex.length / 2;
  if (at > total) return "behind everything that is written";
  const before = at > 0 ? `after “${byteName(byteAt(hex, at - 1))}”` : "before the first byte";
  return at < total ? `${before}${at > 0 ? `, before “${byteName(byteAt(hex, at))}”` : ""}` : `${before}, the last byte`;
}

/** Bytes one by one, with the mark of a cut in front of each. */
function lettered(strip, cells, pick) {
  const total = bytesOf(strip);
  const nodes = [];
  for (let at = 0; at <= total; at++) {
    const ending = cells(at);
    const byte = at < total ? glyph(byteAt(strip.hex, at)) : "";
    nodes.push(el("span", { class: `at${strip.writes.includes(at) ? " send" : ""}`, "data-at": at },
      el("span", { class: "byte" }, byte),
      el("span", { class: `mark ${ending ? ending.mark : "none"}` }, ending ? MARKS[ending.mark][0] : "")));
  }
  const node = el("div", { class: "ribbon", "aria-hidden": "true" }, nodes);
  dragged(node, (event) => {
    const under = document.elementFromPoint(event.clientX, event.clientY);
    const target = under && node.contains(under) ? under.closest("[data-at]") : null;
    if (target) pick(Number(target.dataset.at));
  });
  return { node, show: (at) => nodes.forEach((cell, i) => cell.classList.toggle("here", i === at)) };
}

/** A long strip to scale: stretches of one mark, and where the cut is. */
function scaled(strip, row, endings, pick) {
  const places = bytesOf(strip) + 1;
  const caret = el("i", { class: "caret" });
  const stretches = [];
  for (const [from, n, ending] of row.runs) {
    const [mark] = endings[ending];
    const last = stretches[stretches.length - 1];
    if (last && last.mark === mark) last.n += n;
    else stretches.push({ mark, from, n });
  }
  const node = el("div", { class: "ribbon long", "aria-hidden": "true" },
    strip.frames.map(({ from, to, label }) => el("span", { class: "frame", style: `left:${(100 * from) / places}%;width:${(100 * (to - from)) / places}%` },
      (to - from) / places > 0.09 ? label : "")),
    stretches.map(({ mark, from, n }) => el("span", { class: `mark ${mark}`, style: `left:${(100 * from) / places}%;width:${(100 * n) / places}%` },
      n / places > 0.03 ? MARKS[mark][0] : "")),
    caret);
  dragged(node, (event) => {
    const { left, width } = node.getBoundingClientRect();
    pick(Math.max(0, Math.min(places - 1, Math.floor(((event.clientX - left) / width) * places))));
  });
  return {
    node,
    show: (at) => { caret.style.left = `${(100 * Math.min(at + 0.5, places)) / places}%`; caret.hidden = at >= places; },
  };
}

/** Calls back while a pointer is down on an element. */
function dragged(node, move) {
  let down = false;
  node.addEventListener("pointerdown", (event) => {
    down = true;
    node.setPointerCapture?.(event.pointerId);
    move(event);
  });
  node.addEventListener("pointermove", (event) => { if (down) move(event); });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) node.addEventListener(name, () => { down = false; });
}

/** The explorer's element. */
function cutter({ maps: named, begin }, id) {
  const maps = named.map((map) => ({ ...map, cuts: PAGE.maps[map.map] }));
  let [dir, fault, at] = begin;
  const node = el("div", { class: "cut" });
  const slider = el("input", { type: "range", min: 0, id: `${id}-at`, input: () => go(Number(slider.value)) });
  const kinds = el("select", { id: `${id}-kind`, change: () => { fault = kinds.value; draw(); } },
    rowsOf(maps).map((name) => el("option", { value: name, selected: name === fault }, name)));
  const ways = el("select", { id: `${id}-way`, change: () => { dir = ways.value; draw(); } },
    [["c2s", "client → server"], ["s2c", "client ← server"]].map(([value, name]) => el("option", { value, selected: value === dir }, name)));
  const ear = el("p", { class: "hidden", "aria-live": "polite" });
  const place = el("span", { class: "place-text" });
  const programs = maps.map((map) => ({ map, strip: el("div"), card: el("div", { class: "card" }), ribbon: null }));
  node.append(
    el("div", { class: "choose" },
      el("label", { for: `${id}-kind` }, "Kind of cut ", kinds), el("label", { for: `${id}-way` }, "Direction ", ways)),
    el("label", { for: `${id}-at`, class: "slide" }, "Drag the cut ", place), slider,
    el("div", { class: "programs" }, programs.map(({ map, strip, card }) =>
      el("section", { class: "program" }, el("h4", {}, map.title, " ", map.title === map.cuts.case ? "" : el("small", {}, map.cuts.case)), strip, card))),
    ear,
    el("p", { class: "soft" }, "Under each byte: what becomes of the file if the cut comes before it. ",
      Object.entries(MARKS).map(([mark, [, means]]) => [el("span", { class: "key" }, markNode(mark), ` ${means}`), " "])),
    el("details", {}, el("summary", {}, "The same in a terminal"), maps.map((map) => el("p", {}, el("code", {}, map.command)))));

  function rowsOf(all) {
    return stripOf(all[0], "c2s").rows.map((row) => row.fault);
  }

  /** Draws the strips anew: direction or kind have changed. */
  function draw() {
    slider.max = Math.max(...maps.map((map) => bytesOf(stripOf(map, dir))));
    for (const program of programs) {
      const strip = stripOf(program.map, dir);
      const cells = (i) => endingOf(program.map, dir, fault, i);
      program.ribbon = bytesOf(strip) <= LETTERED ? lettered(strip, cells, go) : scaled(strip, rowOf(strip, fault), program.map.cuts.endings, go);
      program.strip.replaceChildren(program.ribbon.node);
    }
    go(at);
  }

  function go(to) {
    at = Math.max(0, Math.min(Number(slider.max), to));
    slider.value = at;
    const words = [];
    for (const { map, card, ribbon } of programs) {
      const ending = endingOf(map, dir, fault, at);
      ribbon.show(at);
      card.dataset.mark = ending ? ending.mark : "none";
      card.dataset.case = map.cuts.case;
      words.push(`${map.title}: ${ending ? `${ending.mark}, ${MARKS[ending.mark][1]}` : "nothing to cut here"}`);
      card.replaceChildren(...(ending
        ? [el("p", { class: "verdict" }, markNode(ending.mark), ` ${MARKS[ending.mark][1]}`),
          el("dl", { class: "short" }, [["client says", ending.client], ["server says", ending.server], ["on disk", ending.files]].map(([name, text]) =>
            el("div", {}, el("dt", {}, name), el("dd", {}, text === "gone" ? "nothing more" : text))))]
        : [el("p", { class: "none" }, at === 0 ? "Before the first byte there is nothing to cut apart." : "This program has written less than that.")]));
    }
    const where = `after byte ${at}: ${placeText(maps[0], dir, at)}`;
    place.textContent = where;
    slider.setAttribute("aria-valuetext", `${where}. ${words.join("; ")}`);
    // The slider tells what it says while it has the focus; for a pointer it is said here.
    ear.textContent = document.activeElement === slider ? "" : words.join("; ");
  }

  draw();
  return node;
}
