// What people do on the page, in the words that they see there.
import { becomes, check } from "./browser.mjs";

export const deviceLink = (page, name) => page.getByRole("link", { name, exact: true });
export const dialog = (page) => page.getByRole("dialog");
export const view = (page, name) => page.getByRole("navigation", { name: "Views" }).getByRole("link", { name, exact: true }).click();
const button = (at, name) => at.getByRole("button", { name, exact: true });

export async function goTo(page, device) {
  await view(page, "Devices");
  await page.getByLabel("Search").fill(device);
  await deviceLink(page, device).click();
  await page.getByRole("heading", { name: device, level: 2 }).waitFor();
}

// Opens the dialog and asks for the driver; the plan stands when this comes back.
export async function askFor(page, device, driver, { group = false } = {}) {
  await goTo(page, device);
  await button(page, "Give to a driver…").click();
  await dialog(page).getByRole("radio", { name: new RegExp(`^${driver}\\b`) }).check();
  if (group) await dialog(page).getByRole("checkbox", { name: /With its whole IOMMU group/ }).check();
}

export async function planned(page, text) {
  await dialog(page).getByRole("heading", { name: "What would happen" }).waitFor();
  await becomes(`the plan says "${text}"`, async () => (await dialog(page).innerText()).includes(text));
}

export async function press(page, name) {
  await button(dialog(page), name).click();
}

export async function done(page, what) {
  await becomes(`${what}: done`, async () => {
    const words = await dialog(page).innerText();
    if (/Not done|Not permitted|Refused|Not complete/.test(words)) throw new Error(words);
    return /^Success alert:|\bDone\b/m.test(words) && (await button(dialog(page), "Close").last().isVisible());
  });
  await close(page);
}

export async function close(page) {
  await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
}

export async function says(page, pattern, what) {
  await becomes(what, async () => {
    const words = await dialog(page).innerText();
    if (!pattern.test(words)) throw new Error(words);
    return true;
  });
}

// By the keyboard alone: Tab until what has the focus is called so.
export async function tabTo(page, name, most = 60) {
  for (let presses = 0; presses < most; presses += 1) {
    const now = await page.evaluate(() => {
      const at = document.activeElement;
      const label = at?.labels?.[0]?.innerText ?? at?.getAttribute("aria-label") ?? at?.innerText ?? "";
      const box = at?.getBoundingClientRect();
      return { label: label.trim(), seen: Boolean(box && box.width > 0 && box.height > 0) };
    });
    if (name instanceof RegExp ? name.test(now.label) : now.label === name) return check(now.seen, `the focus is seen on "${now.label}"`);
    await page.keyboard.press("Tab");
  }
  return check(false, `Tab reaches "${name}"`);
}
