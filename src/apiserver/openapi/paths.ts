/** The operations of served resources as OpenAPI paths: what clients look up to learn which verbs and parameters there are. */
import { schemaForKind, type TypeSchema } from "../../api/schema.ts";
import { type GroupVersionKind, groupVersionPath } from "../../apimachinery/group-version.ts";
import type { SubresourceDefinition } from "../../apimachinery/resource-definition.ts";
import { customListType } from "../../apimachinery/structural-schema/type-schema.ts";
import type { ServedResource } from "../resource-registry.ts";
import { camel, pascal } from "./operation-names.ts";
import { deleteOptionsType, type SchemaCollector, statusType, watchEventType } from "./schemas.ts";

type Json = Record<string, unknown>;

const mediaTypes = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
const watchMediaTypes = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"];
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
const selected = [
  text("continue", "Where the page before ended, as the server said."),
  text("fieldSelector", "Only objects with these field values."),
  text("labelSelector", "Only objects with these labels."),
  number("limit", "At most so many objects in one page."),
  text("resourceVersion", "The state that the answer must not be older than, or must be exactly."),
  text("resourceVersionMatch", "How resourceVersion is meant: Exact or NotOlderThan."),
  flag("sendInitialEvents", "Begin a watch with the present state."),
  text("shardSelector", "Only objects of these shards."),
  number("timeoutSeconds", "End the request after this time."),
];
const list = [
  flag("allowWatchBookmarks", "Let the server tell a watch how far it has come, by BOOKMARK events."),
  ...selected,
  flag("watch", "Stream what changes instead of listing."),
];
const deletion = [
  dryRun,
  number("gracePeriodSeconds", "How long the object may take to end; 0 for at once."),
  flag("ignoreStoreReadErrorWithClusterBreakingPotential", "Delete also what cannot be read any more."),
  flag("orphanDependents", "Deprecated: use propagationPolicy."),
  text("propagationPolicy", "What becomes of dependents: Orphan, Background or Foreground."),
];

/** What the subresources that are not objects are asked by. */
const container = text("container", "Of which container; may be left out where the pod has one.");
const streams = [
  flag("stderr", "With standard error."),
  flag("stdin", "With standard input."),
  flag("stdout", "With standard output."),
  flag("tty", "By a terminal."),
];
const proxied = text("path", "The rest of the address.");
const log = [
  container,
  flag("follow", "Go on as the log grows."),
  flag("insecureSkipTLSVerifyBackend", "Do not verify the kubelet's certificate."),
  number("limitBytes", "At most so many bytes."),
  pretty,
  flag("previous", "Of the container before the present one."),
  number("sinceSeconds", "Only lines of so many last seconds."),
  text("stream", "Which streams: All, Stdout or Stderr."),
  number("tailLines", "At most so many last lines."),
  flag("timestamps", "Each line begins with its time."),
];
const connections: Readonly<Record<string, readonly Parameter[]>> = {
  attach: [container, ...streams],
  exec: [text("command", "What to run; not by a shell."), container, ...streams],
  portforward: [number("ports", "Which ports, for clients that use WebSocket.")],
  proxy: [proxied],
};
const proxyMethods = ["delete", "get", "head", "options", "patch", "post", "put"];

