// Two browsers and a command at once; a service that dies in a change.
import { spawn } from "node:child_process";
import { becomes, check, open, shoot, shut } from "../browser.mjs";
import { anybind, driverOf, overrideOf, pauseService, startService, stopService } from "../machine.mjs";
import { askFor, close, deviceLink, dialog, planned, press, says } from "../steps.mjs";

const NIC = "0000:06:00.0";
const END = /\bDone\b|Not done|Refused|Not complete/;

async function ended(page, what) {
  await becomes(`${what} tells how it ended`, async () => {
    const words = await dialog(page).innerText();
    if (!END.test(words)) throw new Error(words);
    return true;
  });
  return dialog(page).innerText();
}

export default async function together() {
  const pages = [await open(), await open()];
  for (const page of pages) {
    await deviceLink(page, NIC).waitFor();
    await askFor(page, NIC, "vfio-pci");
    await planned(page, `${NIC}: igb → vfio-pci`);
  }
  const command = spawn(`${process.env.LAB_DIR}/anybind`, ["bind", NIC, "vfio-pci"], { stdio: "ignore" });
  const left = new Promise((resolve) => { command.on("exit", resolve); });
  await Promise.all(pages.map((page) => press(page, "Give to vfio-pci").catch(() => undefined)));
  check([0, 1, 3].includes(await left), "the command ends");
  await becomes("the card is with vfio-pci", async () => driverOf(NIC) === "vfio-pci" && overrideOf(NIC) === "vfio-pci");
  for (const [index, page] of pages.entries()) {
    const words = await dialog(page).innerText();
    // Whoever came late may have found it done already before the button was pressed.
    if (/Give to vfio-pci/.test(words) && !END.test(words)) await says(page, /There is nothing to do: it is so already|vfio-pci/, `browser ${index} sees that it is so already`);
    else await ended(page, `browser ${index}`);
    await close(page);
    await becomes(`browser ${index} shows what is so`, async () => (await page.innerText("main dl")).includes("vfio-pci"));
  }
  const history = JSON.parse(anybind("history", "--json").said);
  check(history.filter((one) => one.result === "done").length >= 1, "the history has it", JSON.stringify(history));
  check(anybind("restore", NIC).code === 0 && driverOf(NIC) === "igb", "and it is given back");

  const [page, other] = pages;
  await shut(other);
  await askFor(page, NIC, "vfio-pci");
  await planned(page, `${NIC}: igb → vfio-pci`);
  pauseService();
  await press(page, "Give to vfio-pci");
  await says(page, /Working/, "a change goes on");
  await stopService("SIGKILL");
  await says(page, /What came of it is not known yet/, "of a service that dies in a change the page does not claim to know");
  await shoot(page, "not-known");
  await startService();
  await says(page, /The service is there/, "until it is back, and tells");
  await close(page);
  await becomes("the page shows what is so", async () => (await page.innerText("main dl")).includes(driverOf(NIC)));
  await shut(page);
}
