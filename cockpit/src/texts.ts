// Words that the page has itself. Pure. Where the service has words, those are shown.
import type { Declared, Outcome } from "./forms";

export function driverText(driver: string | null): string {
  return driver ?? "no driver";
}

/** What becomes of one device: "igb → vfio-pci". */
export function bindingText(outcome: Outcome): string {
  if (outcome.gone) return "is removed";
  const before = driverText(outcome.before.driver);
  const after = driverText(outcome.after.driver);
  if (before !== after) return `${before} → ${after}`;
  if (outcome.before.driver_override !== outcome.after.driver_override) {
    const now = outcome.after.driver_override;
    return now === null ? `stays with ${after}, and is free again for any driver` : `stays with ${after}, and is kept for ${now}`;
  }
  return `stays with ${after}`;
}

export function declaredText(declared: Declared): string {
  const parts: string[] = [];
  if (declared.vfs !== null) parts.push(declared.vfs === 1 ? "1 virtual function" : `${declared.vfs} virtual functions`);
  if (declared.driver === "none") parts.push("no driver");
  else if (declared.driver === "default") parts.push("the driver that the bus chooses");
  else if (declared.driver !== null) parts.push(declared.driver);
  return parts.join(", ") || "nothing";
}

export function devicesText(count: number): string {
  return count === 1 ? "1 device" : `${count.toLocaleString("en")} devices`;
}

export function timeText(seconds: number | null): string {
  if (seconds === null || seconds > 8_640_000_000_000) return "";
  return new Date(seconds * 1000).toLocaleString();
}
