// The whole job: look, understand why not, bind a group, undo, see a refusal, bind by the keyboard, declare by a rule, give back.
import * as fs from "node:fs";
import { accessible, becomes, check, open, shoot, shut } from "../browser.mjs";
import { driverOf, overrideOf, serviceHas, startService, stopService } from "../machine.mjs";
import { askFor, close, deviceLink, dialog, done, goTo, planned, press, says, tabTo, view } from "../steps.mjs";

const CARD = "0000:03:00.0";
const SOUND = "0000:03:00.1";
const SCREEN = "0000:01:00.0";
const NIC = "0000:07:00.0";

export default async function job() {
  const page = await open();
  await deviceLink(page, CARD).waitFor();
  await goTo(page, CARD);
  await page.getByLabel(/Why can a driver have it/).selectOption("vfio-pci");
  await becomes("the page tells why not: the rest of the group", async () =>
    /The group cannot be opened by a guest or a program yet/.test(await page.innerText("main")) && (await page.innerText("main")).includes(`${SOUND}: `));
  await shoot(page, "device");
  await accessible(page, "a device");

  await askFor(page, CARD, "vfio-pci", { group: true });
  await planned(page, `${CARD}: amdgpu → vfio-pci`);
  await planned(page, `${SOUND}: snd_hda_intel → vfio-pci`);
  await shoot(page, "plan");
  await accessible(page, "the plan of a change");
  check(driverOf(CARD) === "amdgpu", "until the button is pressed nothing has happened", driverOf(CARD));
  await press(page, "Give to vfio-pci");
  await done(page, "the group");
  check(driverOf(CARD) === "vfio-pci" && driverOf(SOUND) === "vfio-pci", "the whole group is with vfio-pci", `${driverOf(CARD)} ${driverOf(SOUND)}`);
  await becomes("the page shows it", async () => /vfio-pci/.test(await page.innerText("main dl")));

  await view(page, "History");
  await shoot(page, "history");
  await accessible(page, "the history");
  await page.getByRole("button", { name: /^Undo change/ }).first().click();
  await planned(page, `${CARD}: vfio-pci → amdgpu`);
  await dialog(page).getByRole("button", { name: /^Undo change/ }).click();
  await done(page, "the undo");
  check(driverOf(CARD) === "amdgpu" && driverOf(SOUND) === "snd_hda_intel", "both are with their drivers again", `${driverOf(CARD)} ${driverOf(SOUND)}`);
  check(overrideOf(CARD) === "(null)", "and nothing is kept", overrideOf(CARD));

  await askFor(page, SCREEN, "vfio-pci", { group: true });
  await says(page, /Refused/, "the card that shows the screen is refused");
  await says(page, /display/, "and the page says why");
  check(await dialog(page).getByRole("button", { name: "Give to vfio-pci" }).isDisabled(), "the button cannot be pressed");
  await shoot(page, "refused");
  await accessible(page, "a refusal");
  check(driverOf(SCREEN) === "nouveau", "nothing has happened to it");
  await close(page);

  await goTo(page, NIC);
  await page.evaluate(() => document.activeElement?.blur());
  await tabTo(page, "Give to a driver…");
  await page.keyboard.press("Enter");
  await dialog(page).getByRole("radio", { name: /^vfio-pci/ }).waitFor();
  await tabTo(page, /^igb/);
  for (let presses = 0; presses < 10 && !(await dialog(page).getByRole("radio", { name: /^vfio-pci/ }).isChecked()); presses += 1) {
    await page.keyboard.press("ArrowDown");
  }
  await planned(page, `${NIC}: igb → vfio-pci`);
  await tabTo(page, "Give to vfio-pci");
  await page.keyboard.press("Enter");
  await done(page, "by the keyboard");
  check(driverOf(NIC) === "vfio-pci", "the keyboard alone binds a card", driverOf(NIC));

  await goTo(page, NIC);
  await page.getByRole("button", { name: "Restore…" }).click();
  await planned(page, `${NIC}: vfio-pci → igb`);
  await press(page, "Restore");
  await done(page, "the restore");
  check(driverOf(NIC) === "igb" && overrideOf(NIC) === "(null)", "the card is given back", `${driverOf(NIC)} ${overrideOf(NIC)}`);
  await rule(page);
  await shut(page);
  await narrow();
}

