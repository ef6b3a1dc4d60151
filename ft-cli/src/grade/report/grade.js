// The page of a grade: for each program a table, where it was cut, and its runs.
"use strict";

(() => {
  const MARKS = new Map(PAGE.marks.map((mark) => [mark.id, mark]));
  const WORDS = { passed: "passed", failed: "failed", protocol: "protocol", inconclusive: "unclear", "not-applicable": "not applicable" };
  const WAYS = { c2s: "client to server", s2c: "server to client" };
  const EXACT = new Set(["schedule", "file"]);
  const badge = (id, text = MARKS.get(id).sign) => el("span", { class: `mark ${id}`, "aria-hidden": "true" }, text);
  const anchor = (id) => id.replace("/", "-");

  /** Facts in two columns; one without a name goes on with the one before it. */
  const facts = (entries) => el("dl", { class: "told" }, entries.map(([name, text]) =>
    el("div", { class: name ? "" : "on" }, el("dt", {}, name || el("span", { class: "hidden" }, "and")), el("dd", { class: EXACT.has(name) ? "exact" : "" }, text))));

  const printed = (lines, more) => (lines.length
    ? [el("p", { class: "soft" }, more ? "The last lines that it printed:" : "It printed:"), el("pre", { class: "printed" }, lines.join("\n"))]
    : []);

  /** A run to be stepped through; made only when somebody looks, since a page has up to forty. */
  function steps(line, name) {
    const said = el("p", { class: "said", "aria-live": "polite" });
    const sentence = (at) => (at === 0 ? "Nothing has happened yet." : `At ${timeText(line.moments[at - 1].t)}, ${tell(line, line.moments[at - 1])}`);
    const marks = line.moments.flatMap((what, i) => (what.k === "fault" ? [i + 1] : []));
    const grid = lanes(line, { pick: (step) => walk.go(step), follow: false });
    const walk = player(line.moments.length, (at) => {
      said.textContent = sentence(at);
      grid.show(at);
    }, { label: `Step of ${name}`, say: sentence, ear: said, marks });
    walk.go(line.moments.length);
    return [walk.node, said, grid.node];
  }

  function finding(one) {
    const inner = el("div", { class: "inner" }, facts(one.facts), printed(one.printed, one.more));
    const run = el("div", {});
    inner.append(run, facts(one.next));
    const node = el("details", { class: "finding", id: anchor(one.id), open: one.told, toggle: () => fillRun() },
      el("summary", {}, badge(one.mark), el("h4", {}, one.pitfall), ` ${WORDS[one.mark]}: ${one.short}`), inner);
    function fillRun() {
      if (node.open && one.run && !run.firstChild) run.append(...steps(one.run, one.id));
    }
    fillRun();
    return node;
  }

  // On a narrow screen rows are blocks; the roles keep them a table for who hears it.
  const row = (attributes, ...cells) => el("tr", { role: "row", ...attributes }, cells);
  const cell = (attributes, ...inside) => el("td", { role: "cell", ...attributes }, inside);
  const rowHead = (attributes, ...inside) => el("th", { scope: "row", role: "rowheader", ...attributes }, inside);
  const table = (caption, name, heads, rows) => el("table", { class: name, role: "table" },
    el("caption", { class: "hidden" }, caption),
    el("thead", { role: "rowgroup" }, row({}, heads.map((head) =>
      el("th", { scope: "col", role: "columnheader", class: head === "points" ? "points" : "" }, head)))),
    el("tbody", { role: "rowgroup" }, rows));

  const verdict = (mark) => cell({ class: "verdict" }, badge(mark), " ", WORDS[mark]);

  const summary = (program) => table(`Checks of the ${program.heading.toLowerCase()}`, "sum",
    ["verdict", "pitfall", "what was seen", "points"], program.findings.map((one) => {
      const none = one.mark === "not-applicable";
      return row({ class: none ? "na" : "" }, verdict(one.mark),
        rowHead({ class: "pitfall" }, none ? one.pitfall : el("a", { href: `#${anchor(one.id)}` }, one.pitfall)),
        cell({}, one.short), cell({ class: "points" }, one.points));
    }));

  function strip(one) {
    const pieces = one.pieces.map((piece) => {
      switch (piece.k) {
        case "bytes": return el("span", { class: "bytes" }, bytesText(piece.hex, 0, piece.hex.length / 2, Infinity));
        case "gap": return el("span", { class: "gap" }, ` ${plural(piece.n, "byte")} `);
        default: return badge(piece.mark, `${MARKS.get(piece.mark).sign}${piece.n}`);
      }
    });
    return [el("h4", {}, `${WAYS[one.dir]}, ${plural(one.len, "byte")}`),
      el("div", { class: "strip", role: "img", "aria-label": `The bytes from ${WAYS[one.dir]} with the numbered places of the table below` },
        el("span", { "aria-hidden": "true" }, pieces))];
  }

  /** Where it was cut: strips for the eye, the same as a table for everybody. */
  function map({ strips, places, without }, heading) {
    if (!places.length) return [];
    const rest = without.length ? el("p", { class: "soft" }, `Tried without a step at any byte: ${without.join(", ")}.`) : null;
    return [el("h3", {}, "Where it was cut"),
      el("p", { class: "soft" }, "The bytes of the plain transfer; a numbered mark is a place at which some run was cut, merged, delayed or ended."),
      strips.filter((one) => one.len).map(strip),
      table(`Places at which the ${heading.toLowerCase()} was cut`, "sum cutplaces", ["place", "where", "what came of it"],
        places.map((place, i) => row({},
          rowHead({}, badge(place.mark, `${MARKS.get(place.mark).sign}${i + 1}`), el("span", { class: "hidden" }, `${i + 1}`)),
          cell({}, `behind byte ${place.at}, ${WAYS[place.dir]}${place.off ? ` (${place.off})` : ""}`),
          cell({}, place.checks.map((check, k) => [k ? ", " : "", el("code", {}, check.step), " ",
            el("a", { href: `#${anchor(check.id)}` }, check.pitfall), ` ${WORDS[check.mark]}`]))))),
      rest];
  }

  function program(one) {
    const runs = one.findings.filter((found) => found.mark !== "not-applicable");
    const order = (told) => runs.filter((found) => found.told === told).map(finding);
    return el("section", { "aria-labelledby": `title-${one.role}` },
      el("h2", { id: `title-${one.role}` }, one.heading),
      one.command ? el("p", { class: "command" }, el("code", {}, one.command)) : null,
      one.control ? el("p", { class: one.works ? "" : "broken" }, `The plain transfer ${one.control}.`) : null,
      printed(one.printed, false),
      one.run ? steps(one.run, `the ${one.role}'s plain transfer`) : [],
      one.findings.length ? summary(one) : null,
      map(one.cuts, one.heading),
      runs.length ? [el("h3", {}, "Every run"), order(true), order(false)] : []);
  }

  document.getElementById("over").textContent = PAGE.over;
  document.getElementById("closing").textContent = `${PAGE.closing}.`;
  document.getElementById("isolation").textContent = PAGE.isolation ? `Programs were kept apart by: ${PAGE.isolation}.` : "";
  document.getElementById("main").replaceChildren(
    el("ul", { class: "marks", "aria-label": "Verdicts" }, PAGE.marks.filter((mark) => mark.count).map((mark) =>
      el("li", {}, badge(mark.id), ` ${mark.count} ${WORDS[mark.id]}: ${mark.means}`))),
    ...PAGE.programs.map(program));

  /** A link to a run opens it. */
  function openNamed() {
    const node = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!(node instanceof HTMLDetailsElement)) return;
    node.open = true;
    node.scrollIntoView({ block: "start" });
    node.querySelector("summary").focus({ preventScroll: true });
  }
  window.addEventListener("hashchange", openNamed);
  openNamed();
})();
