// Opens HTML reports as people see them: wide and narrow, light, dark and printed. Fails where one asks for anything
// from elsewhere, says something to the console, or is wider than the window.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const root = resolve(process.argv[2]);
const screenshots = join(import.meta.dirname, 'screenshots');
mkdirSync(screenshots, { recursive: true });
const place = mkdtempSync(join(tmpdir(), 'mongosplit-browser-'));
process.on('exit', () => rmSync(place, { recursive: true, force: true }));

/** Runs the binary; its exit code. */
function mongosplit(...words) {
  try {
    execFileSync(resolve(process.env.MONGOSPLIT), words, { cwd: place, stdio: 'pipe' });
    return 0;
  } catch (error) {
    return error.status;
  }
}

/** Makes a page by a command that ends so. */
function report(name, code, ...words) {
  const found = mongosplit(...words, '--report', `${name}.html`);
  if (found !== code) throw new Error(`${words.join(' ')}: exit code ${found}, not ${code}`);
  return { name, path: join(place, `${name}.html`) };
}

const dump = join(root, 'fixtures/dump');
const mixed = join(root, 'fixtures/odd/unrestorable-many');
const pages = [
  report('transform', 0, 'transform', dump, 'out', '--report', 'out.json'),
  report('transform-set-aside', 0, 'transform', mixed, 'mixed', '--skip-unrestorable'),
  report('verify', 0, 'verify', 'out'),
  report('inspect', 0, 'inspect', dump),
  report('inspect-failed', 3, 'inspect', join(root, 'fixtures/odd/truncated-document')),
  report('reverse', 0, 'reverse', 'out', 'back'),
  report('findings', 0, 'findings', 'out'),
  report('show', 0, 'show', 'out', '--id', 'legacy-import-58'),
  report('check', 0, 'mapping', 'check', 'builtin:user_data', dump),
];
execFileSync('cp', ['-r', 'out', 'damaged'], { cwd: place });
rmSync(join(place, 'damaged/SHA256SUMS'));
pages.push(report('verify-failing', 1, 'verify', 'damaged'));
// Each kind of part there is.
const parts = join(root, 'tests/golden/reports/parts.html');
if (existsSync(parts)) pages.push({ name: 'parts', path: parts });

/** The browser that is there, or the one of a package. */
async function browser() {
  // Nothing that a browser does by itself goes out.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];
  if (process.env.CHROMIUM) return chromium.launch({ executablePath: process.env.CHROMIUM, args });
  const { default: packed } = await import('@sparticuz/chromium');
  return chromium.launch({ executablePath: await packed.executablePath(), args });
}

let opened;
try {
  opened = await browser();
} catch (error) {
  console.log(`browser: left out: no Chromium can be started (${String(error.message).split('\n')[0]})`);
  process.exit(0);
}

const problems = [];
let looks = 0;
for (const { name, path } of pages) {
  for (const width of [360, 1440]) {
    for (const colorScheme of ['light', 'dark']) {
      const where = `${name} at ${width} px, ${colorScheme}`;
      const context = await opened.newContext({ viewport: { width, height: 900 }, colorScheme });
      const page = await context.newPage();
      const own = pathToFileURL(path).href;
      page.on('request', (request) => {
        if (request.url() !== own && !request.url().startsWith('data:')) problems.push(`${where}: asks for ${request.url()}`);
      });
      page.on('console', (message) => problems.push(`${where}: ${message.text()}`));
      page.on('pageerror', (error) => problems.push(`${where}: ${error.message}`));
      await page.goto(own);
      await page.screenshot({ path: join(screenshots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      await page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));
      problems.push(...(await page.evaluate(inspected)).map((problem) => `${where}: ${problem}`));
      if (width === 1440 && colorScheme === 'light') {
        // On paper nothing can be scrolled: A4 less its margins.
        await page.setViewportSize({ width: 680, height: 960 });
        await page.emulateMedia({ media: 'print' });
        problems.push(...(await page.evaluate(inspected, true)).map((problem) => `${name}, printed: ${problem}`));
        await page.screenshot({ path: join(screenshots, `${name}-print.png`), fullPage: true });
        await page.pdf({ path: join(screenshots, `${name}.pdf`), format: 'A4', margin: { top: '15mm', bottom: '15mm', left: '15mm', right: '15mm' } });
      }
      await context.close();
      looks += 1;
    }
  }
}
await opened.close();

/** What is wrong with the page that is open. Runs in the browser. */
function inspected(isPrinted) {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`is ${root.scrollWidth} px wide, the window ${root.clientWidth}`);
  // What is wide scrolls in its own box, or is for screen readers alone.
  for (const element of document.body.querySelectorAll('*')) {
    const box = element.getBoundingClientRect();
    if (box.right > root.clientWidth + 1 && !element.closest(isPrinted ? '.spoken' : '.scroll, pre.text, .spoken')) {
      found.push(`<${element.tagName.toLowerCase()}> ends at ${Math.round(box.right)} px: ${element.textContent.slice(0, 40)}`);
    }
  }
  if (document.scripts.length > 0) found.push('has a script');
  if (!root.lang || !document.title) found.push('has no language or title');
  const levels = [...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) found.push('has not one h1');
  levels.forEach((level, at) => { if (level > (levels[at - 1] ?? 0) + 1) found.push(`heading ${at + 1} skips a level`); });
  for (const chart of document.querySelectorAll('svg')) {
    if (chart.getAttribute('role') !== 'img' || !chart.querySelector('title')?.textContent) found.push('a chart has no title');
    if (!chart.closest('figure')?.querySelector('table')) found.push('a chart has no table');
    const edge = chart.getBoundingClientRect();
    const letters = [...chart.querySelectorAll('text')].map((text) => text.getBoundingClientRect());
    letters.forEach((one, at) => {
      if (one.left < edge.left - 1 || one.right > edge.right + 1) found.push('letters of a chart are cut');
      if (letters.slice(at + 1).some((other) => one.right > other.left && other.right > one.left && one.bottom > other.top + 2 && other.bottom > one.top + 2)) {
        found.push('letters of a chart lie over one another');
      }
    });
  }
  // WCAG AA: 4.5 to 1, of text on the first background behind it.
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((channels(colour)[3] ?? 1) > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  for (const element of document.body.querySelectorAll('*')) {
    if (element.tagName === 'title' || ![...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())) continue;
    const style = getComputedStyle(element);
    const colour = element.closest('svg') ? style.fill : style.color;
    const [light, dark] = [luminance(colour), luminance(behind(element))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) found.push(`contrast ${contrast.toFixed(2)}: ${element.textContent.slice(0, 40)}`);
  }
  return found;
}

if (problems.length > 0) {
  console.log(problems.join('\n'));
  process.exit(1);
}
console.log(`browser: ${looks} looks at ${pages.length} pages; screenshots in ${screenshots}`);
