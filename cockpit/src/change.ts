// What somebody wants, as a request for the service (docs/schema/request.schema.json). Pure: nothing is decided here.
import type { Device, Outcome, Preview, Request } from "./forms";
import { list, member, object, or, text as textForm } from "./json";

interface Name {
  bus: string;
  address: string;
}

export type Want =
  | { verb: "bind"; device: Device; driver: string; wholeGroup: boolean; persist: boolean; noIommu: boolean; partOfGroup: boolean; owner: string }
  | { verb: "unbind"; device: Device; wholeGroup: boolean; persist: boolean }
  | { verb: "restore"; device: Device | null; wholeGroup: boolean; persist: boolean }
  | { verb: "undo"; change: number }
  | { verb: "vfs"; device: Device; count: number | null; driver: string; persist: boolean };

export function firstWant(verb: "bind" | "unbind" | "restore" | "vfs", device: Device): Want {
  switch (verb) {
    case "bind":
      return { verb, device, driver: "", wholeGroup: false, persist: false, noIommu: false, partOfGroup: false, owner: "" };
    case "unbind":
    case "restore":
      return { verb, device, wholeGroup: false, persist: false };
    case "vfs":
      return { verb, device, count: device.sriov?.enabled ?? 0, driver: "", persist: false };
  }
}

/** Rules are written or removed with it: then there is something to do also where no device changes. */
export const isLasting = (want: Want): boolean => "persist" in want && want.persist;

const name = ({ bus, address }: Name): Name => ({ bus, address });

/** Null: something is not said yet. Only what differs from the usual is in it. */
export function requestOf(want: Want, ignored: readonly string[]): Request | null {
  const out: Request = { verb: want.verb };
  if ("device" in want && want.device) out["devices"] = [name(want.device)];
  if ("wholeGroup" in want && want.wholeGroup) out["whole_group"] = true;
  if (isLasting(want)) out["persist"] = true;
  if (ignored.length > 0) out.ignored = [...ignored];
  switch (want.verb) {
    case "bind":
      if (want.driver === "") return null;
      out["driver"] = want.driver;
      if (want.noIommu) out["no_iommu"] = true;
      if (want.partOfGroup) out["part_of_group"] = true;
      if (want.owner) out["owner"] = want.owner;
      break;
    case "restore":
      if (want.device === null) out["everything"] = true;
      break;
    case "undo":
      out["change"] = want.change;
      break;
    case "vfs":
      if (want.count === null) return null;
      out["count"] = want.count;
      if (want.driver) out["driver"] = want.driver;
      break;
  }
  return out;
}

/** What was shown, and only for the very cards of which it was shown: when another one has come to an address, nothing is done. */
export function requestToSend(request: Request, preview: Preview): Request {
  if (request.verb !== "bind" && request.verb !== "unbind") return request;
  const instances: unknown[] = [];
  for (const one of plannedDevices(preview.plan)) {
    const { bus, address, instance } = one;
    const { device, inode } = object(instance ?? {});
    if (Number.isSafeInteger(device) && Number.isSafeInteger(inode)) instances.push({ bus, address, instance: { device, inode } });
  }
  return instances.length > 0 ? { ...request, instances } : request;
}

function plannedDevices(plan: unknown): { bus: string; address: string; instance: unknown }[] {
  const devices = member(object(plan), "devices", or(list(object), []));
  return devices.map((one) => ({
    bus: member(one, "bus", textForm),
    address: member(one, "address", textForm),
    instance: one["instance"],
  }));
}

/** Guards that the service's words offer to ignore, in their order. */
export function guardsNamed(words: string): string[] {
  const found = [...words.matchAll(/--ignore ([a-z][a-z-]*[a-z])/g)].map((match) => match[1] ?? "");
  return [...new Set(found)];
}

/** The lines of the words that tell of one guard: who uses what. */
export function linesOf(words: string, guard: string): string[] {
  return words.split("\n").filter((line) => line.includes(` ${guard}: `));
}

export function titleOf(want: Want, nameOfDevice: string): string {
  switch (want.verb) {
    case "bind":
      return `Give ${nameOfDevice} to a driver`;
    case "unbind":
      return `Take ${nameOfDevice} from its driver`;
    case "restore":
      return want.device ? `Restore ${nameOfDevice}` : "Restore everything";
    case "undo":
      return `Undo change ${want.change}`;
    case "vfs":
      return `Virtual functions of ${nameOfDevice}`;
  }
}

export function buttonOf(want: Want): string {
  switch (want.verb) {
    case "bind":
      return want.driver ? `Give to ${want.driver}` : "Give to a driver";
    case "unbind":
      return "Take from its driver";
    case "restore":
      return want.device ? "Restore" : "Restore everything";
    case "undo":
      return `Undo change ${want.change}`;
    case "vfs":
      return want.count === 1 ? "Make it 1 virtual function" : `Make it ${want.count ?? 0} virtual functions`;
  }
}

export function changesSomething(outcomes: readonly Outcome[]): boolean {
  return outcomes.some((one) => one.changed || one.written || one.gone);
}
