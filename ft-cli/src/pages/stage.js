// The stage: where every byte is at one moment. Boundaries of sends stand against boundaries of recvs.
"use strict";

/** State of all streams after the first `at` moments. */
function stateAt(line, at) {
  const streams = new Map();
  for (const { conn, dir } of line.streams) {
    streams.set(`${conn} ${dir}`, { sends: [], wire: [], queue: [], recvs: [], end: null, lost: false });
  }
  const state = { streams, conn: 1, says: { client: [], server: [] }, faults: [] };
  for (const what of line.moments.slice(0, at)) {
    const stream = what.d ? streams.get(`${what.c} ${what.d}`) : null;
    if (what.c) state.conn = what.c;
    switch (what.k) {
      case "write":
        stream.sends.push([what.o, what.n]);
        stream.wire.push([what.o, what.n]);
        break;
      case "deliver":
        stream.wire = behind(stream.wire, what.o + what.n);
        stream.queue.push([what.o, what.n]);
        break;
      case "read":
        stream.queue = behind(stream.queue, what.o + what.n);
        stream.recvs.push([what.o, what.n, what.calls]);
        break;
      case "fin": stream.end = "FIN waits behind them"; break;
      case "eof": stream.end = "read to the end"; break;
      case "rst": {
        const reads = streams.get(`${what.c} ${what.side === "server" ? "c2s" : "s2c"}`);
        reads.lost = true;
        reads.end = "RST";
        break;
      }
      case "error": state.says[what.side].push({ kind: "bad", text: what.text }); break;
      case "fault": state.faults.push(what.text); break;
      case "note": if (what.side) state.says[what.side].push({ kind: what.kind, text: what.text }); break;
      case "done": state.says[what.side].push({ kind: "verdict", text: what.text }); break;
      default: break;
    }
  }
  return state;
}

/** What of these ranges lies behind an offset. */
function behind(ranges, offset) {
  return ranges.filter(([o, n]) => o + n > offset).map(([o, n]) => (o < offset ? [offset, o + n - offset] : [o, n]));
}

/** The stage's element, and how to show a step on it. */
function stage(line) {
  const node = el("div", { class: "stage" });
  function show(at) {
    const state = stateAt(line, at);
    const parts = [sides(line, state)];
    for (const dir of ["c2s", "s2c"]) {
      const stream = line.streams.find((s) => s.conn === state.conn && s.dir === dir);
      if (stream) parts.push(flow(stream, state.streams.get(`${state.conn} ${dir}`)));
    }
    node.replaceChildren(...parts);
  }
  return { node, show };
}

/** What each side believes. */
function sides(line, state) {
  const side = (name, party) => el("section", { class: `side ${name}` },
    el("h3", {}, name, el("small", {}, party)),
    state.says[name].length
      ? el("ul", {}, state.says[name].slice(-4).map(({ kind, text }) => el("li", { class: `says ${kind}` }, text)))
      : el("p", { class: "none" }, "knows nothing yet"));
  return el("div", { class: "sides" }, side("client", line.parties[0]), side("server", line.parties[1]));
}

/** Most boxes in one place: the last ones, since those are what a step changes. */
const BOXES = 8;

/** One direction, from the calls of the writer to those of the reader. */
function flow(stream, { sends, wire, queue, recvs, end, lost }) {
  const place = (label, ranges, more) => el("div", { class: `place ${label.split(" ")[0]}` },
    el("h4", {}, label),
    el("div", { class: "boxes" }, ranges.length > BOXES ? el("span", { class: "end" }, `${ranges.length - BOXES} before,`) : "",
      ranges.slice(-BOXES).map(([o, n]) => box(stream, o, n, 26)), more || "", ranges.length || more ? "" : el("span", { class: "none" }, "–")));
  const gone = lost && wire.length ? el("span", { class: "end" }, "lost") : null;
  const ended = end && el("span", { class: "end" }, end);
  const way = stream.dir === "c2s" ? "client → server" : "client ← server";
  const places = [
    place("sends", sends), place("wire", wire, gone), place("kernel queue", queue, ended), place("recv returns", recvs),
  ];
  if (stream.dir === "s2c") places.reverse();
  const number = stream.conn > 1 ? `, connection ${stream.conn}` : "";
  return el("section", { class: `flow ${stream.dir}` }, el("h3", {}, way + number), el("div", { class: "places" }, places));
}

/** Names of the messages, with their colours and numbers. */
function legend(line) {
  const all = line.streams.filter((s) => s.conn === 1 && s.messages.length).map((stream) =>
    el("p", { class: "legend" }, el("span", {}, stream.dir === "c2s" ? "from the client " : "from the server "),
      stream.messages.slice(0, 12).map((m) => [box(stream, m.from, m.to - m.from, 30), " "]),
      stream.messages.length > 12 ? `and ${stream.messages.length - 12} more` : ""));
  return el("div", { class: "legends" }, all);
}
