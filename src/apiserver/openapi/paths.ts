/** The operations of served resources as OpenAPI paths: what clients look up to learn which verbs and parameters there are. */
import { schemaForKind, type TypeSchema } from "../../api/schema.ts";
import { groupVersionPath } from "../../apimachinery/group-version.ts";
import { customListType } from "../../apimachinery/structural-schema/type-schema.ts";
import type { ServedResource } from "../resource-registry.ts";
import { deleteOptionsType, type SchemaCollector, statusType, watchEventType } from "./schemas.ts";

type Json = Record<string, unknown>;

const mediaTypes = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const patchMediaTypes = [
  "application/json-patch+json",
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/apply-patch+yaml",
];

interface Parameter {
  name: string;
  type: "string" | "boolean" | "integer";
  description: string;
}

const text = (name: string, description: string): Parameter => ({ name, type: "string", description });
const flag = (name: string, description: string): Parameter => ({ name, type: "boolean", description });
const number = (name: string, description: string): Parameter => ({ name, type: "integer", description });

const dryRun = text("dryRun", "All: go through every stage of the request, but store nothing.");
const fieldManager = text("fieldManager", "Who sets these fields; at most 128 printable characters.");
const fieldValidation = text(
  "fieldValidation",
  "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
);
const pretty = text("pretty", "true: indent the answer for people to read.");
const list = [
  flag("allowWatchBookmarks", "Let the server tell a watch how far it has come, by BOOKMARK events."),
  text("continue", "Where the page before ended, as the server said."),
  text("fieldSelector", "Only objects with these field values."),
  text("labelSelector", "Only objects with these labels."),
  number("limit", "At most so many objects in one page."),
  text("resourceVersion", "The state that the answer must not be older than, or must be exactly."),
  text("resourceVersionMatch", "How resourceVersion is meant: Exact or NotOlderThan."),
  flag("sendInitialEvents", "Begin a watch with the present state."),
  number("timeoutSeconds", "End the request after this time."),
];
const watch = flag("watch", "Stream what changes instead of listing.");
const deletion = [
  dryRun,
  number("gracePeriodSeconds", "How long the object may take to end; 0 for at once."),
  flag("orphanDependents", "Deprecated: use propagationPolicy."),
  text("propagationPolicy", "What becomes of dependents: Orphan, Background or Foreground."),
];

/** Writes paths in the dialect of OpenAPI 2 or 3. */
export class PathWriter {
  readonly #version: 2 | 3;
  readonly #schemas: SchemaCollector;

  constructor(version: 2 | 3, schemas: SchemaCollector) {
    this.#version = version;
    this.#schemas = schemas;
  }

