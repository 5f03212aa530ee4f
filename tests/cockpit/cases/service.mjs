// The service is stopped, comes back, hangs, is too old, is not installed; the session with the machine is lost.
import { accessible, becomes, check, open, shoot, shut } from "../browser.mjs";
import { killAll, startService, stopService } from "../machine.mjs";

const DEVICE = "0000:07:00.0";
const body = (page) => page.innerText("body");

export default async function service({ old }) {
  const page = await open();
  const link = page.getByRole("link", { name: DEVICE, exact: true });
  await link.waitFor();
  await stopService();
  await becomes("a page whose service goes says so", async () => /service/i.test(await page.getByRole("alert").first().innerText()));
  check(await link.isVisible(), "and still shows what it knew");
  await shoot(page, "service-gone");
  await accessible(page, "without the service");

  const late = await open();
  await becomes("a page that is opened without the service says so", async () => (await late.getByRole("alert").first().innerText()).includes("not running"));
  check((await body(late)).includes("systemctl start anybindd"), "and what to type", await body(late));
  await shoot(late, "service-missing");
  await accessible(late, "a page that finds no service");

  await startService();
  await late.getByRole("link", { name: DEVICE, exact: true }).waitFor();
  await becomes("both pages go on when the service is there", async () => (await page.getByRole("alert").count()) === 0 && (await link.isVisible()));
  await shut(late);

  await stopService();
  await startService(...old);
  const aged = await open();
  await becomes("a service that is too old is told of", async () => /too old/.test(await body(aged)));
  check(/[Uu]pdate/.test(await body(aged)), "and what to do", await body(aged));
  await shoot(aged, "service-old");
  await shut(aged);
  await stopService();
  await startService();
  await becomes("the first page goes on", async () => (await page.getByRole("alert").count()) === 0 && (await link.isVisible()));

  killAll("cockpit-bridge");
  await becomes("a lost session is told of", async () => /alert/.test(await page.getByRole("alert").first().getAttribute("role")));
  await shoot(page, "session-lost");
}
