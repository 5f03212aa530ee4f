// What the page reads is what docs/schema promises: of each schema the fewest and the most that it allows are made, and read.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import * as forms from "../src/forms";
import { BadForm, type Read } from "../src/json";

const FOLDER = process.env["SCHEMAS"] ?? "../docs/schema";

interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string | string[];
  enum?: unknown[];
  oneOf?: Schema[];
  items?: Schema;
  required?: string[];
  properties?: Record<string, Schema>;
  minimum?: number;
  pattern?: string;
}

function read(file: string): Schema {
  return JSON.parse(fs.readFileSync(`${FOLDER}/${file}`, "utf8")) as Schema;
}

function at(file: string, pointer: string): [Schema, string] {
  let schema = read(file) as unknown as Record<string, unknown>;
  for (const part of pointer.split("/").filter(Boolean)) schema = schema[part] as Record<string, unknown>;
  return [schema as Schema, file];
}

/** A value of the schema: with every member and no null, or with only those that must be there, and null where it may be. */
function made(schema: Schema, file: string, most: boolean): unknown {
  if (schema.$ref !== undefined) {
    const [to = "", pointer = ""] = schema.$ref.split("#");
    const [found, where] = at(to || file, pointer);
    return made(found, where, most);
  }
  if (schema.enum) return most ? schema.enum[0] : schema.enum[schema.enum.length - 1];
  if (schema.oneOf) {
    const isNull = (one: Schema) => one.type === "null";
    const choice = schema.oneOf.find((one) => isNull(one) !== most) ?? schema.oneOf[0];
    return made(choice ?? {}, file, most);
  }
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  const type = !most && types.includes("null") ? "null" : types.find((one) => one !== "null");
  switch (type) {
    case "null":
      return null;
    case "string":
      return most ? "00000000" : "";
    case "integer":
      return schema.minimum ?? 0;
    case "boolean":
      return most;
    case "array":
      return most ? [made(schema.items ?? {}, file, most)] : [];
    default: {
      const names = most ? Object.keys(schema.properties ?? {}) : (schema.required ?? []);
      return Object.fromEntries(names.map((name) => [name, made(schema.properties?.[name] ?? {}, file, most)]));
    }
  }
}

const FORMS: [string, string, Read<unknown>][] = [
  ["list.schema.json", "", forms.devices],
  ["explain.schema.json", "", forms.explanations],
  ["change.schema.json", "/$defs/outcomes", forms.outcomes],
  ["change.schema.json", "/$defs/dry_run", forms.previewAnswer],
  ["status.schema.json", "/$defs/status", forms.statusAnswer],
  ["rules.schema.json", "/oneOf/0", forms.rules],
  ["history.schema.json", "", forms.changes],
  ["apply.schema.json", "/$defs/applied", forms.applied],
  ["rule-files.schema.json", "", forms.ruleFiles],
  ["rule-check.schema.json", "", forms.ruleCheck],
  ["rule-written.schema.json", "", forms.ruleWritten],
];

for (const [file, pointer, form] of FORMS) {
  test(`${file}${pointer} is read`, () => {
    const [schema, where] = at(file, pointer);
    for (const most of [true, false]) form(made(schema, where, most));
  });
  test(`what is not ${file}${pointer} is not`, () => {
    for (const value of [null, 1, "", true]) assert.throws(() => form(value), BadForm);
  });
}
