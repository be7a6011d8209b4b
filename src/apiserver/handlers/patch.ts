/** PATCH: JSON patch, merge patch, strategic merge patch. The algorithms stand in apimachinery; here is what surrounds them. */
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import { schemaForKind, type TypeSchema } from "../../api/schema.ts";
import { FieldPath, invalid } from "../../apimachinery/field-error.ts";
import { apiVersionOf } from "../../apimachinery/group-version.ts";
import { goPrint, inKeyOrder } from "../../apimachinery/patch/go-print.ts";
import {
  applyJsonPatch,
  JsonPatchError,
  jsonPatchProblems,
  readJsonPatch,
  rejectedPatchError,
} from "../../apimachinery/patch/json.ts";
import { mergePatch } from "../../apimachinery/patch/merge.ts";
import { strategicMergePatch } from "../../apimachinery/patch/strategic.ts";
import { parseExactly } from "../../apimachinery/serializer/big-integers.ts";
import { DecodeError, MismatchError } from "../../apimachinery/serializer/decode-error.ts";
import { decodeValue, parseJson, readTypeMeta } from "../../apimachinery/serializer/json.ts";
import { countKeys, countTextKeys, duplicateFields } from "../../apimachinery/serializer/json-scan.ts";
import { literalsOf } from "../../apimachinery/serializer/number-literals.ts";
import { badRequestError, conflictError, invalidError, StatusError } from "../../apimachinery/status-error.ts";
import type { Answer } from "../answer.ts";
import { type Body, checkCustomKind, type ExpectedKind, unsupportedMediaType } from "../decode-body.ts";
import { bookUpdate } from "../field-management.ts";
import type { ObjectWriter } from "../object-writer.ts";
import type { PatchOptions } from "../request-options.ts";
import { type ServedResource, schemaOfDefinition } from "../resource-registry.ts";
import { type RequestContext, warn } from "../services.ts";
import { apply } from "./apply.ts";
import { checkIdentity, onlyPart } from "./update.ts";

export interface PatchRequest {
  type: "json" | "merge" | "strategic" | "apply";
  body: Body;
  options: PatchOptions;
}

const patchTypes: Readonly<Record<string, PatchRequest["type"]>> = {
  "application/json-patch+json": "json",
  "application/merge-patch+json": "merge",
  "application/strategic-merge-patch+json": "strategic",
  "application/apply-patch+yaml": "apply",
};

/** Throws the 415 that upstream gives to what is no patch, or no patch for custom resources. Media types are taken as they are spelled. */
export function patchTypeOf(contentType: string | undefined, isCustom: boolean): PatchRequest["type"] {
  const bare = contentType?.split(";", 1)[0] ?? "";
  const type = Object.hasOwn(patchTypes, bare) ? patchTypes[bare] : undefined;
  if (type && !(isCustom && type === "strategic")) return type;
  // The router knows the patches of built-in resources, and looks away from blanks.
  const routed = contentType?.split(",").some((each) => Object.hasOwn(patchTypes, each.split(";", 1)[0]!.trim()));
  if (isCustom || routed) throw unknownPatch(isCustom);
  throw new StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
}

