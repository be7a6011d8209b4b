/** Objects as Kubernetes' protobuf. Loaded when the first client asks for it. */
import type { KubeObject } from "../../api/object.ts";
import { schemaForKind, type TypeSchema } from "../../api/schema.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import {
  encodeEnvelope,
  encodeMessage,
  encodeProtobuf,
  encodeWatchEvent,
  frame,
  listPieces,
} from "../../apimachinery/serializer/protobuf.ts";
import type { FailureStatus } from "../../apimachinery/status-error.ts";
import type { Encoder } from "../../storage/encoding.ts";
import type { ListAnswer } from "../answer.ts";
import type { ServedResource } from "../resource-registry.ts";
import { notAcceptable } from "./accept.ts";
import { bookmarkObject } from "./json-encoder.ts";
import { partialMetadata } from "./table.ts";

/**
 * Any object of a kind that the schema tables know; one without a version (`/api` answers with such) is of the API's own kinds.
 * Throws a 406 for others: custom resources have no protobuf form.
 */
export function encodeProtobufObject(object: object): Buffer {
  const { apiVersion = "v1", kind = "" } = object as { apiVersion?: string; kind?: string };
  const { group, version } = parseApiVersion(apiVersion) ?? { group: "", version: "" };
  const schema = schemaForKind(group, version, kind);
  if (!schema) throw jsonOnly();
  return encodeProtobuf(object, schema);
}

function jsonOnly(): Error {
  return notAcceptable("only the following media types are accepted: application/json, application/yaml");
}

const encoders = new WeakMap<ServedResource, Encoder<KubeObject>>();

/** Keeps the message without its envelope, which is how it stands in lists. */
export function protobufEncoder(resource: ServedResource): Encoder<KubeObject> {
  let encoder = encoders.get(resource);
  if (!encoder) {
    encoder = newEncoder(resource);
    encoders.set(resource, encoder);
  }
  return encoder;
}

function newEncoder(resource: ServedResource): Encoder<KubeObject> {
  const { apiVersion, kind } = resource;
  const schema = schemaOf(resource, kind);
  const typeMeta = { apiVersion, kind };
  return {
    id: `protobuf ${apiVersion} ${kind}`,
    encode: (object) => encodeMessage(resource.fromStored(object), schema),
    frame: (type, message) => [frame(encodeWatchEvent(type, encodeEnvelope(typeMeta, message)))],
    bookmark: (revision, initialEventsEnd) => {
      const message = encodeMessage(bookmarkObject(apiVersion, kind, revision, initialEventsEnd), schema);
      return frame(encodeWatchEvent("BOOKMARK", encodeEnvelope(typeMeta, message)));
    },
  };
}

/** The metadata alone, as watches of clients that keep no more send it. */
export function protobufMetadataEncoder(resource: ServedResource, version: string): Encoder<KubeObject> {
  const typeMeta = { apiVersion: `meta.k8s.io/${version}`, kind: "PartialObjectMetadata" };
  const schema = schemaForKind("meta.k8s.io", version, typeMeta.kind);
  if (!schema) throw jsonOnly();
  return {
    id: `protobuf PartialObjectMetadata ${version} ${resource.apiVersion}`,
    encode: (object) => encodeMessage(partialMetadata(resource.fromStored(object), version), schema),
    frame: (type, message) => [frame(encodeWatchEvent(type, encodeEnvelope(typeMeta, message)))],
    bookmark: (revision, initialEventsEnd) => {
      const object = bookmarkObject(typeMeta.apiVersion, typeMeta.kind, revision, initialEventsEnd);
      return frame(encodeWatchEvent("BOOKMARK", encodeEnvelope(typeMeta, encodeMessage(object, schema))));
    },
  };
}

function schemaOf(resource: ServedResource, kind: string): TypeSchema {
  const schema = kind === resource.kind ? resource.schema : schemaForKind(resource.group, resource.version, kind);
  if (!schema?.byName.get("metadata")?.protobuf) throw jsonOnly();
  return schema;
}

/** One object, from what the encoder keeps. */
export function protobufEntry(resource: ServedResource, message: Uint8Array): Buffer {
  return encodeEnvelope({ apiVersion: resource.apiVersion, kind: resource.kind }, message);
}

/** A list of whole objects, in pieces, from what the encoder keeps. */
export function protobufList(
  resource: ServedResource,
  answer: ListAnswer,
  metadata: object,
): Generator<Uint8Array, void> {
  const encoder = protobufEncoder(resource);
  const schema = schemaOf(resource, resource.listKind);
  const typeMeta = { apiVersion: resource.apiVersion, kind: resource.listKind };
  return listPieces(typeMeta, metadata, messages(), schema);

  function* messages() {
    for (const entry of answer.entries) yield entry.encoded(encoder);
  }
}

/** A PartialObjectMetadataList, in pieces. */
export function protobufMetadataList(
  version: string,
  metadata: object,
  items: Iterable<object>,
): Generator<Uint8Array, void> {
  const apiVersion = `meta.k8s.io/${version}`;
  const item = schemaForKind("meta.k8s.io", version, "PartialObjectMetadata");
  const list = schemaForKind("meta.k8s.io", version, "PartialObjectMetadataList");
  if (!item || !list) throw jsonOnly();
  return listPieces({ apiVersion, kind: "PartialObjectMetadataList" }, metadata, messages(), list);

  function* messages() {
    for (const object of items) yield encodeMessage(object, item!);
  }
}

export function protobufErrorFrame(status: FailureStatus): Buffer {
  return frame(encodeWatchEvent("ERROR", encodeProtobufObject(status)));
}
