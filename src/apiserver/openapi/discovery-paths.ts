/** The addresses at which the server tells what it serves, as OpenAPI paths. In OpenAPI 3 most have a document of their own. */
import { type TypeSchema, typeSchema } from "../../api/schema.ts";
import { servedGroups } from "../discovery/discovery.ts";
import type { ResourceRegistry } from "../resource-registry.ts";
import { camel, pascal } from "./operation-names.ts";
import type { SchemaCollector } from "./schemas.ts";

type Json = Record<string, unknown>;

export interface DiscoveryPath {
  /** With a slash at its end. */
  path: string;
  /** The OpenAPI 3 document that it stands in: `apis/apps`. */
  document: string;
  operationId: string;
  tag: string;
  description: string;
  /** Absent: text. */
  answer?: TypeSchema;
  produces: readonly string[];
}

const mediaTypes = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/** Of the kinds that are built in; upstream leaves out those of definitions. */
export function discoveryPaths(registry: ResourceRegistry): DiscoveryPath[] {
  const paths: DiscoveryPath[] = [];
  const add = (document: string, operationId: string, tag: string, description: string, answer: string) => {
    const type = typeSchema(`io.k8s.apimachinery.pkg.apis.meta.v1.${answer}`);
    if (!type) throw new Error(`the schema tables have no ${answer}`);
    paths.push({ path: `/${document}/`, document, operationId, tag, description, answer: type, produces: mediaTypes });
  };
  const versions = "get available API versions";
  add("api", "getCoreAPIVersions", "core", versions, "APIVersions");
  add("apis", "getAPIVersions", "apis", versions, "APIGroupList");
  for (const { group, versions } of servedGroups(registry, false)) {
    const isBuiltIn = (version: string) => {
      const resources = registry.inGroupVersion(group === "" ? version : `${group}/${version}`) ?? [];
      return [...resources].some(({ schema }) => schema && !schema.custom);
    };
    const own = versions.filter(isBuiltIn);
    if (own.length === 0) continue;
    const name = camel(group);
    if (group !== "") {
      add(`apis/${group}`, `get${pascal(name)}APIGroup`, name, "get information of a group", "APIGroup");
    }
    for (const version of own) {
      const document = group === "" ? `api/${version}` : `apis/${group}/${version}`;
      const operationId = `get${pascal(name)}${pascal(version)}APIResources`;
      add(document, operationId, `${name}_${version}`, "get available resources", "APIResourceList");
    }
  }
  const info = typeSchema("io.k8s.apimachinery.pkg.version.Info");
  if (info) {
    paths.push({
      path: "/version/",
      document: "version",
      operationId: "getCodeVersion",
      tag: "version",
      description: "get what the server was built from",
      answer: info,
      produces: ["application/json"],
    });
  }
  const text = (document: string, operationId: string, tag: string, description: string, type: string) =>
    paths.push({ path: `/${document}/`, document, operationId, tag, description, produces: [type] });
  const issuer = "getServiceAccountIssuerOpenID";
  text(
    ".well-known/openid-configuration",
    `${issuer}Configuration`,
    "WellKnown",
    "get what verifies the tokens of service accounts",
    "application/json",
  );
  text("openid/v1/jwks", `${issuer}Keyset`, "openid", "get the keys that sign them", "application/jwk-set+json");
  return paths;
}

/** The path's item in the dialect of OpenAPI 2 or 3. */
export function discoveryPathItem(
  { operationId, tag, description, answer, produces }: DiscoveryPath,
  version: 2 | 3,
  schemas: SchemaCollector,
): Json {
  const schema = answer ? schemas.ref(answer) : { type: "string" };
  const operation = { tags: [tag], description, operationId };
  const unauthorized = { "401": { description: "Unauthorized" } };
  if (version === 3) {
    const content = Object.fromEntries(produces.map((type) => [type, { schema }]));
    return { get: { ...operation, responses: { "200": { description: "OK", content }, ...unauthorized } } };
  }
  const consumes = answer ? { consumes: produces } : {};
  const responses = { "200": { description: "OK", schema }, ...unauthorized };
  return { get: { ...operation, ...consumes, produces, schemes: ["https"], responses } };
}
