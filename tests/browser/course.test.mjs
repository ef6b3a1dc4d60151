// The page of `demo --html`.
import assert from "node:assert/strict";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { findings } from "./axe.mjs";
import { ftCli, launch, make, open, quit, shot } from "./browser.mjs";

let file;
let data;

before(async () => {
  file = make("course.html", "demo", "--html");
  data = JSON.parse(fs.readFileSync(file, "utf8").match(/<script type="application\/json" id="data">(.*?)<\/script>/s)[1]);
  await launch();
});
after(quit);

const choose = async (page, i) => (await page.$$(".choice"))[i].click();

/** Cells of the simulator's own map, by direction, kind and offset. */
function cells(command) {
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare);
  assert.equal(words[0], "ft-cli");
  const map = new Map();
  for (const line of ftCli(...words.slice(1), "--format", "json").trim().split("\n")) {
    const cell = JSON.parse(line);
    map.set(`${cell.dir} ${cell.fault} ${cell.at}`, cell);
  }
  return map;
}

/** What the page shows for one cut, one program after the other. */
const shown = (page) => page.$$eval(".card", (cards) => cards.map((card) => ({
  mark: card.dataset.mark,
  said: [...card.querySelectorAll("dd")].map((dd) => dd.textContent),
})));

function check(maps, cards, dir, fault, at) {
  maps.forEach((map, i) => {
    const cell = map.get(`${dir} ${fault} ${at}`);
    const expected = cell ? { mark: cell.mark, said: [cell.client, cell.server, cell.files].map((said) => said.replace(/^gone$/, "nothing more")) } : { mark: "none", said: [] };
    assert.deepEqual(cards[i], expected, `program ${i}, ${dir}@${at} ${fault}`);
  });
}

test("page is one file below 400 kB with twelve lessons", () => {
  assert.ok(fs.statSync(file).size < 400_000, `${fs.statSync(file).size}`);
  assert.equal(data.lessons.length, 12);
});

test("nothing of what comes out is shown before a choice", async () => {
  for (const lesson of data.lessons) {
    await open(file, { hash: lesson.name }, async (page) => {
      const before = await page.evaluate(() => ({
        nodes: document.querySelector(".reveal").childNodes.length,
        text: document.getElementById("main").innerText,
      }));
      assert.equal(before.nodes, 0, "what is not there cannot be looked at");
      // Explanations are left out where a run came to something else: a kernel without delayed ACKs, in lesson 10.
      const whys = lesson.choices.flatMap(({ why }) => why || []);
      assert.ok(whys.length === lesson.choices.length || lesson.number === 10, lesson.name);
      for (const why of whys) assert.ok(!before.text.includes(why), lesson.name);
      assert.doesNotMatch(before.text, /So it is|Not so/);
    });
  }
});

test("a choice reveals what is right and why, and cannot be made again", () =>
  open(file, { hash: "split-digit" }, async (page) => {
    const right = data.lessons[2].choices.findIndex((choice) => choice.right);
    await choose(page, (right + 1) % 3);
    const told = await page.$eval(".answer", (node) => node.textContent);
    assert.match(told, /^You said .; what came was ./);
    assert.equal(await page.$$eval(".choice.right", (nodes) => nodes.length), 1);
    await choose(page, right);
    assert.equal(await page.$eval(".answer", (node) => node.textContent), told);
  }));

test("a lesson is taken by the keyboard alone, choice, steps and cut", () =>
  open(file, { hash: "split-digit" }, async (page) => {
    const focused = (selector) => page.evaluate((s) => document.activeElement.matches(s), selector);
    const tabTo = async (selector) => {
      for (let i = 0; i < 60 && !(await focused(selector)); i++) await page.keyboard.press("Tab");
      assert.ok(await focused(selector), selector);
    };
    await tabTo(".choice");
    const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth);
    assert.equal(ring, "3px", "the focus is seen");
    await page.keyboard.press("Enter");
    await tabTo(".panel [aria-label='One step forward']");
    await page.keyboard.press("Enter");
    await page.keyboard.press("ArrowRight");
    assert.match(await page.$eval(".panel .where", (node) => node.textContent), /^2 of /);
    await tabTo(".cut input[type=range]");
    const text = () => page.$eval(".cut input[type=range]", (node) => node.getAttribute("aria-valuetext"));
    const first = await text();
    await page.keyboard.press("ArrowLeft");
    assert.notEqual(await text(), first);
    assert.match(await text(), /as it is: crash/);
  }));

test("the first cut that a page shows is the one that the lesson ran", async () => {
  for (const lesson of data.lessons.filter((one) => one.pairs.length && one.cuts)) {
    await open(file, { hash: lesson.name }, async (page) => {
      await choose(page, 0);
      const { replay, schedule } = lesson.pairs[0].broken;
      if (schedule === "benign") return;
      const [{ command }] = lesson.cuts.maps;
      const fault = await page.$eval(".cut select[id$=kind]", (node) => node.value);
      const schedules = [...cells(`${command} --fault '${fault}'`).values()];
      const [card] = await shown(page);
      const cell = schedules.find((one) => one.replay === replay);
      assert.ok(cell, `${lesson.name}: ${replay}`);
      assert.deepEqual([card.mark, card.said[2]], [cell.mark, cell.files], lesson.name);
    });
  }
});

const kindsOf = (lesson) => data.maps[lesson.cuts.maps[0].map].strips[0].rows.map((row) => row.fault);

/** The simulator's own maps of a lesson's programs, drawn by the commands that the page shows. */
const mapsOf = (lesson) => lesson.cuts.maps.map(({ command }) =>
  cells(command + (command.includes("--fault") ? "" : kindsOf(lesson).map((kind) => ` --fault '${kind}'`).join(""))));

