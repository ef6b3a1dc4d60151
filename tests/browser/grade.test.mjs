// The page of a grade: programs that fall in every way, and print the nastiest bytes. See `pages_for_a_browser` in
// ft-cli/src/grade/report/tests.rs, which makes the pages that FT_GRADE_PAGES holds.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { findings } from "./axe.mjs";
import { launch, open, quit, shot } from "./browser.mjs";

const NAMES = ["both", "student", "broken"];
const file = (name) => path.join(process.env.FT_GRADE_PAGES, `${name}.html`);

before(launch);
after(quit);

const texts = (page, selector) => page.$$eval(selector, (nodes) => nodes.map((node) => node.textContent.trim()));

test("page is one file below 400 kB that names no other", () => {
  for (const name of NAMES) {
    const text = fs.readFileSync(file(name), "utf8");
    assert.ok(text.length < 400_000, `${name}: ${text.length}`);
    assert.doesNotMatch(text, /\b(?:src|href|url)\s*[=(]\s*["']?(?:https?:|\/\/)/i);
  }
});

test("table has a row for each check, with its verdict and its points", () =>
  open(file("both"), {}, async (page) => {
    const rows = await page.$$eval("section:first-of-type .sum:not(.cutplaces) tbody tr", (rows) =>
      rows.map((row) => [...row.children].map((cell) => cell.textContent.trim())));
    assert.deepEqual(rows.map(([verdict, pitfall, , points]) => [verdict, pitfall, points]), [
      ["✗ failed", "split-header", "0 of 1"],
      ["! protocol", "split-digits", "1 of 1"],
      ["- not applicable", "header-body-merge", "-"],
      ["✗ failed", "path-traversal", "0 of 2.5"],
      ["? unclear", "utf8-split", "0 of 1"],
      ["✓ passed", "eof-is-success", "1 of 1"],
      ["✓ passed", "no-timeout", "1 of 1"],
    ]);
    assert.equal((await page.$$(".finding")).length, 9, "what applies can be opened");
    assert.equal((await page.$$(".finding[open]")).length, 4, "what fell is open");
  }));

test("link in the table opens its run, and the keyboard steps through it", () =>
  open(file("both"), {}, async (page) => {
    assert.equal(await page.$("#client-split-ack[open]"), null);
    await page.focus("a[href='#client-split-ack']");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#client-split-ack[open] table.lanes");
    assert.equal(await page.evaluate(() => document.activeElement.closest(".finding")?.id), "client-split-ack");
    await page.focus("#server-split-header input[type=range]");
    await page.keyboard.press("Home");
    const where = () => page.$eval("#server-split-header .where", (node) => node.textContent);
    assert.match(await where(), /^0 of /);
    const seen = new Set();
    const count = Number((await where()).split(" of ")[1]);
    for (let at = 1; at <= count; at++) {
      await page.keyboard.press("ArrowRight");
      seen.add(await page.$eval("#server-split-header .said", (node) => node.textContent));
      assert.equal(await page.$$eval("#server-split-header .moment.now", (nodes) => nodes.length), 1);
    }
    assert.ok([...seen].some((told) => told.includes("schedule: c2s@4 split")));
  }));

test("long run shows its beginning and its end, and says what is between", () =>
  open(file("both"), {}, async (page) => {
    const lanes = await page.$eval("#server-path-traversal table.lanes", (node) => node.textContent);
    assert.match(lanes, /data\.txt\|2097152.*\d+ moments are left out here.*FIN/s);
  }));

test("address of a run opens it", () =>
  open(file("both"), { hash: "client-eof-is-success" }, async (page) => {
    await page.waitForSelector("#client-eof-is-success[open]");
  }));

test("summary of a run is opened and closed by the keyboard", () =>
  open(file("both"), {}, async (page) => {
    for (const open of [true, false]) {
      await page.focus("#client-split-ack summary");
      await page.keyboard.press("Enter");
      await page.waitForFunction((open) => document.getElementById("client-split-ack").open === open, {}, open);
    }
  }));

test("marks along the bytes are the rows of the table below them", () =>
  open(file("both"), {}, async (page) => {
    const server = "section:first-of-type";
    const strip = await texts(page, `${server} .strip`);
    assert.equal(strip[0].replace(/\s+/g, " "),
      "data✗2.txt|13!3000123456↵012 631 bytes 23456↵01✓423456↵01 642 bytes");
    const places = await page.$$eval(`${server} .cutplaces tbody tr`, (rows) =>
      rows.map((row) => [...row.children].map((cell) => cell.textContent.trim())));
    assert.deepEqual(places.map(([, where]) => where), [
      "behind byte 2, client to server (another file)",
      "behind byte 4, client to server",
      "behind byte 11, client to server",
      "behind byte 663, client to server",
    ]);
    assert.match(places[1][2], /c2s@4 split split-header failed/);
    assert.match(await page.$eval(server, (node) => node.textContent), /without a step at any byte: path-traversal, no-timeout/);
  }));

test("what a program prints, sends and names is text and never markup", async () => {
  for (const name of NAMES) {
    await open(file(name), {}, async (page) => {
      await page.$$eval("details", (nodes) => nodes.forEach((node) => { node.open = true; }));
      assert.equal(await page.$$eval("img, iframe, object, main script", (nodes) => nodes.length), 0);
      const printed = (await texts(page, ".printed")).join("\n");
      assert.match(printed, /<\/script><img src=x onerror=alert\(1\)>/);
      assert.match(printed, /\\u\{1b\}\[2J/);
      assert.match(printed, /<!-- ]]> & \\xff\\xfe\\0 Größe \\u\{202e\} \{\{data\}\}/);
      assert.doesNotMatch(await page.$eval("body", (node) => node.textContent), /[\u0000-\u0008\u001b\u202e]/);
    });
  }
});

test("program that does not work says why, and has no table", () =>
  open(file("broken"), {}, async (page) => {
    assert.equal(await page.$eval("h1", (node) => node.textContent), "A program does not work");
    const client = "section[aria-labelledby='title-client']";
    assert.match(await page.$eval(`${client} .broken`, (node) => node.textContent), /does not work, so that nothing else was tried/);
    assert.equal(await page.$(`${client} table`), null);
  }));

test("student finds a question where a teacher finds the answer", async () => {
  const names = (name) => open.bind(null, file(name), {});
  await names("both")(async (page) => {
    const facts = await texts(page, "#server-split-header dt");
    for (const fact of ["what it is", "whose fault", "expected", "repair"]) assert.ok(facts.includes(fact), fact);
  });
  await names("student")(async (page) => {
    const facts = await texts(page, "#server-split-header dt");
    for (const fact of ["what it is", "whose fault", "expected", "repair"]) assert.ok(!facts.includes(fact), fact);
    for (const fact of ["ask yourself", "schedule", "observed", "read", "again"]) assert.ok(facts.includes(fact), fact);
  });
});

test("headings are in order", () =>
  open(file("both"), {}, async (page) => {
    const levels = await page.$$eval("h1, h2, h3, h4", (nodes) => nodes.map((node) => Number(node.tagName[1])));
    assert.equal(levels[0], 1);
    levels.reduce((before, level) => {
      assert.ok(level <= before + 1, `h${level} after h${before}`);
      return level;
    });
  }));

test("page without scripts is the report in words", () =>
  open(file("both"), { scripts: false }, async (page) => {
    const text = await page.$eval("pre.plain", (node) => node.textContent);
    assert.match(text, /FAILED server\/split-header/);
    assert.match(text, /6\s+of\s+10\.5\s+points/);
  }));

for (const theme of ["light", "dark"]) {
  for (const width of [1280, 390]) {
    test(`page is accessible and fits, ${theme}, ${width} px`, async () => {
      for (const name of NAMES) {
        await open(file(name), { theme, width }, async (page) => {
          await page.$$eval("details", (nodes) => nodes.forEach((node) => { node.open = true; }));
          assert.deepEqual(await findings(page), [], name);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, `${name}: nothing sticks out`);
          await shot(page, `grade-${name}-${theme}-${width}`);
        });
      }
    });
  }
}
