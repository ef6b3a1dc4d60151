// A page of the program under test, in a real Chromium that may not ask anybody for anything.
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const PROGRAM = process.env.FT_CLI;
const CHROMIUM = process.env.CHROMIUM;

/** Pages and screenshots; screenshots stay, for whoever wants to look. */
export const folder = fs.mkdtempSync(path.join(os.tmpdir(), "ft-pages-"));

/** Standard output of a command of the program under test. */
export function ftCli(...args) {
  return execFileSync(PROGRAM, args, { encoding: "utf8", maxBuffer: 1 << 27, timeout: 120_000 });
}

/** Makes a page by a command that takes the file's name last. */
export function make(name, ...args) {
  const file = path.join(folder, name);
  ftCli(...args, file);
  return file;
}

let browser;

export async function launch() {
  browser = await puppeteer.launch({ executablePath: CHROMIUM, headless: true, args: ["--no-sandbox"] });
}

export async function quit() {
  await browser.close();
  console.log(`pages and screenshots: ${folder}`);
}

/** Opens a page and calls `use`; fails on a request to anywhere, a console message or an exception. */
export async function open(file, { width = 1280, theme = "light", motion = "no-preference", hash = "", touch = false, scripts = true } = {}, use) {
  const page = await browser.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`exception: ${error.message}`));
  const address = pathToFileURL(file).href;
  await page.setRequestInterception(true);
  page.on("request", (request) => {
    if (request.url().split("#")[0] === address) return void request.continue();
    complaints.push(`request: ${request.url()}`);
    void request.abort();
  });
  page.setDefaultTimeout(20_000);
  await page.setJavaScriptEnabled(scripts);
  await page.setViewport({ width, height: width < 500 ? 844 : 900, hasTouch: touch, isMobile: touch });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }, { name: "prefers-reduced-motion", value: motion }]);
  await page.goto(hash ? `${address}#${hash}` : address);
  try {
    await use(page);
  } finally {
    await page.close();
  }
  if (complaints.length) throw new Error(complaints.join("\n"));
}

export const shot = (page, name) => page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
