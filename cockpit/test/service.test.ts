import assert from "node:assert/strict";
import { test } from "node:test";
import { BadForm } from "../src/json";
import { errorOf, methodsIn } from "../src/service";

const named = (name: string, message: string) => errorOf({ problem: null, name, message }, "Change");

test("an error of the service keeps its words", () => {
  const error = named("org.anybind.Error.Refused", "0000:02:00.0: in use\n0000:02:00.0  boot-display: it is the display");
  assert.equal(error.kind, "refused");
  assert.equal(error.message, "0000:02:00.0: in use\n0000:02:00.0  boot-display: it is the display");
});

test("each error that the service has is known", () => {
  const kinds = ["Usage", "Refused", "NotFound", "NotPermitted", "Failed", "Incomplete"].map((one) => named(`org.anybind.Error.${one}`, "x").kind);
  assert.deepEqual(kinds, ["usage", "refused", "not_found", "not_permitted", "failed", "incomplete"]);
});

test("a method that is missing is told as a service that is too old", () => {
  const error = named("org.freedesktop.DBus.Error.UnknownMethod", "Unknown method");
  assert.equal(error.kind, "too_old");
  assert.match(error.message, /too old: it does not know Change/);
});

test("a request with something newer than the service is told so", () => {
  const error = named("org.anybind.Error.Usage", "read request: no such member: persist");
  assert.equal(error.kind, "too_old");
  assert.match(error.message, /it does not know persist/);
});

test("whoever has asked and got no answer does not know what came of it", () => {
  assert.equal(named("org.freedesktop.DBus.Error.NoReply", "no reply").kind, "not_known");
  for (const problem of ["disconnected", "terminated", "timeout"]) assert.equal(errorOf({ problem, name: null, message: "x" }, "Change").kind, "not_known");
});

test("whoever could not ask knows that nothing was done", () => {
  assert.equal(named("org.freedesktop.DBus.Error.ServiceUnknown", "x").kind, "not_there");
});

test("an answer in another form is not understood, and says where", () => {
  const error = errorOf(new BadForm("text").within(".name").within("[0]"), "List");
  assert.equal(error.kind, "not_understood");
  assert.match(error.message, /answer to List was not understood: \[0\]\.name is not text/);
});

test("what is no error of D-Bus at all is told too", () => {
  assert.equal(errorOf(new Error("odd"), "List").message, "odd");
});

test("the methods are those of the description", () => {
  const methods = methodsIn('<interface name="x"><method name="List"><arg type="as"/></method> <method name="WriteRules"/></interface>');
  assert.deepEqual([...methods], ["List", "WriteRules"]);
});
