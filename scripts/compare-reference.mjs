// node scripts/compare-reference.mjs FOLDER KUBECONFIG: holds what a running API server says of itself (discovery, table columns, OpenAPI)
// against reference documents: discovery-*.json, table-columns-*.json and openapi-*.json in FOLDER. Prints each difference; exit status 1
// when there is one. Descriptions are not compared: they are our own words.
import { readdirSync, readFileSync } from "node:fs";
import https from "node:https";
import { join } from "node:path";
import { parse } from "yaml";

const [folder, kubeconfig] = process.argv.slice(2);
if (!folder || !kubeconfig) {
  console.error("usage: node scripts/compare-reference.mjs FOLDER KUBECONFIG");
  process.exit(2);
}
const document = (begin) =>
  JSON.parse(
    readFileSync(
      join(
        folder,
        readdirSync(folder).find((name) => name.startsWith(`${begin}-`)),
      ),
      "utf8",
    ),
  );

const { clusters, users } = parse(readFileSync(kubeconfig, "utf8"));
const decoded = (text) => Buffer.from(text, "base64");
const agent = new https.Agent({
  keepAlive: true,
  ca: decoded(clusters[0].cluster["certificate-authority-data"]),
  cert: decoded(users[0].user["client-certificate-data"]),
  key: decoded(users[0].user["client-key-data"]),
});
const get = (path, accept = "application/json") =>
  new Promise((resolve, reject) => {
    const url = new URL(path, clusters[0].cluster.server);
    https
      .get(url, { agent, headers: { accept } }, async (answer) => {
        const chunks = [];
        for await (const chunk of answer) chunks.push(chunk);
        resolve(JSON.parse(Buffer.concat(chunks).toString()));
      })
      .on("error", reject);
  });

let differences = 0;
const tell = (place, expected, found) => {
  differences++;
  const shown = (value) => (value === undefined ? "(absent)" : JSON.stringify(value).slice(0, 200));
  console.log(`${place} expected ${shown(expected)} got ${shown(found)}`);
};
/** Lists of texts are sets, and lists of objects are told apart by `name`, where they have one. */
function compare(expected, found, place) {
  if (expected === found) return;
  const isObject = (value) => typeof value === "object" && value !== null;
  if (!isObject(expected) || !isObject(found) || Array.isArray(expected) !== Array.isArray(found))
    return tell(place, expected, found);
  const keyed = (value) => {
    if (!Array.isArray(value)) return value;
    if (value.every((item) => typeof item === "string")) return Object.fromEntries(value.map((item) => [item, true]));
    if (!value.every((item) => item?.name)) return value;
    return Object.fromEntries(value.map((item) => [`${item.in ?? ""}${item.name}`, item]));
  };
  const [a, b] = [keyed(expected), keyed(found)];
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
    if (key !== "description") compare(a[key], b[key], `${place}/${key.replaceAll("/", "~1")}`);
}

const pathOf = (groupVersion) => (groupVersion.includes("/") ? `/apis/${groupVersion}` : `/api/${groupVersion}`);
const discovery = document("discovery");
const { groups } = await get("/apis");
compare(
  discovery.groups,
  groups.map(({ name, versions, preferredVersion }) => ({
    group: name,
    versions: versions.map(({ version }) => version),
    preferred: preferredVersion.version,
  })),
  "/apis",
);
for (const [groupVersion, expected] of Object.entries(discovery.resources)) {
  const { resources } = await get(pathOf(groupVersion));
  for (const resource of [...resources, ...expected]) delete resource.storageVersionHash;
  compare(expected, resources, groupVersion);
}

for (const [resource, expected] of Object.entries(document("table-columns"))) {
  const slash = resource.lastIndexOf("/");
  const path = `${pathOf(resource.slice(0, slash))}/${resource.slice(slash + 1)}`;
  const { columnDefinitions } = await get(path, "application/json;as=Table;g=meta.k8s.io;v=v1");
  const found = columnDefinitions?.map(({ name, type, format, priority }) => [name, type, format, priority]);
  compare(expected, found, `columns of ${resource}`);
}

/** Without words, and with references to parameters replaced by what they mean. */
function plain({ paths, definitions, parameters }) {
  const resolved = (list = []) => list.map((one) => (one.$ref ? parameters[one.$ref.split("/").at(-1)] : one));
  const bare = (value) => {
    if (Array.isArray(value)) return value.filter((item) => !/^application.*cbor/.test(item)).map(bare);
    if (typeof value !== "object" || value === null) return value;
    const { enum: _, ...rest } = Array.isArray(value.enum) ? value : { ...value };
    return Object.fromEntries(Object.entries(rest).map(([name, item]) => [name, bare(item)]));
  };
  const operations = Object.entries(paths).map(([path, { parameters: shared, ...item }]) => {
    const own = Object.entries(item).map(([method, operation]) => {
      const all = [...resolved(shared), ...resolved(operation.parameters)];
      return [method, bare({ ...operation, parameters: all })];
    });
    return [path, Object.fromEntries(own)];
  });
  return { paths: Object.fromEntries(operations), definitions: bare(definitions) };
}

// The published document has what is not served by default: CBOR, further versions, the watches of old.
const expected = plain(document("openapi"));
const served = plain(await get("/openapi/v2"));
for (const part of ["paths", "definitions"])
  for (const [name, found] of Object.entries(served[part])) compare(expected[part][name], found, `${part} ${name}`);
for (const path of Object.keys(expected.paths)) {
  const groupVersion = /^\/apis?\/(v1|[^/]+\/[^/]+)\//.exec(path)?.[1];
  const isDue = groupVersion ? groupVersion in discovery.resources : path.split("/").length === 3;
  if (isDue && !path.includes("/watch/") && !served.paths[path]) tell(`paths ${path}`, {}, undefined);
}
console.log(`${differences} differences`);
process.exit(differences === 0 ? 0 : 1);
