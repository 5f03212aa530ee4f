// What the service says, in the forms of docs/schema. Only what the page uses is read.
import { anything, count, flag, list, member as memberOf, object, or, orNull, record, text, word, type Read } from "./json";

export type { Read };
type Value<R> = R extends Read<infer T> ? T : never;

const name = record({ bus: text, address: text });
export type DeviceName = Value<typeof name>;

const user = record({ guard: text, who: text, next: text });
export type User = Value<typeof user>;

const member = record({ address: text, bus: text, driver: orNull(text), bridge: flag, blocks_user_space: flag });
export type Member = Value<typeof member>;

// list.schema.json
const device = record({
  address: text,
  bus: text,
  syspath: text,
  vendor: orNull(text),
  device: orNull(text),
  class: orNull(text),
  class_name: orNull(text),
  name: orNull(text),
  driver: orNull(text),
  driver_override: orNull(text),
  iommu_group: orNull(count),
  busy: flag,
  users: list(text),
  numa_node: orNull(count),
  physical_function: orNull(text),
  sriov: orNull(record({ enabled: count, total: count })),
  in_use: or(list(user), []),
});
export type Device = Value<typeof device>;
export const devices = list(device);

// explain.schema.json
const candidate = record({ driver: orNull(text), module: text, name: or(text, ""), rule: text, vfio_variant: flag });
const obstacle = record({ what: text, next: text });
const groupAnswer = record({
  changes: list(text),
  missing_isolation: list(text),
  others: list(record({ address: text, bus: text, blocks: flag, why: text })),
  refusals: list(record({ guard: text, what: text, next: text })),
  rule: text,
  viable: flag,
});
const asked = record({
  name: text,
  possible: flag,
  loads_module: flag,
  mechanism: orNull(text),
  obstacles: list(obstacle),
  variants: list(record({ driver: text, module: text })),
  group: or<Value<typeof groupAnswer> | null>(groupAnswer, null),
});
const explanation = record({
  address: text,
  bus: text,
  driver: orNull(text),
  verdict: text,
  gated: flag,
  iommu_group: orNull(count),
  candidates: list(candidate),
  group_members: list(member),
  asked: or<Value<typeof asked> | null>(asked, null),
});
export type Explanation = Value<typeof explanation>;
export type Candidate = Value<typeof candidate>;
/** By which a change asks for it; an older service does not tell it. */
export const driverName = (one: Candidate): string => one.name || one.driver || one.module;
export const explanations = list(explanation);

// change.schema.json, plan and outcome
const binding = record({ driver: orNull(text), driver_override: orNull(text) });
const outcome = record({ bus: text, address: text, before: binding, after: binding, changed: flag, written: flag, gone: flag });
export type Outcome = Value<typeof outcome>;
export const outcomes = list(outcome);

const failure = record({
  code: text,
  message: text,
  operation: text,
  object: text,
  why: text,
  details: list(text),
  next: text,
});
export type Failure = Value<typeof failure>;
export const errorAnswer = record({ error: failure });

const step = record({ kind: text, address: orNull(text), shell: text, reason: text, rollback: flag });
export type Step = Value<typeof step>;

/** A request goes back to the service as it came from it: only its verb and its guards are of interest here. */
export interface Request {
  verb: string;
  ignored?: string[];
  [member: string]: unknown;
}
const request: Read<Request> = (value) => {
  const from = object(value);
  return { ...from, verb: memberOf(from, "verb", text), ignored: memberOf(from, "ignored", or(list(text), [])) };
};

const preview = record({
  steps: list(step),
  notes: list(text),
  warnings: list(text),
  predicted: orNull(outcomes),
  error: or<Failure | null>(failure, null),
  request,
  plan: anything,
});
export type Preview = Value<typeof preview>;
export const previewAnswer = preview;

// status.schema.json
const declared = record({ driver: orNull(text), vfs: orNull(count) });
export type Declared = Value<typeof declared>;
const lastChange = record({ id: count, time: count, command: text, was_declared: flag });
const standing = record({
  bus: text,
  address: text,
  rule: text,
  place: text,
  state: word("met", "drift", "not-obeyed", "unknown"),
  declared,
  driver: orNull(text),
  with_group: orNull(count),
  differs: orNull(text),
  last_change: orNull(lastChange),
});
export type Standing = Value<typeof standing>;
const problem = record({
  rule: orNull(text),
  place: orNull(text),
  device: orNull(name),
  what: text,
  next: orNull(text),
});
export type Problem = Value<typeof problem>;
const status = record({ holds: flag, devices: list(standing), problems: list(problem) });
export type Status = Value<typeof status>;
export const statusAnswer = status;

// rules.schema.json
const rule = record({
  rule: text,
  place: text,
  match: object,
  declared,
  group: text,
  owner: orNull(text),
  promise: text,
  ignore: list(text),
  devices: list(name),
});
export type Rule = Value<typeof rule>;
export const rules = list(rule);

// history.schema.json
const change = record({
  id: count,
  result: text,
  command: or(text, ""),
  devices: or(list(text), []),
  time: or<number | null>(count, null),
  undone_by: or<number | null>(count, null),
  undo_of: or<number | null>(count, null),
});
export type Change = Value<typeof change>;
export const changes = list(change);

// apply.schema.json
const appliedChange = record({
  rule: text,
  place: text,
  devices: outcomes,
  error: orNull(failure),
});
export const applied = record({ changes: list(appliedChange), status });
export type Applied = Value<typeof applied>;

// rule-files.schema.json, rule-check.schema.json, rule-written.schema.json
const ruleFile = record({ path: text, name: text, from: text, state: text, text: orNull(text), why: orNull(text) });
export type RuleFile = Value<typeof ruleFile>;
export const ruleFiles = list(ruleFile);
const fault = record({ file: orNull(text), line: orNull(count), column: orNull(count), text, hint: orNull(text) });
export type Fault = Value<typeof fault>;
export const ruleCheck = record({ problems: list(fault), rules: orNull(rules), status: orNull(status) });
export type RuleCheck = Value<typeof ruleCheck>;
export const ruleWritten = record({ path: text, removed: flag, changed: flag });
