import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../src/forms";
import { bindingText, declaredText, devicesText, timeText } from "../src/texts";
import { isDark } from "../src/theme";

const outcome = (before: string | null, after: string | null, more: Partial<Outcome> = {}): Outcome => ({
  bus: "pci",
  address: "0000:03:00.0",
  before: { driver: before, driver_override: null },
  after: { driver: after, driver_override: null },
  changed: true,
  written: true,
  gone: false,
  ...more,
});

test("what becomes of a device", () => {
  assert.equal(bindingText(outcome("igb", "vfio-pci")), "igb → vfio-pci");
  assert.equal(bindingText(outcome("igb", null)), "igb → no driver");
  assert.equal(bindingText(outcome("igb", "igb")), "stays with igb");
  assert.equal(bindingText(outcome("igb", null, { gone: true })), "is removed");
  assert.equal(bindingText(outcome("igb", "igb", { after: { driver: "igb", driver_override: "igb" } })), "stays with igb, and is kept for igb");
  assert.equal(
    bindingText(outcome("igb", "igb", { before: { driver: "igb", driver_override: "igb" } })),
    "stays with igb, and is free again for any driver",
  );
});

test("what a rule says", () => {
  assert.equal(declaredText({ driver: "vfio-pci", vfs: null }), "vfio-pci");
  assert.equal(declaredText({ driver: "none", vfs: 1 }), "1 virtual function, no driver");
  assert.equal(declaredText({ driver: "default", vfs: 4 }), "4 virtual functions, the driver that the bus chooses");
  assert.equal(declaredText({ driver: null, vfs: null }), "nothing");
});

test("numbers and times", () => {
  assert.equal(devicesText(1), "1 device");
  assert.equal(devicesText(10_000), "10,000 devices");
  assert.equal(timeText(null), "");
  assert.equal(timeText(Number.MAX_SAFE_INTEGER), "");
});

test("dark as Cockpit has it: its own choice first, then the system's", () => {
  assert.ok(isDark("dark", false));
  assert.ok(!isDark("light", true));
  assert.ok(isDark("auto", true) && isDark(null, true));
  assert.ok(!isDark("auto", false) && !isDark(null, false));
});
