// The page of lessons: one at a time, and nothing of what comes out before something was chosen.
"use strict";

/** A lesson's element. */
function article(lesson, next) {
  const rest = el("div", { class: "reveal", hidden: true });
  const said = el("p", { class: "answer", "aria-live": "polite" });
  const buttons = lesson.choices.map((choice, i) => el("button", { type: "button", class: "choice", click: () => choose(i) },
    el("span", { class: "letter" }, String(i + 1)), el("span", {}, choice.text)));
  const whys = lesson.choices.map((choice) => el("div", { class: "why", hidden: true }));
  let chosen = false;

  function choose(i) {
    if (chosen) return;
    chosen = true;
    lesson.choices.forEach((choice, k) => {
      buttons[k].setAttribute("aria-disabled", "true");
      buttons[k].classList.toggle("right", choice.right);
      buttons[k].classList.toggle("chosen", k === i);
      whys[k].hidden = false;
      whys[k].append(el("b", {}, choice.right ? "✓ So it is. " : "✗ Not so. "), choice.why || "");
    });
    const right = lesson.choices.findIndex((choice) => choice.right);
    const letter = (k) => String(k + 1);
    said.textContent = i === right ? `You said ${letter(i)}, and so it is.` : `You said ${letter(i)}; what came was ${letter(right)}.`;
    rest.append(...reveal(lesson, next));
    rest.hidden = false;
  }

  return el("article", { class: "lesson" },
    el("p", { class: "over" }, `Lesson ${lesson.number}`),
    el("h2", { class: "title" }, lesson.title),
    el("p", { class: "lead" }, `Afterwards: ${lower(lesson.aim)}`),
    code(lesson.code),
    el("section", { class: "question", "aria-labelledby": `${lesson.name}-ask` },
      el("h3", { id: `${lesson.name}-ask` }, lesson.ask),
      el("div", { class: "choices" }, buttons.map((button, i) => el("div", {}, button, whys[i]))), said),
    rest);
}

/** For the middle of a sentence; words in capitals, such as RST, keep them. */
function lower(text) {
  return /^[A-Z][a-z ]/.test(text) ? text[0].toLowerCase() + text.slice(1) : text;
}

function code({ from, lines, guilty }) {
  return el("figure", { class: "code" }, el("figcaption", {}, from),
    el("pre", { tabindex: "0", role: "region", "aria-label": `Program: ${from}` }, el("code", {}, lines.map((text, i) => {
      const marked = guilty.includes(i + 1);
      return el("span", { class: marked ? "line guilty" : "line" }, el("span", { class: "hidden" }, marked ? "look here: " : ""), text || " ");
    }))));
}

/** Everything that is shown after a choice. */
function reveal(lesson, next) {
  const parts = [...lesson.counts.map(counted)];
  lesson.pairs.forEach((pair, i) => parts.push(beside(pair, i === 0 ? "What happened" : "One more")));
  if (lesson.search) parts.push(smallest(lesson.search));
  if (lesson.cuts) {
    parts.push(el("section", {}, el("h3", {}, "Now cut it yourself"),
      el("p", {}, lesson.cuts.maps.length > 2 ? "The same cut, at the same offset, in every one of them." : "The same cut, at the same offset, in both programs.",
        base(lesson.cuts)),
      cutter(lesson.cuts, `cut-${lesson.name}`)));
  }
  if (lesson.faults.length) parts.push(blame(lesson.faults));
  parts.push(el("section", { class: "take" }, el("h3", {}, "To remember"), el("p", { class: "remember" }, lesson.remember),
    el("p", {}, "In the wild: ", el("a", { href: lesson.wild.link, rel: "noreferrer" }, lesson.wild.title), ". ", lesson.wild.what)));
  if (next) parts.push(el("p", { class: "next" }, el("a", { href: `#${next.name}` }, `Lesson ${next.number}: ${next.title} →`)));
  return parts;
}

/** What the network does besides the cut. */
function base({ maps }) {
  const { base: schedule } = PAGE.maps[maps[0].map];
  return schedule === "benign" ? "" : [" Besides it, the network does this: ", el("code", {}, schedule), "."];
}

function counted({ heads, rows }) {
  return el("section", {}, el("h3", {}, "Counted"), el("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Counted" },
    el("table", { class: "counts" }, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map(([name, ...cells]) => el("tr", {}, el("th", { scope: "row" }, name), cells.map((cell) => el("td", {}, cell))))))));
}

