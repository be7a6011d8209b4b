/**
 * What the API's types and fields are for, in words of our own: `kubectl explain` and editors show them from the OpenAPI documents.
 *
 * The notation of the tables beside this file: `= Type: text` begins a type, `= Type like Other: text` one whose fields mean the same
 * as another's of the table, `= *` the fields that mean the same everywhere (in meta alone). Every other line is `field: text`.
 */
import type { TypeSchema } from "../schema.ts";
import { access } from "./access.ts";
import { apps } from "./apps.ts";
import { autoscaling } from "./autoscaling.ts";
import { batch } from "./batch.ts";
import { cluster } from "./cluster.ts";
import { core } from "./core.ts";
import { meta } from "./meta.ts";
import { networking } from "./networking.ts";

interface Description {
  text: string;
  fields: ReadonlyMap<string, string>;
}

/** What the type is for; undefined where nobody has written it down, and for custom resources, which bring their own words. */
export function describeType(type: TypeSchema): string | undefined {
  return type.custom ? undefined : descriptionOf(type.fullName)?.text;
}

/** What a field of the type is for. */
export function describeField(type: TypeSchema, field: string): string | undefined {
  if (type.custom) return undefined;
  return descriptionOf(type.fullName)?.fields.get(field) ?? tableOf(meta).get("*")!.fields.get(field);
}

/** What a type is for that is a single value in JSON, such as a Quantity; by its full name. */
export function describeValue(fullName: string): string | undefined {
  return descriptionOf(fullName)?.text;
}

/** `io.k8s.api.GROUP.VERSION.NAME` is in its group's table, all of apimachinery in meta's. */
function descriptionOf(fullName: string): Description | undefined {
  const parts = fullName.split(".");
  const table = fullName.includes(".apimachinery.") ? meta : tables[parts[3]!];
  return table ? tableOf(table).get(parts.at(-1)!) : undefined;
}

/** The tables by the folder of the group under src/api. */
export const tables: Readonly<Record<string, string>> = {
  apps,
  authentication: access,
  authorization: access,
  autoscaling,
  batch,
  certificates: access,
  coordination: cluster,
  core,
  discovery: networking,
  events: cluster,
  meta,
  networking,
  node: cluster,
  policy: autoscaling,
  rbac: access,
  scheduling: cluster,
  storage: cluster,
};

const parsed = new Map<string, ReadonlyMap<string, Description>>();

function tableOf(text: string): ReadonlyMap<string, Description> {
  let table = parsed.get(text);
  if (!table) parsed.set(text, (table = parseTable(text)));
  return table;
}

function parseTable(text: string): ReadonlyMap<string, Description> {
  const table = new Map<string, Description>();
  for (const block of text.split(/^= /m).slice(1)) {
    const [head, ...lines] = block.split("\n").filter((line) => line !== "");
    const [title, words] = halves(head!);
    const [name, like] = title.split(" like ");
    const fields = new Map(like ? table.get(like)!.fields : []);
    for (const line of lines) fields.set(...halves(line));
    table.set(name!, { text: words, fields });
  }
  return table;
}

function halves(line: string): [before: string, after: string] {
  const colon = line.indexOf(": ");
  return [line.slice(0, colon), line.slice(colon + 2)];
}