  /** All paths of one resource. Nothing for kinds without a schema. */
  pathsOf(resource: ServedResource): Record<string, Json> {
    const type = resource.schema;
    if (!type) return {};
    const paths: Record<string, Json> = {};
    const root = groupVersionPath(resource);
    const collection = resource.namespaced
      ? `${root}/namespaces/{namespace}/${resource.plural}`
      : `${root}/${resource.plural}`;
    const parameters = [this.#pathParameters(resource, false), this.#pathParameters(resource, true)] as const;
    paths[collection] = { ...this.#collection(resource, type), parameters: parameters[0] };
    if (resource.namespaced && resource.verbs.has("list")) {
      const operation = this.#list(resource, type, "ForAllNamespaces");
      paths[`${root}/${resource.plural}`] = { get: operation, parameters: [] };
    }
    const object = this.#object(resource, type);
    if (Object.keys(object).length > 0) paths[`${collection}/{name}`] = { ...object, parameters: parameters[1] };
    for (const subresource of resource.subresources.values()) {
      const own = subresource.kind
        ? (schemaForKind(subresource.kind.group, subresource.kind.version, subresource.kind.kind) ?? type)
        : type;
      const operations: Json = {};
      for (const verb of subresource.verbs) {
        const method = methods[verb];
        if (method) operations[method] = this.#operation(resource, own, verb, subresource.name);
      }
      paths[`${collection}/{name}/${subresource.name}`] = { ...operations, parameters: parameters[1] };
    }
    return paths;
  }

  #collection(resource: ServedResource, type: TypeSchema): Json {
    const operations: Json = {};
    if (resource.verbs.has("list")) operations["get"] = this.#list(resource, type, "");
    if (resource.verbs.has("create")) operations["post"] = this.#operation(resource, type, "create", "");
    if (resource.verbs.has("deletecollection")) {
      operations["delete"] = this.#describe(resource, "deletecollection", "", [...list, ...deletion], {
        body: deleteOptionsType(),
        answer: statusType(),
      });
    }
    return operations;
  }

  #object(resource: ServedResource, type: TypeSchema): Json {
    const operations: Json = {};
    for (const verb of ["get", "update", "patch", "delete"]) {
      if (resource.verbs.has(verb)) operations[methods[verb]!] = this.#operation(resource, type, verb, "");
    }
    return operations;
  }

  #list(resource: ServedResource, type: TypeSchema, suffix: string): Json {
    const listType = type.custom
      ? customListType(type, resource.listKind)
      : schemaForKind(resource.group, resource.version, resource.listKind);
    this.#schemas.ref(watchEventType());
    return this.#describe(resource, "list", suffix, [...list, watch], { answer: listType ?? type });
  }

  #operation(resource: ServedResource, type: TypeSchema, verb: string, subresource: string): Json {
    const written = [dryRun, fieldManager, fieldValidation];
    switch (verb) {
      case "create":
        return this.#describe(resource, "post", subresource, written, { body: type, answer: type, created: true });
      case "update":
        return this.#describe(resource, "put", subresource, written, { body: type, answer: type, created: true });
      case "patch":
        return this.#describe(
          resource,
          "patch",
          subresource,
          [...written, flag("force", "Take fields from other managers; for apply only.")],
          { patch: true, answer: type, created: true },
        );
      case "delete":
        return this.#describe(resource, "delete", subresource, deletion, {
          body: deleteOptionsType(),
          answer: statusType(),
        });
      default:
        return this.#describe(resource, "get", subresource, [], { answer: type });
    }
  }

  #describe(
    resource: ServedResource,
    action: string,
    detail: string,
    parameters: readonly Parameter[],
    shape: { body?: TypeSchema; patch?: boolean; answer: TypeSchema; created?: boolean },
  ): Json {
    const { group, version, kind } = resource;
    const tag = `${group === "" ? "core" : group.split(".")[0]}_${version}`;
    const scope = resource.namespaced && detail !== "ForAllNamespaces" ? "Namespaced" : "";
    const suffix = detail ? detail[0]!.toUpperCase() + detail.slice(1) : "";
    const operation: Json = {
      tags: [tag],
      description: `${action} ${detail && detail !== "ForAllNamespaces" ? `${detail} of ` : ""}${kind}`,
      operationId: `${action}${camel(group || "core")}${camel(version)}${scope}${kind}${suffix}`,
      "x-kubernetes-action": action,
      "x-kubernetes-group-version-kind": { group, version, kind },
    };
    const isCustom = resource.schema?.custom === true;
    const produced = isCustom ? mediaTypes.slice(0, 2) : mediaTypes;
    const patches = isCustom ? patchMediaTypes.filter((one) => !one.includes("strategic")) : patchMediaTypes;
    const answer = this.#schemas.ref(shape.answer);
    const codes = shape.created ? ["200", "201"] : ["200"];
    const query = parameters.map((parameter) => this.#parameter(parameter, "query"));
    if (this.#version === 2) {
      const body = shape.patch
        ? [{ name: "body", in: "body", required: true, schema: { type: "object" } }]
        : shape.body
          ? [{ name: "body", in: "body", schema: this.#schemas.ref(shape.body) }]
          : [];
      operation["consumes"] = shape.patch ? patches : ["*/*"];
      operation["produces"] = produced;
      operation["schemes"] = ["https"];
      operation["parameters"] = [...body, ...query];
      operation["responses"] = {
        ...Object.fromEntries(codes.map((code) => [code, { description: reason(code), schema: answer }])),
        "401": { description: "Unauthorized" },
      };
      return operation;
    }
    operation["parameters"] = query;
    if (shape.patch) {
      operation["requestBody"] = {
        required: true,
        content: Object.fromEntries(patches.map((type) => [type, { schema: { type: "object" } }])),
      };
    } else if (shape.body) {
      operation["requestBody"] = { content: { "*/*": { schema: this.#schemas.ref(shape.body) } } };
    }
    const content = Object.fromEntries(produced.map((type) => [type, { schema: answer }]));
    operation["responses"] = {
      ...Object.fromEntries(codes.map((code) => [code, { description: reason(code), content }])),
      "401": { description: "Unauthorized" },
    };
    return operation;
  }

  #pathParameters(resource: ServedResource, withName: boolean): Json[] {
    const parameters: Json[] = [];
    if (withName) parameters.push(this.#parameter(text("name", `name of the ${resource.kind}`), "path"));
    if (resource.namespaced) {
      parameters.push(this.#parameter(text("namespace", "the namespace that the object is in"), "path"));
    }
    parameters.push(this.#parameter(pretty, "query"));
    return parameters;
  }

  #parameter({ name, type, description }: Parameter, place: "query" | "path"): Json {
    const required = place === "path" ? { required: true } : {};
    if (this.#version === 2) return { name, in: place, description, ...required, type, uniqueItems: true };
    return { name, in: place, description, ...required, schema: { type, uniqueItems: true } };
  }
}

const methods: Readonly<Record<string, string>> = {
  get: "get",
  create: "post",
  update: "put",
  patch: "patch",
  delete: "delete",
};

function reason(code: string): string {
  return code === "201" ? "Created" : "OK";
}

function camel(name: string): string {
  const first = name.split(".")[0]!;
  return first[0]!.toUpperCase() + first.slice(1);
}
