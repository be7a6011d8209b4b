// Generates src/api/: TypeScript types, schema tables and discovery of every group-version, from Kubernetes' own documents.
//
//   node scripts/generate-api.mjs --openapi swagger.json --protobuf fields.json --discovery discovery.json [--out src/api]
//
// --openapi    the OpenAPI v2 document a cluster serves at /openapi/v2
// --protobuf   { "k8s.io.api.core.v1.Pod": { "spec": [2, "k8s.io.api.core.v1.PodSpec"], ... } }: field numbers and types of each message
// --discovery  { groups: [{ group, versions, preferred }], resources: { "apps/v1": [APIResource, ...] } }
//
// Beside them it reads generate-api/supplement.json, facts that only the Go sources hold (see generate-api/read-go.mjs).
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { printDiscovery } from "./generate-api/discovery.mjs";
import { readModel } from "./generate-api/model.mjs";
import { printSchema, printSchemaIndex } from "./generate-api/schema.mjs";
import { printTypes } from "./generate-api/types.mjs";

const { values } = parseArgs({
  options: {
    openapi: { type: "string" },
    protobuf: { type: "string" },
    discovery: { type: "string" },
    out: { type: "string", default: "src/api" },
  },
});
for (const name of ["openapi", "protobuf", "discovery"]) {
  if (!values[name]) {
    console.error(`--${name} is missing: the path of that document. See the head of this file.`);
    process.exit(2);
  }
}

const json = async (path) => JSON.parse(await readFile(path, "utf8"));
const model = readModel(
  await json(values.openapi),
  await json(values.protobuf),
  await json(new URL("generate-api/supplement.json", import.meta.url)),
);

for (const folder of new Set(model.modules.map((module) => module.folder))) {
  await rm(join(values.out, folder), { recursive: true, force: true });
  await mkdir(join(values.out, folder), { recursive: true });
}
for (const module of model.modules) {
  const path = join(values.out, module.folder, module.version);
  await writeFile(`${path}.ts`, printTypes(module, model));
  await writeFile(`${path}.schema.ts`, printSchema(module, model));
}
await writeFile(join(values.out, "schema-index.ts"), printSchemaIndex(model));
await writeFile(join(values.out, "discovery.ts"), printDiscovery(await json(values.discovery)));

for (const warning of model.warnings) console.error(`warning: ${warning}`);
const types = model.modules.reduce((sum, module) => sum + module.types.length, 0);
console.log(`${types} types in ${model.modules.length} group-versions`);
