// The machine that the page is about, as its root sees it beside the browser: a lab, its service, its command.
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

const dir = process.env.LAB_DIR;
let daemon = Number(process.env.DAEMON);

export function run(...words) {
  const done = spawnSync(words[0], words.slice(1), { encoding: "utf8", maxBuffer: 1 << 28 });
  return { code: done.status, said: `${done.stdout}${done.stderr}` };
}

export const anybind = (...words) => run(`${dir}/anybind`, ...words);
export const lab = (...words) => run("anybind", "lab", ...words);

export function driverOf(device) {
  try {
    return path.basename(fs.readlinkSync(`/sys/bus/pci/devices/${device}/driver`));
  } catch {
    return "";
  }
}

export const overrideOf = (device) => fs.readFileSync(`/sys/bus/pci/devices/${device}/driver_override`, "utf8").trim();

export async function stopService(signal = "SIGTERM") {
  process.kill(daemon, signal);
  while (alive(daemon)) await new Promise((resolve) => { setTimeout(resolve, 20); });
}

// The service again, or something else in its place.
export async function startService(...words) {
  const command = words.length ? words : [`${dir}/anybindd`, "--rules", `${dir}/rules`];
  const log = fs.openSync(`${dir}/said`, "a");
  const child = spawn(command[0], command.slice(1), { stdio: ["ignore", log, log], detached: true });
  child.unref();
  daemon = child.pid;
  while (run("busctl", "--system", "status", "org.anybind.Manager1").code !== 0) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    if (child.exitCode !== null) throw new Error(`${command.join(" ")} has ended: ${fs.readFileSync(`${dir}/said`, "utf8")}`);
  }
}

export const serviceHas = (method) => run("busctl", "--system", "introspect", "org.anybind.Manager1", "/org/anybind/Manager1").said.includes(`.${method} `);

export const pauseService = () => process.kill(daemon, "SIGSTOP");
export const resumeService = () => process.kill(daemon, "SIGCONT");

// The processes of that name, which the lab alone has.
export const killAll = (name, signal = "TERM") => run("pkill", `-${signal}`, "-x", name);

function alive(pid) {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
