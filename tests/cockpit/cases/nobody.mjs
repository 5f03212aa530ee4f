// A user without rights: may look; may do what polkit lets him do, and nothing else; and is told so.
import { accessible, check, open, shoot, shut } from "../browser.mjs";
import { driverOf } from "../machine.mjs";
import { askFor, close, deviceLink, done, goTo, planned, press, says } from "../steps.mjs";

export default async function nobody({ allowed, other }) {
  const page = await open();
  await deviceLink(page, other).waitFor();
  check(true, "who has no rights may look");
  await askFor(page, other, "vfio-pci");
  await planned(page, `${other}: igb → vfio-pci`);
  await press(page, "Give to vfio-pci");
  await says(page, /Not permitted: nothing was changed/, "what polkit does not allow is not permitted");
  await says(page, /this user may not change it/, "in the service's words");
  await shoot(page, "not-permitted");
  await accessible(page, "what is not permitted");
  check(driverOf(other) === "igb", "and is not done", driverOf(other));
  await close(page);
  await askFor(page, allowed, "vfio-pci");
  await planned(page, `${allowed}: igb → vfio-pci`);
  await press(page, "Give to vfio-pci");
  await done(page, "what polkit allows");
  check(driverOf(allowed) === "vfio-pci", "the card is with vfio-pci", driverOf(allowed));
  await goTo(page, allowed);
  await page.getByRole("button", { name: "Restore…" }).click();
  await planned(page, `${allowed}: vfio-pci → igb`);
  await press(page, "Restore");
  await done(page, "the way back");
  check(driverOf(allowed) === "igb", "and is given back", driverOf(allowed));
  await shut(page);
}
