// Ten thousand devices: how long until the first view stands, and whether the page stays quick.
import { accessible, becomes, check, counts, open, shoot, shut } from "../browser.mjs";
import { anybind } from "../machine.mjs";

export default async function many({ devices }) {
  const ready = async (page) => {
    await becomes(`all ${devices} devices are known`, async () => (await page.getByRole("status").first().innerText()).includes(devices.toLocaleString("en")));
  };
  const before = Date.now();
  check(anybind("list", "--json").code === 0, "the command lists them");
  console.log(`measured: the command takes ${Date.now() - before} ms`);
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
      await page.getByLabel("Search").fill("0000:27:01.0");
      await becomes("a search finds one", async () => (await page.getByRole("status").first().innerText()) === "1 device");
      console.log(`measured: the search takes ${Date.now() - typed} ms`);
    }
    await shut(page);
  }
  console.log(`measured: the first view takes ${times.join(", ")} ms`);
  check(Math.min(...times) < 2000, "the first view stands within 2 s", times);
}
