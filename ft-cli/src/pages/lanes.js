// Lanes: what the client does, what the network does, what the server does, over virtual time. Bytes that pass through all
// three in one go share a row, so that every row more is a place where the network made a difference.
"use strict";

const LANES = ["client", "network", "server"];
const writerLane = (dir) => (dir === "c2s" ? 0 : 2);
const readerLane = (dir) => (dir === "c2s" ? 2 : 0);

/** Which stream a moment speaks of. */
const streamOf = (line, what) => line.streams.find((s) => s.conn === what.c && s.dir === what.d);

/** A box of bytes, parted where one message ends and the next begins. */
function box(stream, from, n, most = 18) {
  const to = from + n;
  const node = el("span", { class: "box", title: `bytes ${from} to ${to}` });
  stream.messages.forEach((message, i) => {
    const [a, b] = [Math.max(from, message.from), Math.min(to, message.to)];
    if (a >= b) return;
    const whole = a === message.from && b === message.to;
    let text = message.label ? (whole ? message.label : `${message.label} ${a - message.from}–${b - message.from}`)
      : bytesText(stream.hex, a, b, most);
    if (!message.label && a * 2 >= stream.hex.length) text = plural(b - a, "byte");
    node.append(el("span", { class: `part m${i % 6}${whole ? "" : " piece"}` }, el("b", {}, String(i + 1)), text));
  });
  return node;
}

/** A moment in words, for the ear and for the step line. */
function tell(line, what) {
  const bytes = (w) => `bytes ${w.o} to ${w.o + w.n}`;
  const quote = (w) => {
    const stream = streamOf(line, w);
    const labels = stream.messages.filter((m) => m.label && m.from < w.o + w.n && m.to > w.o).map((m) => m.label);
    return labels.length ? `: ${labels.join(", ")}` : `: “${bytesText(stream.hex, w.o, w.o + w.n, 32)}”`;
  };
  const number = what.c > 1 ? `, connection ${what.c}` : "";
  const writer = what.d === "c2s" ? "client" : "server";
  const reader = what.d === "c2s" ? "server" : "client";
  switch (what.k) {
    case "open": return `Connection ${what.c} is open`;
    case "write": {
      const short = what.n < what.asked ? ` takes only ${what.n} of ${what.asked} bytes,` : " takes";
      return `${writer}: send${short} ${bytes(what)}${quote(what)}${number}`;
    }
    case "deliver": return `network: ${bytes(what)} arrive in the ${reader}’s kernel${number}`;
    case "read": {
      const calls = what.calls > 1 ? `${what.calls} recvs return` : "recv returns";
      return `${reader}: ${calls} ${bytes(what)}${quote(what)}${number}`;
    }
    case "fin": return `network: the end of the stream arrives at the ${reader}, after ${what.o} bytes${number}`;
    case "eof": return `${reader}: recv returns nothing: end of stream after ${what.o} bytes${number}`;
    case "rst": return `network: RST arrives at the ${what.side}${number}`;
    case "error": return `${what.side}: a call fails: ${what.text}${number}`;
    case "fault": return `schedule: ${what.text}`;
    case "note": return `${what.side || "case"}: ${what.kind === "note" ? "" : `${what.kind}: `}${what.text}`;
    case "done": return `${what.side}: ${what.text}`;
    default: return what.k;
  }
}

/** Lane and content of a moment. */
function cell(line, what) {
  const stream = what.d ? streamOf(line, what) : null;
  const arrow = (dir, text) => (dir === "c2s" ? `${text} →` : `← ${text}`);
  const number = what.c > 1 ? `${what.c}: ` : "";
  switch (what.k) {
    case "open": return [1, [`${number}open`]];
    case "write": {
      const short = what.n < what.asked ? `took ${what.n} of ${what.asked}` : "send";
      return [writerLane(what.d), [el("i", {}, number + short), box(stream, what.o, what.n)]];
    }
    case "deliver": return [1, [arrow(what.d, `${number}${what.o}–${what.o + what.n}`)]];
    case "read":
      return [readerLane(what.d), [el("i", {}, `${number}recv${what.calls > 1 ? ` ×${what.calls}` : ""}`), box(stream, what.o, what.n)]];
    case "fin": return [1, [arrow(what.d, `${number}FIN`)]];
    case "eof": return [readerLane(what.d), [el("i", {}, `${number}recv`), el("span", { class: "end" }, "end of stream")]];
    case "rst": return [1, [arrow(what.side === "server" ? "c2s" : "s2c", `${number}RST`)]];
    case "error": return [what.side === "client" ? 0 : 2, [el("span", { class: "bad" }, what.text)]];
    case "fault": return [1, [el("span", { class: "fault" }, `✂ ${what.text}`)]];
    case "note": return [what.side ? LANES.indexOf(what.side) : 1, [el("span", { class: `says ${what.kind}` }, what.text)]];
    case "done": return [LANES.indexOf(what.side), [el("span", { class: "says verdict" }, what.text)]];
    default: return [1, []];
  }
}

