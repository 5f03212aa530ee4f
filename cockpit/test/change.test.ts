import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { buttonOf, firstWant, guardsNamed, linesOf, requestOf, requestToSend, titleOf, type Want } from "../src/change";
import { previewAnswer } from "../src/forms";
import { device } from "./sample";

const card = device("0000:03:00.0", { sriov: { enabled: 2, total: 8 } });
const REFUSED = `0000:18:00.0: in use
0000:18:00.0  vf-in-use: its virtual function 0 is on ixgbevf
  unbind its virtual functions first (or --ignore vf-in-use)
0000:18:00.0  interface-up: net:ens1f0 is up
  ip link set ens1f0 down (or --ignore interface-up)
0000:18:00.0  vf-in-use: its virtual function 1 is on ixgbevf
  unbind its virtual functions first (or --ignore vf-in-use)`;

test("a question that is not complete asks for nothing", () => {
  assert.equal(requestOf(firstWant("bind", card), []), null);
  assert.equal(requestOf({ verb: "vfs", device: card, count: null, driver: "", persist: false }, []), null);
});

test("a request has what was said, and nothing else", () => {
  const devices = [{ bus: "pci", address: "0000:03:00.0" }];
  const bind: Want = { ...(firstWant("bind", card) as Extract<Want, { verb: "bind" }>), driver: "vfio-pci" };
  assert.deepEqual(requestOf(bind, []), { verb: "bind", devices, driver: "vfio-pci" });
  assert.deepEqual(requestOf({ ...bind, wholeGroup: true, persist: true, noIommu: true, partOfGroup: true, owner: "jane" }, ["open"]), {
    verb: "bind",
    devices,
    driver: "vfio-pci",
    whole_group: true,
    persist: true,
    no_iommu: true,
    part_of_group: true,
    owner: "jane",
    ignored: ["open"],
  });
  assert.deepEqual(requestOf(firstWant("unbind", card), []), { verb: "unbind", devices });
  assert.deepEqual(requestOf(firstWant("restore", card), []), { verb: "restore", devices });
  const back = firstWant("restore", card) as Extract<Want, { verb: "restore" }>;
  assert.deepEqual(requestOf({ ...back, persist: true }, []), { verb: "restore", devices, persist: true });
  assert.deepEqual(requestOf({ ...back, device: null }, []), { verb: "restore", everything: true });
  assert.deepEqual(requestOf({ verb: "undo", change: 7 }, []), { verb: "undo", change: 7 });
  const some = firstWant("vfs", card) as Extract<Want, { verb: "vfs" }>;
  assert.deepEqual(requestOf({ ...some, count: 0 }, []), { verb: "vfs", devices, count: 0 });
  assert.deepEqual(requestOf({ ...some, count: 4, driver: "vfio-pci" }, []), { verb: "vfs", devices, count: 4, driver: "vfio-pci" });
});

test("every member that a request can have is one of the schema", () => {
  const schema = JSON.parse(fs.readFileSync(`${process.env["SCHEMAS"] ?? "../docs/schema"}/request.schema.json`, "utf8")) as { properties: Record<string, unknown> };
  const bind: Want = { verb: "bind", device: card, driver: "x", wholeGroup: true, persist: true, noIommu: true, partOfGroup: true, owner: "o" };
  for (const want of [bind, firstWant("unbind", card), firstWant("vfs", card), firstWant("restore", card), { verb: "undo", change: 1 } as const])
    for (const name of Object.keys(requestOf(want, ["open"]) ?? {})) assert.ok(name in schema.properties, name);
});

test("a change is for the cards of the plan alone", () => {
  const instance = { device: 40, inode: 20 };
  const preview = previewAnswer({
    steps: [],
    notes: [],
    warnings: [],
    predicted: [],
    request: { verb: "bind" },
    plan: { devices: [{ bus: "pci", address: "0000:03:00.0", instance }] },
  });
  const sent = requestToSend({ verb: "bind", driver: "vfio-pci" }, preview);
  assert.deepEqual(sent, { verb: "bind", driver: "vfio-pci", instances: [{ bus: "pci", address: "0000:03:00.0", instance }] });
  assert.deepEqual(requestToSend({ verb: "undo", change: 1 }, preview), { verb: "undo", change: 1 });
});

test("guards are those that the service offers to ignore, each once", () => {
  assert.deepEqual(guardsNamed(REFUSED), ["vf-in-use", "interface-up"]);
  assert.deepEqual(guardsNamed("0000:01:00.0: no such device"), []);
  assert.equal(linesOf(REFUSED, "vf-in-use").length, 2);
  assert.equal(linesOf(REFUSED, "interface-up")[0], "0000:18:00.0  interface-up: net:ens1f0 is up");
});

test("the dialog says what it is about", () => {
  assert.equal(titleOf({ verb: "undo", change: 3 }, ""), "Undo change 3");
  assert.equal(titleOf(firstWant("unbind", card), "0000:03:00.0"), "Take 0000:03:00.0 from its driver");
  assert.equal(buttonOf({ verb: "vfs", device: card, count: 1, driver: "", persist: false }), "Make it 1 virtual function");
});
