// Reading of JSON from outside. Nothing is believed: each value is looked at before it is used, and one that has not the form
// of docs/schema is an error that says where. Members that are not known are left out, as a newer service may have more.

export class BadForm extends Error {}

export type Read<T> = (value: unknown, where: string) => T;

function bad(where: string, wanted: string): never {
  throw new BadForm(`${where || "the answer"} is not ${wanted}`);
}

export const text: Read<string> = (value, where) => (typeof value === "string" ? value : bad(where, "text"));

export const flag: Read<boolean> = (value, where) => (typeof value === "boolean" ? value : bad(where, "true or false"));

export const count: Read<number> = (value, where) =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : bad(where, "a number");

export const anything: Read<unknown> = (value) => value;

export const word =
  <T extends string>(...words: readonly T[]): Read<T> =>
  (value, where) =>
    words.find((one) => one === value) ?? bad(where, `one of ${words.join(", ")}`);

export const orNull =
  <T>(read: Read<T>): Read<T | null> =>
  (value, where) =>
    value === null ? null : read(value, where);

/** A member that may be missing. */
export const or =
  <T>(read: Read<T>, missing: T): Read<T> =>
  (value, where) =>
    value === undefined ? missing : read(value, where);

export const list =
  <T>(read: Read<T>): Read<T[]> =>
  (value, where) =>
    Array.isArray(value) ? value.map((one, at) => read(one, `${where}[${at}]`)) : bad(where, "a list");

export function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) bad(where, "an object");
  return value as Record<string, unknown>;
}

type Members = Record<string, Read<unknown>>;
type Of<M extends Members> = { [K in keyof M]: M[K] extends Read<infer T> ? T : never };

export const record =
  <M extends Members>(members: M): Read<Of<M>> =>
  (value, where) => {
    const from = object(value, where);
    const out: Record<string, unknown> = {};
    for (const name in members) {
      const own = Object.prototype.hasOwnProperty.call(from, name) ? from[name] : undefined;
      out[name] = members[name]?.(own, where ? `${where}.${name}` : name);
    }
    return out as Of<M>;
  };

/** The value of a JSON text in the form that is wanted. Throws BadForm. */
export function parse<T>(json: unknown, read: Read<T>): T {
  if (typeof json !== "string") bad("", "text");
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    bad("", "JSON");
  }
  return read(value, "");
}