interface Shape {
  body?: TypeSchema;
  patch?: boolean;
  /** Absent: text. */
  answer?: TypeSchema;
  codes: readonly string[];
  isWatched?: boolean;
  /** The kind that is spoken of, where it is not the resource's. */
  kind?: GroupVersionKind | undefined;
}

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
      paths[`${root}/${resource.plural}`] = { get: operation, parameters: [this.#parameter(pretty, "query")] };
    }
    const object = this.#object(resource, type);
    if (Object.keys(object).length > 0) paths[`${collection}/{name}`] = { ...object, parameters: parameters[1] };
    for (const subresource of resource.subresources.values()) {
      if (connections[subresource.name]) {
        Object.assign(paths, this.#connections(resource, subresource, `${collection}/{name}`));
        continue;
      }
      const own = subresource.kind
        ? (schemaForKind(subresource.kind.group, subresource.kind.version, subresource.kind.kind) ?? type)
        : type;
      const operations: Json = {};
      for (const verb of subresource.verbs) {
        const method = methods[verb];
        if (method) operations[method] = this.#operation(resource, own, verb, subresource);
      }
      if (subresource.name === "log") operations["get"] = this.#log(resource);
      paths[`${collection}/{name}/${subresource.name}`] = { ...operations, parameters: parameters[1] };
    }
    return paths;
  }

  #collection(resource: ServedResource, type: TypeSchema): Json {
    const operations: Json = {};
    if (resource.verbs.has("list")) operations["get"] = this.#list(resource, type, "");
    if (resource.verbs.has("create")) operations["post"] = this.#operation(resource, type, "create");
    if (resource.verbs.has("deletecollection")) {
      operations["delete"] = this.#describe(resource, "deletecollection", "", [...selected, ...deletion], {
        body: deleteOptionsType(),
        answer: statusType(),
        codes: ["200"],
      });
    }
    return operations;
  }

  #object(resource: ServedResource, type: TypeSchema): Json {
    const operations: Json = {};
    for (const verb of ["get", "update", "patch", "delete"]) {
      if (resource.verbs.has(verb)) operations[methods[verb]!] = this.#operation(resource, type, verb);
    }
    return operations;
  }

  #connections(resource: ServedResource, { name, verbs, kind }: SubresourceDefinition, place: string): Json {
    const scope = resource.namespaced ? "Namespaced" : "";
    const connectMethods = name === "proxy" ? proxyMethods : verbs.flatMap((verb) => methods[verb] ?? []);
    const paths: Json = {};
    for (const rest of name === "proxy" ? ["", "/{path}"] : [""]) {
      const operations: Json = {};
      for (const method of connectMethods) {
        const suffix = `${pascal(name)}${rest && "WithPath"}`;
        const operationId = `connect${groupName(resource)}${pascal(method)}${scope}${resource.kind}${suffix}`;
        operations[method] = this.#described(
          {
            action: "connect",
            operationId,
            description: `connect ${method.toUpperCase()} requests to ${name} of ${resource.kind}`,
          },
          resource,
          [],
          { codes: ["200"], kind },
        );
      }
      const own = connections[name]!.map((parameter) => this.#parameter(parameter, "query"));
      const inPath = rest ? [this.#parameter(proxied, "path")] : [];
      const parameters = [...this.#pathParameters(resource, true).slice(0, -1), ...inPath, ...own];
      paths[`${place}/${name}${rest}`] = { ...operations, parameters };
    }
    return paths;
  }

  #log(resource: ServedResource): Json {
    return this.#describe(
      resource,
      "get",
      "log",
      log.filter((one) => one !== pretty),
      { codes: ["200"] },
    );
  }

  #list(resource: ServedResource, type: TypeSchema, suffix: string): Json {
    const listType = type.custom
      ? customListType(type, resource.listKind)
      : schemaForKind(resource.group, resource.version, resource.listKind);
    this.#schemas.ref(watchEventType());
    return this.#describe(resource, "list", suffix, list, {
      answer: listType ?? type,
      codes: ["200"],
      isWatched: true,
    });
  }

  #operation(resource: ServedResource, type: TypeSchema, verb: string, part?: SubresourceDefinition): Json {
    const written = [dryRun, fieldManager, fieldValidation];
    const subresource = part?.name ?? "";
    const kind = part?.kind;
    switch (verb) {
      case "create": {
        const codes = ["200", "201", "202"];
        return this.#describe(resource, "post", subresource, written, { body: type, answer: type, codes, kind });
      }
      case "update": {
        const codes = ["200", "201"];
        return this.#describe(resource, "put", subresource, written, { body: type, answer: type, codes, kind });
      }
      case "patch":
        return this.#describe(
          resource,
          "patch",
          subresource,
          [...written, flag("force", "Take fields from other managers; for apply only.")],
          { patch: true, answer: type, codes: ["200", "201"], kind },
        );
      case "delete":
        return this.#describe(resource, "delete", subresource, deletion, {
          body: deleteOptionsType(),
          answer: resource.definition.returnsDeletedObject ? type : statusType(),
          codes: ["200", "202"],
        });
      default:
        return this.#describe(resource, "get", subresource, [], { answer: type, codes: ["200"], kind });
    }
  }

  #describe(
    resource: ServedResource,
    action: string,
    detail: string,
    parameters: readonly Parameter[],
    shape: Shape,
  ): Json {
    const isForAll = detail === "ForAllNamespaces";
    const scope = resource.namespaced && !isForAll ? "Namespaced" : "";
    const collection = action === "deletecollection" ? "Collection" : "";
    const name = `${groupName(resource)}${collection}${scope}${resource.kind}${pascal(detail)}`;
    const operationId = (operationVerbs[action] ?? action) + name;
    const description = `${action} ${detail && !isForAll ? `${detail} of ` : ""}${resource.kind}`;
    return this.#described({ action, operationId, description }, resource, parameters, shape);
  }

  #described(
    { action, operationId, description }: { action: string; operationId: string; description: string },
    resource: ServedResource,
    parameters: readonly Parameter[],
    shape: Shape,
  ): Json {
    const { group, version, kind } = shape.kind ?? resource;
    const operation: Json = {
      tags: [`${camel(resource.group)}_${resource.version}`],
      description,
      operationId,
      "x-kubernetes-action": action,
      "x-kubernetes-group-version-kind": { group, version, kind },
    };
    const isCustom = resource.schema?.custom === true;
    const produced = !shape.answer
      ? action === "connect"
        ? ["*/*"]
        : ["text/plain", ...mediaTypes]
      : isCustom
        ? mediaTypes.slice(0, 2)
        : shape.isWatched
          ? [...mediaTypes, ...watchMediaTypes]
          : mediaTypes;
    const patches = isCustom ? patchMediaTypes.filter((one) => !one.includes("strategic")) : patchMediaTypes;
    const answer = shape.answer ? this.#schemas.ref(shape.answer) : { type: "string" };
    const { codes } = shape;
    const isRequired = action === "post" || action === "put";
    const query = parameters.map((parameter) => this.#parameter(parameter, "query"));
    if (this.#version === 2) {
      const body = shape.patch
        ? [{ name: "body", in: "body", required: true, schema: this.#schemas.patch() }]
        : shape.body
          ? [
              {
                name: "body",
                in: "body",
                ...(isRequired ? { required: true } : {}),
                schema: this.#schemas.ref(shape.body),
              },
            ]
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
        content: Object.fromEntries(patches.map((type) => [type, { schema: this.#schemas.patch() }])),
      };
    } else if (shape.body) {
      const content = { "*/*": { schema: this.#schemas.ref(shape.body) } };
      operation["requestBody"] = { content, ...(isRequired ? { required: true } : {}) };
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

const operationVerbs: Readonly<Record<string, string>> = {
  get: "read",
  put: "replace",
  post: "create",
  deletecollection: "delete",
};

function reason(code: string): string {
  return code === "201" ? "Created" : code === "202" ? "Accepted" : "OK";
}

const groupName = ({ group, version }: ServedResource) => pascal(camel(group)) + pascal(version);
