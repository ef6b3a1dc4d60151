// The page of `sim trace --format html`.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { findings } from "./axe.mjs";
import { folder, ftCli, launch, make, open, quit, shot } from "./browser.mjs";

const SCENARIOS = ["pitfall-split-header", "ft-benign-push", "pitfall-close-unread-rst"];
const files = new Map();

before(async () => {
  for (const name of SCENARIOS) files.set(name, make(`${name}.html`, "sim", "trace", name, "--format", "html", "--out"));
  await launch();
});
after(quit);

const where = (page) => page.$eval(".where", (node) => node.textContent);

test("page is one file below 400 kB that names no other", () => {
  for (const file of files.values()) {
    const text = fs.readFileSync(file, "utf8");
    assert.ok(text.length < 400_000, `${file}: ${text.length}`);
    assert.doesNotMatch(text, /\b(?:src|href|url)\s*[=(]\s*["']?(?:https?:|\/\/)/i);
  }
});

test("keys step forward and back, and jump to the ends", () =>
  open(files.get("pitfall-split-header"), {}, async (page) => {
    const count = Number((await where(page)).split(" of ")[1]);
    assert.ok(count > 8);
    for (const [key, at] of [["ArrowRight", 1], ["ArrowRight", 2], ["ArrowLeft", 1], ["End", count], ["ArrowRight", count], ["Home", 0], ["ArrowLeft", 0]]) {
      await page.keyboard.press(key);
      assert.equal(await where(page), `${at} of ${count}`, key);
    }
  }));

test("buttons, slider and a click on a moment lead to the same steps as keys", () =>
  open(files.get("pitfall-split-header"), {}, async (page) => {
    await page.click("[aria-label='One step forward']");
    await page.focus("input[type=range]");
    await page.keyboard.press("ArrowRight");
    assert.match(await where(page), /^2 of /);
    await page.click(".jumps button");
    const told = await page.$eval("#said", (node) => node.textContent);
    assert.match(told, /schedule: c2s@4 split/);
    const moments = await page.$$(".moment");
    await moments[0].click();
    assert.match(await where(page), /^1 of /);
  }));

test("boundaries of sends and of recvs are those of the trace", () =>
  open(files.get("pitfall-split-header"), {}, async (page) => {
    const trace = ftCli("sim", "trace", "pitfall-split-header", "--format", "json").trim().split("\n").map((line) => JSON.parse(line));
    const ranges = (event, dir) => trace.filter((e) => e.event === event && e.dir === dir).map((e) => `bytes ${e.offset} to ${e.offset + e.len}`);
    await page.keyboard.press("End");
    const shown = (place) => page.$$eval(`.flow.c2s .place.${place} .box`, (boxes) => boxes.map((box) => box.title));
    assert.deepEqual(await shown("sends"), ranges("write", "c2s"));
    assert.deepEqual(await shown("recv"), ranges("read", "c2s"));
    assert.deepEqual(await shown("recv"), ["bytes 0 to 4"]);
    assert.deepEqual(await shown("kernel"), ["bytes 4 to 11"]);
  }));

test("every step of a play is told, and lanes mark what has happened", () =>
  open(files.get("ft-benign-push"), {}, async (page) => {
    const count = Number((await where(page)).split(" of ")[1]);
    const seen = new Set();
    for (let at = 1; at <= count; at++) {
      await page.keyboard.press("ArrowRight");
      const state = await page.evaluate(() => ({
        told: document.getElementById("said").textContent,
        now: document.querySelectorAll(".moment.now").length,
        later: document.querySelectorAll(".moment.later").length,
      }));
      assert.equal(state.now, 1);
      assert.equal(state.later, count - at);
      seen.add(state.told);
    }
    assert.ok(seen.size > count * 0.8, "steps say different things");
    assert.ok([...seen].some((told) => told.includes("ACK2")));
  }));

test("what a peer sends is text and never markup", async () => {
  const scenario = path.join(folder, "hostile.toml");
  const raw = "</script><img src=x onerror=alert(1)><!--<script>|25";
  fs.writeFileSync(scenario, `# Is <b>this</b> text?\n# It is: </script>\nshows = ["path-traversal"]\n[[play]]\ncase = "lab-a-naive"\n` +
    `schedule = "benign"\nwith = { raw = ${JSON.stringify(raw)} }\n`);
  const file = make("hostile.html", "sim", "trace", scenario, "--format", "html", "--out");
  await open(file, {}, async (page) => {
    await page.keyboard.press("End");
    const found = await page.evaluate(() => ({
      injected: document.querySelectorAll("img, b:not(.part b), body > script:not(#data) ~ *").length,
      heading: document.querySelector("h1").textContent,
      text: document.querySelector(".legend").textContent,
    }));
    assert.equal(found.injected, 0);
    assert.equal(found.heading, "Is <b>this</b> text?");
    assert.match(found.text, /<\/script><img/);
  });
});

test("headings are in order", () =>
  open(files.get("ft-benign-push"), {}, async (page) => {
    const levels = await page.$$eval("h1, h2, h3, h4", (nodes) => nodes.map((node) => Number(node.tagName[1])));
    assert.equal(levels[0], 1);
    levels.reduce((before, level) => {
      assert.ok(level <= before + 1, `h${level} after h${before}`);
      return level;
    });
  }));

test("page without scripts has the lanes as text", () =>
  open(files.get("pitfall-split-header"), { scripts: false }, async (page) => {
    const text = await page.$eval("pre.plain", (node) => node.textContent);
    assert.match(text, /c2s@4 split/);
  }));

for (const theme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`page is accessible and fits, ${theme}, ${width} px`, async () => {
      for (const name of SCENARIOS) {
        await open(files.get(name), { theme, width }, async (page) => {
          for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowRight");
          assert.deepEqual(await findings(page), []);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, `${name}: nothing sticks out`);
          await shot(page, `${name}-${theme}-${width}`);
        });
      }
    });
  }
}