export async function patch(
  objects: ObjectWriter,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  name: string,
  subresource: string,
  request: PatchRequest,
): Promise<Answer> {
  if (request.type === "apply") return apply(objects, context, resource, namespace, name, subresource, request);
  const { definition } = resource;
  const { options } = request;
  const manager = options.fieldManager || context.defaultManager;
  const now = objects.services.clock.now();
  const patcher = new Patcher(context, request, definition);
  return objects.update(context, {
    resource,
    namespace,
    name,
    subresource,
    dryRun: options.dryRun,
    unconditional: true,
    transform(previous) {
      // update() has refused what does not exist.
      const patched = patcher.apply(previous!);
      checkIdentity(patched, resource, namespace, name);
      // A subresource keeps the standing metadata, so that nothing else would notice a patch meant for a predecessor.
      if (subresource !== "" && !definition.type?.custom && patched.metadata.uid !== previous!.metadata.uid) {
        const { uid } = patched.metadata;
        const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${previous!.metadata.uid}`;
        throw conflictError(resource.groupResource, name, why);
      }
      definition.defaults?.(patched);
      return onlyPart(resource, subresource, patched, previous!);
    },
    book: (next, previous) => bookUpdate(resource, next, previous, manager, subresource, now),
  });
}

interface Document {
  value: unknown;
  /** The value with its numbers as they are spelled, where that matters. */
  literals?: unknown;
  problems: readonly string[];
}

/** One patch: read when first needed, then applied to whatever stands, as often as writes collide. */
export class Patcher {
  readonly #context: RequestContext;
  readonly #request: PatchRequest;
  readonly #expected: ExpectedKind;
  readonly #schema: TypeSchema;
  #document: Document | undefined;

  constructor(context: RequestContext, request: PatchRequest, expected: ExpectedKind) {
    const schema = schemaOfDefinition(expected);
    if (!schema) throw new Error(`no schema for ${expected.kind} in ${apiVersionOf(expected)}`);
    if (request.type === "strategic" && schema.custom) throw unknownPatch(true);
    this.#context = context;
    this.#request = request;
    this.#expected = expected;
    this.#schema = schema;
  }

  /** The object that the patch makes of `standing`: fresh, decoded, not defaulted. */
  apply(standing: DeepReadonly<KubeObject>): KubeObject {
    this.#document ??= this.#read();
    const { value, literals, problems } = this.#document;
    const patched = this.#patched(standing, value);
    // Numbers reach the object as the patch spells them; a strategic merge patch converts them.
    const asWritten = literals === undefined ? undefined : () => this.#patched(standing, literals);
    const isConverted = this.#request.type === "strategic";
    const { fieldValidation } = this.#request.options;
    const refuse = (why: string) => this.#refusal(patched, value, why);
    try {
      // A strategic merge patch ends in an object of the kind that is due, whatever it writes there.
      if (this.#request.type !== "strategic") this.#checkKind(patched);
      const decoded = decodeValue<KubeObject>(patched, this.#schema, { asWritten, isConverted });
      const found = [...problems, ...decoded.problems];
      if (found.length > 0 && fieldValidation === "Strict") {
        throw refuse(`strict decoding error: ${found.join(", ")}`);
      }
      if (fieldValidation === "Warn") for (const problem of found) warn(this.#context, problem);
      decoded.object.metadata ??= {} as KubeObject["metadata"];
      return decoded.object;
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw refuse(isConverted && error instanceof MismatchError ? error.conversionProblem : error.message);
    }
  }

  #patched(standing: DeepReadonly<KubeObject>, value: unknown): object {
    switch (this.#request.type) {
      case "json":
        try {
          return inOrder(applyJsonPatch(standing, readJsonPatch(value, this.#isChecked)));
        } catch (error) {
          if (error instanceof JsonPatchError) throw rejectedPatchError(error);
          if (error instanceof DecodeError) throw this.#unreadable(error);
          throw error;
        }
      case "strategic":
        return strategicMergePatch(standing, value as object, this.#schema);
      default:
        return inOrder(mergePatch(standing, value));
    }
  }

  #read(): Document {
    const { body, type } = this.#request;
    if (body.kind === "object") return { value: this.#checkShape(body.object), problems: [] };
    const text = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.byteLength).toString();
    let value: unknown;
    try {
      value = parseExactly(text, parseJson(text));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw this.#unreadable(error);
    }
    const shaped = this.#checkShape(value);
    const literals = this.#schema.custom || type === "strategic" ? undefined : literalsOf(text);
    if (!this.#isChecked) return { value: shaped, literals, problems: [] };
    if (type === "json") return { value: shaped, literals, problems: jsonPatchProblems(text) };
    return { value: shaped, literals, problems: countKeys(value) === countTextKeys(text) ? [] : duplicateFields(text) };
  }

  /** Whether anybody hears of unknown and duplicate fields, and the patch is read with care for it. */
  get #isChecked(): boolean {
    return this.#request.options.fieldValidation !== "Ignore";
  }

  #unreadable({ message }: DecodeError): StatusError {
    const { type } = this.#request;
    if (type === "strategic") return badRequestError(message);
    if (this.#isChecked) return badRequestError(`error decoding patch: ${message}`);
    return badRequestError(type === "json" ? message : notAPatch);
  }

  #checkShape(value: unknown): unknown {
    const { type } = this.#request;
    if (type === "json") return value;
    if (value === null) {
      if (type === "merge") throw badRequestError(notAPatch);
      return {};
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
    const found = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
    throw this.#unreadable(
      new DecodeError(`json: cannot unmarshal ${found} into Go value of type map[string]interface {}`),
    );
  }

  /** A patch may write another kind into the object: it is read as that kind before it is refused. */
  #checkKind(patched: object): void {
    const { apiVersion, kind } = readTypeMeta(patched);
    const expected = apiVersionOf(this.#expected);
    if (apiVersion === expected && kind === this.#expected.kind) return;
    if (this.#schema.custom) {
      checkCustomKind(patched as Partial<KubeObject>, this.#expected);
      return;
    }
    const slash = apiVersion.indexOf("/");
    const group = slash < 0 ? "" : apiVersion.slice(0, slash);
    const version = apiVersion.slice(slash + 1);
    const schema = schemaForKind(group, version, kind);
    if (!schema) {
      throw new DecodeError(
        `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/api/legacyscheme/scheme.go:30"`,
      );
    }
    decodeValue(patched, schema);
    const own = this.#expected.group === "" ? "core" : this.#expected.group.split(".")[0];
    throw new DecodeError(`converting (${version}.${kind}) to (${own}.${this.#expected.kind}): unknown conversion`);
  }

  #refusal(patched: object, value: unknown, why: string): StatusError {
    const shown = this.#request.type === "strategic" ? goPrint(value) : JSON.stringify(patched, sortedFieldSets);
    const { code, reason, message, details } = invalidError({ group: "", kind: "" }, "", [
      invalid(FieldPath.root.child("patch"), shown, why),
    ]);
    return new StatusError(code, reason, message, { causes: details?.causes ?? [] });
  }
}

const notAPatch = "Invalid JSON Patch";

/** Upstream's patch libraries leave an object's members sorted; messages that list its fields follow. */
function inOrder(value: unknown): object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw rejectedPatchError(undefined);
  const fields = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.keys(fields)
      .sort()
      .map((name) => [name, fields[name]]),
  );
}

/** Field sets are maps in Go, which writes maps sorted. */
function sortedFieldSets(key: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  return key === "fieldsV1" ? inKeyOrder(value) : value;
}

function unknownPatch(isCustom: boolean): StatusError {
  const types = Object.keys(patchTypes).filter((type) => !(isCustom && patchTypes[type] === "strategic"));
  return unsupportedMediaType(types.join(", "));
}
