// Chromium, and what a case says about what it saw.
import * as fs from "node:fs";
import * as path from "node:path";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const pictures = process.env.PICTURES;
export const address = process.env.ADDRESS || `http://127.0.0.1:${process.env.PORT}/cockpit/@localhost/anybind/index.html`;
// A test waits for the page, never for a time. A busy machine is no reason to fail.
export const patience = Number(process.env.PATIENCE || 60_000);

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];
let chrome;
const pages = [];
// Cockpit ends a session that no browser is in, and this one cannot be entered again: the last browser stays until another is there.
const lingering = [];
let passed = 0;
let failed = 0;

export function check(good, what, why = "") {
  if (good) passed += 1;
  else failed += 1;
  console.log(good ? `ok - ${what}` : `not ok - ${what} [${String(why).slice(0, 1500)}]`);
  return good;
}

export const counts = () => ({ passed, failed });

export async function start() {
  chrome = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: flags, timeout: patience });
}

export async function stop() {
  await chrome?.close();
}

// A browser of its own (another profile) with the page; what the page writes to its console is a fault unless a case expects it.
// Where somebody has to log in before, `enter` does that.
export async function open({ width = 1280, height = 900, dark = false, expected = [], query = "", enter = null } = {}) {
  const context = await chrome.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce" });
  context.setDefaultTimeout(patience);
  const page = await context.newPage();
  if (enter) {
    await page.goto(address, { timeout: patience });
    await enter(page);
  }
  page.faults = [];
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !expected.some((one) => text.includes(one))) page.faults.push(text);
  });
  page.on("pageerror", (error) => page.faults.push(String(error)));
  pages.push(page);
  await page.goto(address + query, { timeout: patience });
  await page.getByRole("heading", { name: "Devices", level: 1 }).waitFor();
  for (const old of lingering.splice(0)) await old.close();
  return page;
}

export async function shut(page) {
  check(page.faults.length === 0, "the page has no error in its console", page.faults.join("; "));
  pages.splice(pages.indexOf(page), 1);
  lingering.push(page.context());
}

export async function shoot(page, name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`), timeout: patience });
}

export async function shootAll() {
  for (const [index, page] of pages.entries()) {
    await shoot(page, `failed-${index}`).catch(() => undefined);
    console.log(`what page ${index} shows: ${(await page.innerText("body").catch(String)).slice(0, 3000)}`);
    console.log(`its console: ${page.faults.join("; ")}`);
  }
}

// No violation that axe calls serious or critical. Of an open dialog only the dialog: what lies below it is dimmed, and nobody's to read.
export async function accessible(page, what) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document.querySelector("[role=dialog]") ?? document, { resultTypes: ["violations"] }));
  const bad = found.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  check(bad.length === 0, `${what}: axe has no serious complaint`,
    bad.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join(" | ")}`).join("; "));
}

// Whether something comes to be so, looked at again and again.
export async function becomes(what, look, milliseconds = patience) {
  const end = Date.now() + milliseconds;
  let last = "";
  while (Date.now() < end) {
    try {
      if (await look()) return check(true, what);
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  return check(false, what, `not within ${milliseconds} ms ${last}`);
}
