// Reading of JSON from outside. Nothing is believed: each value is looked at before it is used, and one that has not the form
// of docs/schema is an error that says where. Members that are not known are left out, as a newer service may have more.
//
// Where something is wrong is put together only when something is: a list of ten thousand devices has no time for it.

export class BadForm extends Error {
  private readonly path: string[] = [];
  constructor(private readonly wanted: string) {
    super();
    this.tell();
  }
  /** It is within this: a member ".name", or a place in a list "[3]". */
  within(part: string): this {
    this.path.unshift(part);
    this.tell();
    return this;
  }
  private tell(): void {
    this.message = `${this.path.join("").replace(/^\./, "") || "the answer"} is not ${this.wanted}`;
  }
}

export type Read<T> = (value: unknown) => T;

function bad(wanted: string): never {
  throw new BadForm(wanted);
}

function inside(error: unknown, part: string): unknown {
  return error instanceof BadForm ? error.within(part) : error;
}

export const text: Read<string> = (value) => (typeof value === "string" ? value : bad("text"));

export const flag: Read<boolean> = (value) => (typeof value === "boolean" ? value : bad("true or false"));

export const count: Read<number> = (value) => (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : bad("a number"));

export const anything: Read<unknown> = (value) => value;

export const word =
  <T extends string>(...words: readonly T[]): Read<T> =>
  (value) =>
    words.find((one) => one === value) ?? bad(`one of ${words.join(", ")}`);

export const orNull =
  <T>(read: Read<T>): Read<T | null> =>
  (value) =>
    value === null ? null : read(value);

/** A member that may be missing. */
export const or =
  <T>(read: Read<T>, missing: T): Read<T> =>
  (value) =>
    value === undefined ? missing : read(value);

export const list =
  <T>(read: Read<T>): Read<T[]> =>
  (value) => {
    if (!Array.isArray(value)) bad("a list");
    let at = 0;
    try {
      const out: T[] = [];
      for (; at < value.length; at++) out.push(read(value[at]));
      return out;
    } catch (error) {
      throw inside(error, `[${at}]`);
    }
  };

export const object: Read<Record<string, unknown>> = (value) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) bad("an object");
  return value as Record<string, unknown>;
};

type Members = Record<string, Read<unknown>>;
type Of<M extends Members> = { [K in keyof M]: M[K] extends Read<infer T> ? T : never };

export function record<M extends Members>(members: M): Read<Of<M>> {
  const readers = Object.entries(members);
  return (value) => {
    const from = object(value);
    const out: Record<string, unknown> = {};
    let name = "";
    try {
      for (const [member, read] of readers) {
        name = member;
        out[member] = read(from[member]);
      }
    } catch (error) {
      throw inside(error, `.${name}`);
    }
    return out as Of<M>;
  };
}

/** A member of an object, read. */
export function member<T>(from: Record<string, unknown>, name: string, read: Read<T>): T {
  try {
    return read(from[name]);
  } catch (error) {
    throw inside(error, `.${name}`);
  }
}

/** The value of a JSON text in the form that is wanted. Throws BadForm. */
export function parse<T>(json: unknown, read: Read<T>): T {
  const words = text(json);
  let value: unknown;
  try {
    value = JSON.parse(words);
  } catch {
    bad("JSON");
  }
  return read(value);
}
