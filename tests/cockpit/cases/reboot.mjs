// The whole job on a machine that starts again in its middle (tests/boot/cases/page.sh): look, understand why not, give a group away
// for good; and behind the boot, see that it is so and give it back. Somebody logs in by Cockpit's own page.
import { becomes, check, open, shoot, shut } from "../browser.mjs";
import { askFor, deviceLink, done, goTo, planned, press, view } from "../steps.mjs";

const HOST = { name: "root", password: "anybind" }; // of page.sh

// Cockpit gives up a login that takes long, as it may on a busy machine; who sits there tries again.
async function enter(page, { name, password }, tries = 4) {
  await page.goto(`${new URL(page.url()).origin}/`);
  await page.locator("#login-user-input").fill(name);
  await page.locator("#login-password-input").fill(password);
  const answered = page.waitForResponse((answer) => answer.url().endsWith("/cockpit/login") && answer.request().headers()["authorization"] !== undefined);
  await page.locator("#login-button").click();
  const status = (await answered).status();
  if (status >= 500 && tries > 1) return enter(page, { name, password }, tries - 1);
  return check(status === 200, `${name} has logged in`, status);
}

const lasts = (page) => page.getByRole("dialog").getByRole("checkbox", { name: /^Also after the next start of the machine/ });
const ruleToo = (page) => page.getByRole("dialog").getByRole("checkbox", { name: /^And remove its rule/ });
const wholeGroup = (page) => page.getByRole("dialog").getByRole("checkbox", { name: /With its whole IOMMU group/ });
const main = (page) => page.innerText("main");

async function asDeclared(page) {
  await view(page, "Rules");
  await becomes("the page says that every device is as declared", async () => (await main(page)).includes("Every device is as declared."));
}

async function give(page, card, rest) {
  await goTo(page, card);
  await page.getByLabel(/Why can a driver have it/).selectOption("vfio-pci");
  await becomes("the page tells why not: the rest of the group", async () =>
    /The group cannot be opened by a guest or a program yet/.test(await main(page)) && (await main(page)).includes(`${rest}: `));
  await shoot(page, "why");
  await askFor(page, card, "vfio-pci", { group: true });
  await lasts(page).check();
  await planned(page, `${card}: e1000e → vfio-pci`);
  await planned(page, `${rest}: snd_hda_intel → vfio-pci`);
  await shoot(page, "plan");
  await press(page, "Give to vfio-pci");
  await done(page, "the group, for good");
  await asDeclared(page);
  await becomes("the rule is shown", async () => (await main(page)).includes(card));
  await shoot(page, "rules");
}

async function giveBack(page, card, rest) {
  await asDeclared(page);
  await shoot(page, "after-the-boot");
  await goTo(page, card);
  await becomes("after the boot the page shows the card with vfio-pci", async () => /vfio-pci/.test(await page.innerText("main dl")));
  await page.getByRole("button", { name: "Restore…" }).click();
  await wholeGroup(page).check();
  await ruleToo(page).check();
  await planned(page, `${card}: vfio-pci → e1000e`);
  await planned(page, `${rest}: vfio-pci → `); // which driver that is, udev decides: it loads the module afterwards
  await shoot(page, "back");
  await press(page, "Restore");
  await done(page, "the group is given back, and its rules are removed");
  await view(page, "Rules");
  await becomes("no rule names the card any more", async () => !(await main(page)).includes(card));
}

export default async function reboot({ part, card, rest }) {
  const page = await open({ enter: (fresh) => enter(fresh, HOST) });
  await deviceLink(page, card).waitFor();
  check(true, "the page shows the machine's devices");
  await (part === "give" ? give : giveBack)(page, card, rest);
  await shut(page);
}