/** Puts moments into rows of three cells. */
function rows(line) {
  const all = [];
  let row = null;
  line.moments.forEach((moment, i) => {
    const [lane, content] = cell(line, moment);
    const key = "n" in moment ? `${moment.c} ${moment.d} ${moment.o} ${moment.n}` : null;
    const before = moment.d === "c2s" ? lane - 1 : lane + 1;
    const passes = row && key && row.key === key && !row.cells[lane].length && row.cells[before]?.length;
    const says = row && moment.k === "note" && row.last === lane && row.cells[lane].length < 3;
    if (!row || row.t !== moment.t || !(passes || says)) {
      row = { t: moment.t, cells: [[], [], []], key };
      all.push(row);
    }
    row.last = lane;
    row.cells[lane].push({ step: i + 1, content });
  });
  return all;
}

/** The table of lanes; `show(step)` marks what has happened by then. */
function lanes(line, options = {}) {
  const head = el("tr", {}, el("th", { scope: "col" }, "time"), ...["client", "network", "server"].map((name, i) =>
    el("th", { scope: "col" }, i === 1 ? name : el("span", {}, name, el("small", {}, line.parties[i / 2])))));
  const body = el("tbody");
  const steps = [];
  let time = null;
  for (const row of rows(line)) {
    const cells = row.cells.map((things, lane) => el("td", { class: LANES[lane] }, things.map(({ step, content }) => {
      const node = el("div", { class: "moment" }, content);
      if (options.pick) {
        node.addEventListener("click", () => options.pick(step));
        node.classList.add("can");
      }
      steps[step] = node;
      return node;
    })));
    const stamp = row.t === time ? "" : timeText(row.t);
    body.append(el("tr", { class: row.t !== time && time !== null ? "later" : "" }, el("th", { scope: "row" }, stamp), cells));
    time = row.t;
  }
  if (line.left_out) {
    body.append(el("tr", {}, el("td", { colspan: 4 }, `and ${line.left_out} moments more`)));
  }
  const table = el("table", { class: "lanes" }, el("caption", { class: "hidden" }, `What happened: ${line.replay}`), el("thead", {}, head), body);
  function show(at) {
    steps.forEach((node, step) => {
      node.classList.toggle("now", step === at);
      node.classList.toggle("later", step > at);
    });
    if (options.follow && steps[at]) follow(steps[at]);
  }
  return { node: table, show };
}

/** Scrolls the page as little as needed, and only if someone would otherwise not see it. */
function follow(node) {
  const { top, bottom } = node.getBoundingClientRect();
  if (top < 80 || bottom > window.innerHeight - 110) node.scrollIntoView({ block: "center" });
}

/** What both sides said in the end, and what is on the disk. */
function outcome(told) {
  const entries = [["client says", told.client], ["server says", told.server], ["on the receiver’s disk", told.files]];
  if (told.retry) entries.push(["client, after a retry", told.retry]);
  if (told.waits) entries.push(["who waits", told.waits]);
  entries.push(["promise", told.breaks ? `✗ ${told.breaks}` : "✓ every promise was kept"]);
  return el("dl", { class: "told" }, entries.map(([name, words], i) =>
    el("div", { class: i === entries.length - 1 ? (told.breaks ? "broken" : "kept") : "" }, el("dt", {}, name), el("dd", {}, words))));
}
