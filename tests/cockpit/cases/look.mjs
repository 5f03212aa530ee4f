// The list: what is there, how it is found, what it looks like in light and dark, wide and narrow; and devices that come and go meanwhile.
import { accessible, becomes, check, open, shoot, shut } from "../browser.mjs";
import { anybind, driverOf, lab } from "../machine.mjs";

const OTHER = "0000:07:00.0";

export default async function look() {
  const page = await open();
  const rows = page.getByRole("table", { name: "Devices" }).getByRole("row");
  const row = (address) => rows.filter({ has: page.getByRole("link", { name: address, exact: true }) });
  await row(OTHER).waitFor();
  check((await row(OTHER).innerText()).includes("igb"), "the list shows a card with its driver", await row(OTHER).innerText());
  const { said } = anybind("list", "--json");
  const listed = JSON.parse(said);
  await becomes("it has as many devices as the command", async () => (await page.getByRole("status").first().innerText()) === `${listed.length} devices`);
  await shoot(page, "list-light-1280");
  await accessible(page, "the list in light");

  await page.getByLabel("Search").fill("0000:03:00");
  await becomes("a search leaves what fits", async () => (await row("0000:03:00.0").count()) === 1 && (await row(OTHER).count()) === 0);
  await page.getByLabel("Search").fill("");
  await page.getByLabel("Group by").selectOption({ label: "IOMMU group" });
  await becomes("devices stand in their groups", async () => (await page.getByRole("rowheader", { name: "IOMMU group 13" }).count()) === 1);
  await shoot(page, "list-groups");

  check(lab("remove", OTHER).code === 0, "a card is pulled out");
  await becomes("the page loses it by itself", async () => (await row(OTHER).count()) === 0);
  check(lab("add", OTHER).code === 0, "and put in again");
  await becomes("the page shows it again", async () => (await row(OTHER).count()) === 1);
  await becomes("with its driver", async () => (await row(OTHER).innerText()).includes("igb"));
  check(anybind("bind", OTHER, "vfio-pci").code === 0 && driverOf(OTHER) === "vfio-pci", "somebody types a command");
  await becomes("the page shows the new driver", async () => (await row(OTHER).innerText()).includes("vfio-pci"));
  await shut(page);

  for (const [width, dark] of [[1280, true], [390, false], [390, true]]) {
    const other = await open({ width, dark });
    const name = `list-${dark ? "dark" : "light"}-${width}`;
    await other.getByRole("link", { name: OTHER, exact: true }).waitFor();
    await shoot(other, name);
    await accessible(other, name);
    const over = await other.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    check(over <= 0, `${name}: nothing stands out to the right`, `${over} px`);
    if (dark) {
      const colour = await other.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number));
      check(Math.max(...colour) < 100, `${name}: it is dark`, colour);
    }
    await shut(other);
  }
}
