// Opens a page in Chromium, as on a laptop, in dark mode, and on a phone, and prints what is visible.
//
//   node tests/local/look.mjs <page.html> <folder for screenshots>
//
// It uses the Chromium in node_modules, which is for Linux on x64, or the one that CHROMIUM names, unpacked once into
// `.local`. Chromium writes only to TMPDIR. It has no sandbox (Playwright's default), which many containers and Ubuntu
// refuse to programs that are not installed; it opens no page but this one.

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inflate } from "@sparticuz/chromium";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PACKAGE = join(ROOT, "node_modules/@sparticuz/chromium");
const VIEWS = {
  laptop: { viewport: { width: 1200, height: 900 }, colorScheme: "light" },
  night: { viewport: { width: 1200, height: 900 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true, isMobile: true },
};

/** The folder with Chromium, the libraries it needs and a font, unpacked if this version is not yet. */
async function unpacked() {
  const { version } = JSON.parse(readFileSync(join(PACKAGE, "package.json")));
  const folder = join(ROOT, ".local", `chromium-${version}`);
  if (existsSync(folder)) return folder;
  const { TMPDIR } = process.env;
  const unfinished = process.env.TMPDIR = `${folder}.${process.pid}`; // where the package unpacks to
  mkdirSync(unfinished, { recursive: true });
  for (const part of ["chromium.br", "al2023.tar.br", "fonts.tar.br"]) await inflate(join(PACKAGE, "bin", part));
  if (TMPDIR === undefined) delete process.env.TMPDIR; else process.env.TMPDIR = TMPDIR;
  try {
    renameSync(unfinished, folder);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    if (!existsSync(folder)) throw error; // else another process was faster
  }
  return folder;
}

/** What Playwright needs to start Chromium. */
async function installed() {
  if (process.env.CHROMIUM) return { executablePath: process.env.CHROMIUM };
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Error("npm's Chromium runs on Linux on x64. Let CHROMIUM be the path of a Chromium or Chrome.");
  }
  const folder = await unpacked();
  const fonts = join(tmpdir(), "fonts.conf"); // the same font on every machine, even on one without fonts
  const cache = join(tmpdir(), "font-cache");
  writeFileSync(fonts, `<fontconfig><dir>${folder}/fonts</dir><cachedir>${cache}</cachedir></fontconfig>`);
  return {
    executablePath: join(folder, "chromium"),
    env: { ...process.env, HOME: tmpdir(), LD_LIBRARY_PATH: join(folder, "al2023/lib"), FONTCONFIG_FILE: fonts },
  };
}

/** Runs in the page: what is visible. Boxes are left, top, right and bottom, in pixels. */
function seen() {
  const box = (element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return [left, top, right, bottom];
  };
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const labels = (svg, kind) => [...svg.querySelectorAll(`[id*=${kind}]`)].filter(shown)
    .map((label) => ({ name: label.textContent.trim(), box: box(label.querySelector("text")) }));
  const pictures = [...document.querySelectorAll("svg")].filter(shown).map((svg) => ({
    box: box(svg),
    requests: Object.fromEntries(
      [...svg.querySelectorAll("[data-requests]")].map((group) =>
        [group.dataset.requests, [...group.querySelectorAll("use")].filter(shown).map(box)]),
    ),
    bands: labels(svg, "-band-"),
    moves: labels(svg, "-move-"),
  }));
  const verdicts = [...document.querySelectorAll("h2 span")]
    .map((verdict) => ({ text: verdict.innerText, colour: getComputedStyle(verdict).color }));
  const { scrollWidth, clientWidth } = document.documentElement;
  return { pictures, verdicts, scrollWidth, clientWidth, text: document.body.innerText };
}

async function look(browser, page, view, folder) {
  const tab = await browser.newPage(VIEWS[view]);
  const problems = [], requested = [];
  tab.on("pageerror", (error) => problems.push(String(error)));
  tab.on("console", (message) => problems.push(message.text()));
  tab.on("request", (request) => requested.push(request.url()));
  await tab.goto(pathToFileURL(page).href);
  const visible = await tab.evaluate(seen);
  await tab.screenshot({ path: join(folder, `${view}.png`), fullPage: true });
  const shown = {};
  for (const group of await tab.locator("[data-requests]:visible").all()) {
    const dot = group.locator("use").last();
    await dot.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await dot.boundingBox();
    const [middle, centre] = [x + width / 2, y + height / 2];
    await (VIEWS[view].hasTouch ? tab.touchscreen.tap(middle, centre) : tab.mouse.move(middle, centre));
    shown[await group.getAttribute("data-requests")] = await tab.locator("#hover").innerText();
  }
  await tab.close();
  return { ...visible, shown, problems, requested: requested.map((url) => url.replace(pathToFileURL(page).href, "the page")) };
}

const [page, folder] = process.argv.slice(2);
const browser = await chromium.launch({
  ...await installed(),
  args: ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--no-zygote"],
});
const views = {};
for (const view of Object.keys(VIEWS)) views[view] = await look(browser, page, view, folder);
await browser.close();
console.log(JSON.stringify(views));