/** In place of an explanation that does not fit what happened. */
const OTHERWISE = "This run came to something else than the lesson was written for, so it explains nothing here.";

/** Two programs under one schedule. */
function beside({ shows, look, how, schedule, told, broken, fixed }, title) {
  const panel = (name, line) => {
    const table = lanes(line, { pick: (step) => steps.go(step) });
    const said = el("p", { class: "said", "aria-live": "polite" });
    const sentence = (at) => (at === 0 ? "Step through it, or read it as a whole." : tell(line, line.moments[at - 1]));
    const marks = line.moments.flatMap((what, i) => (what.k === "fault" ? [i + 1] : []));
    const steps = player(line.moments.length, (at) => { said.textContent = sentence(at); table.show(at === 0 ? Infinity : at); },
      { label: `Step, ${name}`, say: sentence, ear: said, marks });
    const node = el("section", { class: "panel", "aria-label": `${name}: ${line.replay}` },
      el("h4", {}, name, " ", el("small", {}, `${line.parties[0]}, ${line.parties[1]}`)), steps.node, said, table.node, outcome(line.outcome));
    node.addEventListener("keydown", steps.keys);
    steps.go(0);
    return node;
  };
  return el("section", {}, el("h3", {}, title),
    el("p", {}, shows, " ", told, schedule === "benign" ? "" : [" The schedule: ", el("code", {}, schedule)]),
    look ? el("p", { class: "look" }, el("b", {}, "Look at: "), lower(look)) : el("p", {}, OTHERWISE),
    el("div", { class: "pair" }, panel("as it is", broken), panel("done right", fixed)),
    el("p", {}, how || OTHERWISE));
}

function smallest({ text, schedule, again }) {
  return el("section", {}, el("h3", {}, "The smallest counterexample"), el("p", {}, text),
    schedule ? el("p", {}, el("code", { class: "block" }, schedule)) : "",
    again ? el("p", { class: "soft" }, "See it again: ", el("code", {}, again)) : "");
}

/** Whose fault it is; for a fault of the protocol, two meanings of the same bytes. */
function blame(faults) {
  const sends = (hexes) => hexes.map((hex, i) => {
    const n = hex.length / 2;
    return el("span", { class: "box" }, el("span", { class: `part m${i % 6}` }, el("b", {}, String(i + 1)), n ? bytesText(hex, 0, n, 60) : "nothing"));
  });
  return el("section", {}, el("h3", {}, "Whose fault?"), faults.map(({ pitfall, whose, witness }) => el("div", { class: "blame" },
    el("p", {}, el("code", {}, pitfall), `: ${whose}.`),
    witness ? el("figure", { class: "witness" },
      el("div", { class: "intents" }, witness.intents.map(([means, hexes], i) => el("div", {},
        el("p", {}, i === 0 ? "One client means " : "Another means ", el("b", {}, means), ", and sends:"), el("p", { class: "boxes" }, sends(hexes))))),
      el("p", { class: "wire-same" }, "Both put the same on the wire: ",
        el("span", { class: "box" }, el("span", { class: "part" }, bytesText(witness.wire, 0, witness.wire.length / 2, 80))), `, then ${witness.then}.`),
      el("figcaption", {}, "Whoever reads that must treat both alike, and is wrong for one of them.")) : "")));
}

(() => {
  const main = document.getElementById("main");
  const links = PAGE.lessons.map((lesson) => el("a", { href: `#${lesson.name}` }, el("b", {}, lesson.number), " ", lesson.title));
  document.getElementById("lessons").append(el("ol", {}, links.map((link) => el("li", {}, link))));
  /** Lessons that were opened stay as they were left. */
  const opened = new Map();

  function show() {
    const name = decodeURIComponent(location.hash.slice(1));
    if (name === "main") return;
    const i = Math.max(0, PAGE.lessons.findIndex((lesson) => lesson.name === name));
    const lesson = PAGE.lessons[i];
    if (!opened.has(lesson.name)) opened.set(lesson.name, article(lesson, PAGE.lessons[i + 1]));
    links.forEach((link, k) => (k === i ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current")));
    main.replaceChildren(opened.get(lesson.name));
    document.title = `${lesson.number} ${lesson.title}`;
    if (name) {
      main.focus({ preventScroll: true });
      main.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", show);
  show();
})();
