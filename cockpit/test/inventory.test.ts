import assert from "node:assert/strict";
import { test } from "node:test";
import type { Standing } from "../src/forms";
import { busOf, groupsOf, inOrder, matches, nameOf, pageOf, slotOf } from "../src/inventory";
import { device } from "./sample";

const titles = (groups: { title: string; devices: { address: string }[] }[]) => groups.map((group) => [group.title, ...group.devices.map((one) => one.address)]);

test("a device is called as in every message of anybind", () => {
  assert.equal(nameOf(device("0000:03:00.0")), "0000:03:00.0");
  assert.equal(nameOf(device("1-1:1.0", { bus: "usb" })), "usb/1-1:1.0");
});

test("the name tells the bus", () => {
  assert.equal(busOf("0000:03:00.0"), "pci");
  assert.equal(busOf("usb/1-1:1.0"), "usb");
});

test("the functions of a card share its slot, and virtual functions are with their card", () => {
  assert.equal(slotOf(device("0000:03:00.1")), "0000:03:00");
  assert.equal(slotOf(device("0000:03:10.0", { physical_function: "0000:03:00.1" })), "0000:03:00");
  assert.equal(slotOf(device("1-1:1.0", { bus: "usb" })), "usb/1-1");
  assert.equal(slotOf(device("odd", { bus: "vmbus" })), "vmbus/odd");
});

test("IOMMU groups come by their number, and devices without one last", () => {
  const devices = [device("0000:01:00.0", { iommu_group: null }), device("0000:02:00.0", { iommu_group: 10 }), device("0000:03:00.0", { iommu_group: 9 })];
  assert.deepEqual(titles(groupsOf(devices, "group")), [
    ["IOMMU group 9", "0000:03:00.0"],
    ["IOMMU group 10", "0000:02:00.0"],
    ["No IOMMU group", "0000:01:00.0"],
  ]);
});

test("classes come by their word, and one without a word is told so", () => {
  const devices = [device("0000:01:00.0", { class_name: "vga" }), device("0000:02:00.0"), device("0000:03:00.0", { class_name: null })];
  assert.deepEqual(titles(groupsOf(devices, "class")), [
    ["Class not known", "0000:03:00.0"],
    ["ethernet", "0000:02:00.0"],
    ["vga", "0000:01:00.0"],
  ]);
});

test("PCI comes first, then the other buses", () => {
  const devices = [device("1-1:1.0", { bus: "usb" }), device("0000:10:00.0"), device("0000:09:00.0")].sort(inOrder);
  assert.deepEqual(devices.map(nameOf), ["0000:09:00.0", "0000:10:00.0", "usb/1-1:1.0"]);
});

test("a search finds what is in the row, each word anywhere", () => {
  const it = device("0000:03:00.0", { users: ["net:eno1"], in_use: [{ guard: "open", who: "qemu (4711) has it open", next: "" }] });
  const filter = (search: string) => matches(it, undefined, { search, only: "all" });
  for (const words of ["03:00", "IGB", "eno1", "qemu", "8086:1521", "group:1", "intel igb", "  "]) assert.ok(filter(words), words);
  for (const words of ["nvme", "igb nvme"]) assert.ok(!filter(words), words);
});

test("only those in use, kept for a driver, or not as declared", () => {
  const free = device("0000:01:00.0");
  const drift = { state: "drift", rule: "guest" } as Standing;
  assert.ok(!matches(free, undefined, { search: "", only: "in-use" }));
  assert.ok(!matches(free, undefined, { search: "", only: "changed" }));
  assert.ok(matches(device("0000:01:00.0", { driver_override: "vfio-pci" }), undefined, { search: "", only: "changed" }));
  assert.ok(matches(free, drift, { search: "", only: "drift" }));
  assert.ok(matches(free, drift, { search: "guest", only: "all" }));
  assert.ok(!matches(free, { ...drift, state: "met" }, { search: "", only: "drift" }));
});

test("ten thousand devices come in pages, and every device is on one of them", () => {
  const devices = Array.from({ length: 10_000 }, (_one, at) => device(`0000:${(at >> 3).toString(16).padStart(4, "0")}:00.${at & 7}`));
  const groups = groupsOf(devices, "slot");
  const seen: string[] = [];
  const { pages } = pageOf(groups, 0, 100);
  for (let at = 0; at < pages; at++) {
    const page = pageOf(groups, at, 100);
    assert.equal(page.to - page.from + 1, 100);
    for (const group of page.groups) seen.push(...group.devices.map(nameOf));
  }
  assert.deepEqual(seen, devices.map(nameOf));
});

test("a page that is not there is the last one, and none has none", () => {
  assert.deepEqual(pageOf([], 3), { groups: [], from: 0, to: 0, total: 0, pages: 1 });
  const groups = groupsOf([device("0000:01:00.0"), device("0000:01:00.1"), device("0000:01:00.2")], "none");
  assert.deepEqual(pageOf(groups, 9, 2).groups.map((group) => group.devices.length), [1]);
  assert.equal(pageOf(groups, 9, 2).from, 3);
});