test("the cut dragged by keys shows the simulator's outcome at every offset, direction and kind", async () => {
  const lesson = data.lessons.find((one) => one.name === "split-digit");
  const maps = mapsOf(lesson);
  await open(file, { hash: lesson.name }, async (page) => {
    await choose(page, 0);
    for (const dir of ["c2s", "s2c"]) {
      await page.select(".cut select[id$=way]", dir);
      for (const kind of kindsOf(lesson)) {
        await page.select(".cut select[id$=kind]", kind);
        await page.focus(".cut input[type=range]");
        await page.keyboard.press("Home");
        const last = Number(await page.$eval(".cut input[type=range]", (node) => node.max));
        assert.equal(last, dir === "c2s" ? 36 : 3);
        for (let at = 0; at <= last; at++) {
          check(maps, await shown(page), dir, kind, at);
          await page.keyboard.press("ArrowRight");
        }
      }
    }
  });
});

test("the slider shows the simulator's outcome at every offset, direction and kind, in every lesson", async () => {
  let compared = 0;
  for (const lesson of data.lessons.filter((one) => one.cuts)) {
    const maps = mapsOf(lesson);
    await open(file, { hash: lesson.name }, async (page) => {
      await choose(page, 0);
      for (const dir of ["c2s", "s2c"]) {
        await page.select(".cut select[id$=way]", dir);
        for (const kind of kindsOf(lesson)) {
          await page.select(".cut select[id$=kind]", kind);
          // All offsets in one go: the browser is asked thousands of times, this process once.
          const all = await page.$eval(".cut", (cut) => {
            const slider = cut.querySelector("input[type=range]");
            return Array.from({ length: Number(slider.max) + 1 }, (_, at) => {
              slider.value = at;
              slider.dispatchEvent(new Event("input"));
              return [...cut.querySelectorAll(".card")].map((card) => ({
                mark: card.dataset.mark,
                said: [...card.querySelectorAll("dd")].map((dd) => dd.textContent),
              }));
            });
          });
          all.forEach((cards, at) => check(maps, cards, dir, kind, at));
          compared += all.length;
        }
      }
    });
  }
  assert.ok(compared > 5_000, `${compared} outcomes compared`);
});

test("the cut dragged by the mouse and by a finger shows the simulator's outcome at every byte of the header", async () => {
  const lesson = data.lessons.find((one) => one.name === "split-digit");
  const maps = lesson.cuts.maps.map(({ command }) => cells(`${command} --fault split`));
  for (const touch of [false, true]) {
    await open(file, { hash: lesson.name, touch, width: touch ? 390 : 1280 }, async (page) => {
      await choose(page, 1);
      await page.$eval(".ribbon", (node) => node.scrollIntoView({ block: "center" }));
      const places = await page.$$eval(".program:first-child .at", (nodes) => nodes.map((node) => {
        const { left, top, width, height } = node.getBoundingClientRect();
        return [left + width / 2, top + height / 2];
      }));
      const [start] = places;
      await (touch ? page.touchscreen.touchStart(...start) : page.mouse.move(...start));
      if (!touch) await page.mouse.down();
      for (let at = 0; at <= 11; at++) {
        await (touch ? page.touchscreen.touchMove(...places[at]) : page.mouse.move(...places[at]));
        // A finger's moves reach the page with its next frame.
        await page.waitForFunction((expected) => Number(document.querySelector(".cut input[type=range]").value) === expected, {}, at);
        check(maps, await shown(page), "c2s", "split", at);
      }
      await (touch ? page.touchscreen.touchEnd() : page.mouse.up());
    });
  }
});

test("the accessibility check finds what is planted", () =>
  open(file, { hash: "split-digit" }, async (page) => {
    await page.evaluate(() => {
      const pale = document.createElement("p");
      pale.textContent = "hardly to be read";
      pale.style.color = "#ddd";
      document.querySelector("main").append(pale, document.createElement("button"));
    });
    const found = (await findings(page)).join("\n");
    assert.match(found, /color-contrast/);
    assert.match(found, /button-name/);
  }));

test("nothing moves for who wants no motion", () =>
  open(file, { hash: "split-digit", motion: "reduce" }, async (page) => {
    await choose(page, 0);
    const moving = await page.$$eval("*", (nodes) => nodes.filter((node) => {
      const { transitionDuration, animationName } = getComputedStyle(node);
      return transitionDuration.split(", ").some((time) => time !== "0s") || animationName !== "none";
    }).length);
    assert.equal(moving, 0);
  }));

test("headings are in order, and there is one landmark of each kind", () =>
  open(file, { hash: "split-digit" }, async (page) => {
    await choose(page, 0);
    const levels = await page.$$eval("h1, h2, h3, h4", (nodes) => nodes.map((node) => Number(node.tagName[1])));
    levels.reduce((before, level) => {
      assert.ok(level <= before + 1, `h${level} after h${before}`);
      return level;
    }, 0);
    for (const mark of ["body > header", "nav", "main", "footer"]) assert.equal((await page.$$(mark)).length, 1, mark);
  }));

for (const theme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`lessons are accessible and fit, before and after the choice, ${theme}, ${width} px`, async () => {
      // Each lesson at one width in each theme: the colours are the same at both, the layout is in both themes.
      const lessons = data.lessons.filter((one) => (one.number % 2 === 0) === ((theme === "light") === (width === 1280)));
      for (const lesson of lessons) {
        await open(file, { theme, width, hash: lesson.name }, async (page) => {
          assert.deepEqual(await findings(page), [], lesson.name);
          await choose(page, 0);
          assert.deepEqual(await findings(page), [], lesson.name);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, `${lesson.name}: nothing sticks out`);
          await shot(page, `lesson-${lesson.number}-${theme}-${width}`);
        });
      }
    });
  }
}
