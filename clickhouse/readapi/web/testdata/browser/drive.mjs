// Walks through the page as a person without scripts would, and prints what it
// saw as one JSON object. Arguments: chromium, address of the page with its
// one-time token, folder for screenshots ("" for none).
import { chromium } from "playwright-core";

const [, , executablePath, address, shots] = process.argv;
const seen = { outside: [], failed: [], console: [] };
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-dev-shm-usage"],
});

async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 860 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15000);
  const origin = new URL(address).origin;
  page.on("request", (r) => { if (new URL(r.url()).origin !== origin) seen.outside.push(r.url()); });
  page.on("response", (r) => { if (r.status() >= 400) seen.failed.push(r.status() + " " + new URL(r.url()).pathname); });
  page.on("console", (m) => seen.console.push(m.text()));
  return { context, page };
}

async function shot(page, name) {
  if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

const seconds = (page, selector) => page.$$eval(selector, (all) => all.map((d) => Number(d.getAttribute("value"))));
const texts = (page, selector) => page.$$eval(selector, (all) => all.map((e) => e.innerText.replace(/\s+/g, " ").trim()));

try {
  const { context, page } = await open({ javaScriptEnabled: false });
  await page.goto(address);
  seen.afterEnter = new URL(page.url()).pathname + new URL(page.url()).search;
  seen.lang = await page.getAttribute("html", "lang");
  seen.titles = [await page.title()];
  await shot(page, "networks");

  await page.click("text=Acme");
  seen.titles.push(await page.title());
  await shot(page, "users");
  // With the keyboard: the search is reached by its label and sent by Enter.
  await page.getByLabel("Find a user").focus();
  await page.keyboard.type("NOV");
  await page.keyboard.press("Enter");
  await page.waitForURL(/q=NOV/);
  seen.found = await texts(page, "table.users tbody th a");
  await page.focus("table.users tbody th a");
  await page.keyboard.press("Enter");
  await page.waitForURL(/record/);

  seen.titles.push(await page.title());
  seen.lead = await page.innerText(".lead");
  seen.days = await texts(page, "table.days tbody th");
  seen.totals = await texts(page, "table.days td.total");
  seen.dayBars = await page.$$eval("table.days svg rect", (all) => all.length);
  seen.fresh = await page.innerText("footer.fresh");
  await page.click("summary");
  seen.csv = await page.getAttribute(".menu a", "href");
  await shot(page, "record");
  const csv = await page.request.get(new URL(seen.csv, address).href);
  seen.csvStatus = csv.status();
  seen.csvText = await csv.text();

  await page.fill("#viewer_tz", "Europe/London");
  await page.click("text=Show");
  await page.click("text=Thu, 12 Mar 2026");
  seen.titles.push(await page.title());
  seen.sessions = await texts(page, "table.sessions tbody tr");
  seen.sessionSeconds = await seconds(page, "table.sessions tbody data");
  seen.dayTotal = await seconds(page, "table.sessions tfoot data");
  await shot(page, "day");
  await page.click("text=Back to the days");
  await page.click("text=Fri, 13 Mar 2026");
  seen.short = await texts(page, "table.sessions tbody tr");
  await page.goBack();
  await page.click("text=Sat, 14 Mar 2026");
  seen.running = await texts(page, "table.sessions tbody tr");
  await shot(page, "running");
  await page.goBack();
  await page.click("text=Wed, 11 Mar 2026");
  seen.continued = await texts(page, "table.sessions tbody tr");

  // The range form reaches further back.
  await page.click("text=Back to the days");
  await page.fill("#from", "2025-10-01");
  await page.fill("#to", "2025-10-31");
  await page.click("text=Show");
  seen.older = await texts(page, "table.days tbody th");
  const state = await context.storageState();
  seen.cookie = state.cookies.map((c) => `${c.name} httpOnly=${c.httpOnly} sameSite=${c.sameSite}`);
  await context.close();

  // Dark, on a phone, with scripts: the script may only tell the zone.
  const dark = await open({ storageState: state, colorScheme: "dark", viewport: { width: 390, height: 800 }, timezoneId: "Asia/Tokyo" });
  await dark.page.goto(new URL("/n/acme/record?user=anna", address).href);
  await shot(dark.page, "record-dark-phone");
  await dark.page.goto(new URL("/n/acme/day?user=anna&date=2026-03-12", address).href);
  await dark.page.waitForSelector("text=8 h behind you");
  seen.scriptNote = (await texts(dark.page, "table.sessions tbody tr"))[0];
  seen.sideways = await dark.page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
  await shot(dark.page, "day-dark-phone");
  await dark.context.close();

  // Nobody comes in without the cookie; the link works once.
  const stranger = await open({ javaScriptEnabled: false });
  seen.failedBefore = seen.failed.length;
  seen.consoleBefore = seen.console.length;
  const again = await stranger.page.goto(address);
  seen.secondUse = again.status();
  await shot(stranger.page, "signin");
  await stranger.page.goto(new URL("/n/acme", address).href);
  seen.strangerTitle = await stranger.page.title();
  await stranger.context.close();
} catch (e) {
  seen.error = String(e);
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
