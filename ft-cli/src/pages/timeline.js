// The page of one play: stage, steps, lanes.
"use strict";

(() => {
  const line = PAGE.timeline;
  document.getElementById("name").textContent = PAGE.name;
  document.getElementById("expected").textContent = PAGE.expected;
  document.getElementById("again").textContent = `ft-cli sim replay '${line.replay}'`;
  const faults = line.moments.flatMap((what, i) => (what.k === "fault" ? [{ step: i + 1, text: what.text }] : []));
  const said = el("p", { class: "said", "aria-live": "polite", id: "said" });
  const sentence = (at) => (at === 0 ? "Nothing has happened yet." : `At ${timeText(line.moments[at - 1].t)}, ${tell(line, line.moments[at - 1])}`);
  const board = stage(line);
  const table = lanes(line, { pick: (step) => steps.go(step), follow: false });
  const steps = player(line.moments.length, (at) => {
    said.textContent = sentence(at);
    board.show(at);
    table.show(at);
  }, { label: "Step", say: sentence, ear: said, marks: faults.map((fault) => fault.step) });
  const jumps = faults.length
    ? el("p", { class: "jumps" }, "The schedule: ", faults.map(({ step, text }) => [el("button", { type: "button", click: () => steps.go(step) }, `✂ ${text}`), " "]))
    : el("p", { class: "jumps" }, line.schedule === "benign" ? "The schedule: nothing deviates." : `The schedule: ${line.schedule}`);
  document.getElementById("main").replaceChildren(
    el("section", { "aria-labelledby": "steps-title" }, el("h2", { class: "hidden", id: "steps-title" }, "Step by step"),
      jumps, legend(line), board.node, el("div", { class: "bar" }, steps.node, said),
      el("p", { class: "hint" }, "Keys: ", el("kbd", {}, "←"), " ", el("kbd", {}, "→"), " step, ", el("kbd", {}, "Home"), " ", el("kbd", {}, "End"), " jump.",
        line.left_out ? ` These are the first ${line.moments.length} moments; ${line.left_out} more are left out.` : "")),
    el("section", { "aria-labelledby": "lanes-title" }, el("h2", { id: "lanes-title" }, "Lanes"),
      el("p", { class: "soft" }, "Time goes down. A row shows bytes that passed from one side to the other in one go."), table.node),
    el("section", { "aria-labelledby": "end-title" }, el("h2", { id: "end-title" }, "What came of it"), outcome(line.outcome)));
  document.addEventListener("keydown", steps.keys);
  steps.go(0);
})();
