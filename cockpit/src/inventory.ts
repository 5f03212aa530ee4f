// The table of devices: order, groups, search, pages. Pure.
import type { Device, Standing } from "./forms";

export const PAGE = 100;

/** As in every message of anybind: 0000:03:00.0 on PCI, else usb/1-1:1.0. */
export function nameOf(device: { bus: string; address: string }): string {
  return device.bus === "pci" ? device.address : `${device.bus}/${device.address}`;
}

/** Of a name as nameOf() makes it. */
export function busOf(name: string): string {
  const end = name.indexOf("/");
  return end > 0 ? name.slice(0, end) : "pci";
}

export const BUSES: readonly { key: string; label: string }[] = [
  { key: "pci", label: "PCI" },
  { key: "usb", label: "USB" },
  ...["platform", "auxiliary", "vmbus", "fsl-mc", "cdx"].map((bus) => ({ key: bus, label: bus })),
];

export type Grouping = "slot" | "group" | "class" | "none";
export const GROUPINGS: readonly { key: Grouping; label: string }[] = [
  { key: "slot", label: "Slot" },
  { key: "group", label: "IOMMU group" },
  { key: "class", label: "Class" },
  { key: "none", label: "Nothing" },
];

/** What the functions of one card share: 0000:03:00 of 0000:03:00.1, 1-1 of usb/1-1:1.0. A virtual function is with its card. */
export function slotOf(device: Device): string {
  const address = device.physical_function ?? device.address;
  const end = device.bus === "pci" ? address.lastIndexOf(".") : address.indexOf(":");
  const slot = end > 0 ? address.slice(0, end) : address;
  return device.bus === "pci" ? slot : `${device.bus}/${slot}`;
}

export interface Group {
  key: string;
  title: string;
  devices: Device[];
}

function keyOf(device: Device, grouping: Grouping): [string, string] {
  switch (grouping) {
    case "slot":
      return [slotOf(device), `Slot ${slotOf(device)}`];
    case "group":
      return device.iommu_group === null ? ["none", "No IOMMU group"] : [String(device.iommu_group), `IOMMU group ${device.iommu_group}`];
    case "class":
      return [device.class_name ?? "", device.class_name ?? "Class not known"];
    case "none":
      return ["", ""];
  }
}

/** Groups in the order of their keys, numbers as numbers; devices without a group come last. */
export function groupsOf(devices: readonly Device[], grouping: Grouping): Group[] {
  const groups = new Map<string, Group>();
  for (const device of devices) {
    const [key, title] = keyOf(device, grouping);
    const group = groups.get(key);
    if (group) group.devices.push(device);
    else groups.set(key, { key, title, devices: [device] });
  }
  const out = [...groups.values()];
  const number = (group: Group) => (group.key === "none" ? Infinity : Number(group.key));
  if (grouping === "group") return out.sort((a, b) => number(a) - number(b) || 0);
  return out.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
}

/** By bus and address, which is the order in which the kernel counts. */
export function inOrder(a: Device, b: Device): number {
  const one = nameOf(a);
  const other = nameOf(b);
  if (a.bus !== b.bus) return a.bus === "pci" ? -1 : b.bus === "pci" ? 1 : a.bus < b.bus ? -1 : 1;
  return one < other ? -1 : one > other ? 1 : 0;
}

export interface Filter {
  search: string;
  only: "all" | "changed" | "in-use" | "drift";
}

/** What a search looks at, of each device put together once: a search goes over all of them at every key. */
const SEARCHED = new WeakMap<Device, string>();

function searched(device: Device): string {
  let text = SEARCHED.get(device);
  if (text === undefined) {
    text = [
      nameOf(device),
      device.name,
      device.driver ?? "no driver",
      device.class_name,
      device.vendor && device.device ? `${device.vendor}:${device.device}` : "",
      device.iommu_group === null ? "" : `group:${device.iommu_group}`,
      ...device.users,
      ...device.in_use.map((user) => user.who),
    ]
      .join("\n")
      .toLowerCase();
    SEARCHED.set(device, text);
  }
  return text;
}

export function matches(device: Device, standing: Standing | undefined, filter: Filter): boolean {
  if (filter.only === "in-use" && device.in_use.length === 0) return false;
  if (filter.only === "changed" && device.driver_override === null) return false;
  if (filter.only === "drift" && (!standing || standing.state === "met")) return false;
  const words = filter.search.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = `${searched(device)}\n${standing?.rule.toLowerCase() ?? ""}`;
  return words.every((word) => text.includes(word));
}

export interface Page {
  groups: Group[];
  from: number; // of the first device, from 1; 0: none
  to: number;
  total: number;
  pages: number;
}

/** One page of the groups. A group that goes on from the page before has its title again. */
export function pageOf(groups: readonly Group[], page: number, size: number = PAGE): Page {
  const total = groups.reduce((sum, group) => sum + group.devices.length, 0);
  const pages = Math.max(1, Math.ceil(total / size));
  const first = Math.min(Math.max(page, 0), pages - 1) * size;
  const out: Group[] = [];
  let at = 0;
  for (const group of groups) {
    const devices = group.devices.slice(Math.max(first - at, 0), Math.max(first + size - at, 0));
    if (devices.length > 0) out.push({ ...group, devices });
    at += group.devices.length;
    if (at >= first + size) break;
  }
  return { groups: out, from: total === 0 ? 0 : first + 1, to: Math.min(first + size, total), total, pages };
}
