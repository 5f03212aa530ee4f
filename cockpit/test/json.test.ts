import assert from "node:assert/strict";
import { test } from "node:test";
import { BadForm, count, list, or, orNull, parse, record, text, word } from "../src/json";

const form = list(record({ name: text, state: word("met", "drift"), group: orNull(count), users: or(list(text), []) }));

test("what has the form is read, and what is not known is left out", () => {
  const value = parse('[{"name": "a", "state": "met", "group": null, "newer": 1}]', form);
  assert.deepEqual(value, [{ name: "a", state: "met", group: null, users: [] }]);
});

test("what has not the form says where", () => {
  const wrong = (json: string, message: string) => assert.throws(() => parse(json, form), { message });
  wrong('{"name": "a"}', "the answer is not a list");
  wrong("[1]", "[0] is not an object");
  wrong('[{"name": 1}]', "[0].name is not text");
  wrong('[{"name": "a", "state": "gone"}]', "[0].state is not one of met, drift");
  wrong('[{"name": "a", "state": "met", "group": -1}]', "[0].group is not a number");
  wrong('[{"name": "a", "state": "met", "group": 1e300}]', "[0].group is not a number");
  wrong('[{"name": "a", "state": "met", "group": 1, "users": [null]}]', "[0].users[0] is not text");
  wrong("[", "the answer is not JSON");
});

test("what is no text at all is not believed either", () => {
  for (const value of [undefined, null, 1, [], {}]) assert.throws(() => parse(value, form), BadForm);
});

test("a member called as one that every object has is no member", () => {
  assert.throws(() => parse('[{"__proto__": {"name": "a"}, "state": "met", "group": 1}]', list(record({ name: text }))), BadForm);
});
