/** The configuration reference is made from the schema: what it says of each key, and that the program reads each. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import schema from "../../../schema/cluster-v1alpha1.schema.json" with { type: "json" };

interface Schema {
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
  $defs?: Record<string, Schema>;
  definitions?: Record<string, Schema>;
  $ref?: string;
}

/** Kubernetes' own configuration kinds within the file, which its documentation describes. */
const documentedElsewhere = [
  ".apiServer.audit.policy.",
  ".apiServer.authentication.configuration.",
  ".apiServer.authorization.",
  ".apiServer.admission.plugins[].",
  ".scheduler.profiles[].",
  ".scheduler.extenders[].",
  "#pluginSet.",
];

function keysOf(node: Schema, path: string): { path: string; name: string; node: Schema }[] {
  const own = Object.entries(node.properties ?? {}).flatMap(([name, inner]) => [
    { path: `${path}.${name}`, name, node: inner },
    ...keysOf(inner, `${path}.${name}`),
  ]);
  const more = typeof node.additionalProperties === "object" ? keysOf(node.additionalProperties, `${path}{}`) : [];
  const shared = Object.entries({ ...node.$defs, ...node.definitions }).flatMap(([name, inner]) =>
    keysOf(inner, `#${name}`),
  );
  return [...own, ...(node.items ? keysOf(node.items, `${path}[]`) : []), ...more, ...shared];
}

const keys = keysOf(schema as Schema, "");

test("every key of the configuration file is described", () => {
  const silent = keys.filter(({ node, path }) => {
    const isOurs = !documentedElsewhere.some((prefix) => path.startsWith(prefix));
    return isOurs && !node.description && !node.$ref;
  });
  expect(silent.map(({ path }) => path)).toEqual([]);
});

test("every key that is described is one that the program reads", () => {
  const sources = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => readFileSync(join("src", file), "utf8"))
    .join("\n");
  const words = new Set(sources.match(/[A-Za-z]\w*/g));
  expect(keys.filter(({ name }) => !words.has(name)).map(({ path }) => path)).toEqual([]);
});