const RULE = `[[rule]]\nname = "guest"\nmatch = { device = "${NIC}" }\ndriver = "vfio-pci"\n`;

async function write(page) {
  await page.getByRole("button", { name: "New file of rules…" }).click();
  await dialog(page).getByLabel("Name of the file, without .toml").fill("50-guest");
  await dialog(page).getByLabel("Rules", { exact: true }).fill(RULE.replace("driver", "drivr"));
  await says(page, /wrong/, "a word that no rule has is told of before the file is written");
  await shoot(page, "rule-wrong");
  await dialog(page).getByLabel("Rules", { exact: true }).fill(RULE);
  await says(page, /Nothing is wrong/, "a right one is right");
  await says(page, new RegExp(NIC), "and what it would change is shown");
  await shoot(page, "rule");
  await accessible(page, "the editor of rules");
  await press(page, "Save");
  await says(page, /Written/, "the rule is written");
  await close(page);
}

async function remove(page) {
  await page.getByRole("button", { name: /^Edit .*50-guest/ }).click();
  await dialog(page).getByLabel("Rules", { exact: true }).fill("");
  await press(page, "Remove the file");
  await says(page, /Removed/, "the rule is removed");
  await close(page);
}

// A rule is written on the page, made so, holds when the service starts again, and is removed there. Where the service cannot write
// rules the page has to say so, and the file is written beside it.
async function rule(page) {
  await view(page, "Rules");
  const file = `${process.env.LAB_DIR}/rules/50-guest.toml`;
  const canWrite = serviceHas("WriteRules");
  if (canWrite) await write(page);
  else {
    await becomes("a service that cannot write rules is told of", async () => /too old to show or write/.test(await page.innerText("main")));
    fs.writeFileSync(file, RULE);
  }
  await becomes("the service makes it so", async () => driverOf(NIC) === "vfio-pci" || (await makeSo(page)));
  await view(page, "Rules");
  await becomes("the page says that every device is as declared", async () => (await page.innerText("main")).includes("Every device is as declared."));
  await shoot(page, "rules");
  await accessible(page, "the rules");
  await stopService();
  await startService();
  await becomes("the rule holds when the service starts again", async () => driverOf(NIC) === "vfio-pci" &&
    (await page.innerText("main")).includes("Every device is as declared."));

  if (canWrite) await remove(page);
  else fs.unlinkSync(file);
  await view(page, "Rules");
  await becomes("the page shows no rule", async () => (await page.innerText("main")).includes("There is no rule."));
  await goTo(page, NIC);
  await page.getByRole("button", { name: "Restore…" }).click();
  await planned(page, `${NIC}: vfio-pci → igb`);
  await press(page, "Restore");
  await done(page, "the way back after the rule");
  check(driverOf(NIC) === "igb", "the card is given back", driverOf(NIC));
}

async function makeSo(page) {
  const make = page.getByRole("button", { name: "Make it so…" });
  if (!(await make.isEnabled())) return false;
  await make.click();
  await press(page, "Make it so");
  await done(page, "the rules");
  return true;
}

async function narrow() {
  for (const dark of [false, true]) {
    const page = await open({ width: 390, dark });
    await deviceLink(page, CARD).waitFor();
    await askFor(page, CARD, "vfio-pci", { group: true });
    await planned(page, "amdgpu → vfio-pci");
    const name = `plan-${dark ? "dark" : "light"}-390`;
    await shoot(page, name);
    await accessible(page, name);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    check(over <= 0, `${name}: nothing stands out to the right`, `${over} px`);
    await close(page);
    await shut(page);
  }
}
