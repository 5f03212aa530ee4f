// Ten thousand devices: how long until the first view stands, and whether the page stays quick.
import * as os from "node:os";
import { accessible, becomes, check, open, shoot, shut } from "../browser.mjs";
import { anybind } from "../machine.mjs";

export default async function many({ devices }) {
  const before = Date.now();
  const listed = JSON.parse(anybind("list", "--json").said);
  check(listed.length >= devices, "the command lists them", listed.length);
  console.log(`measured: the command takes ${Date.now() - before} ms`);
  const ready = async (page) => {
    await becomes(`all ${devices} devices are known`, async () => (await page.getByRole("status").first().innerText()).includes(`of ${listed.length.toLocaleString("en")} devices`));
  };
  const times = [];
  for (let round = 0; round < 3; round += 1) {
    const start = Date.now();
    const page = await open();
    await ready(page);
    times.push(Date.now() - start);
    if (round === 2) {
      await shoot(page, "many");
      await accessible(page, "ten thousand devices");
      const typed = Date.now();
      await page.getByLabel("Search").fill(listed.at(-1).address);
      await becomes("a search finds one", async () => (await page.getByRole("status").first().innerText()) === "1 device");
      console.log(`measured: the search takes ${Date.now() - typed} ms`);
    }
    await shut(page);
  }
  console.log(`measured: the first view takes ${times.join(", ")} ms`);
  // Two seconds of this machine's own time: where others want the processors too, it takes as much longer.
  const shared = Math.max(1, os.loadavg()[0] / os.cpus().length);
  check(Math.min(...times) < 2000 * shared, "the first view stands within 2 s", `${times} ms on a machine that others use ${shared.toFixed(1)} times`);
}
