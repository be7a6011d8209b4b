// Kinds that the API serves or sends but its OpenAPI document leaves out, in the document's own form.
const meta = "io.k8s.apimachinery.pkg.apis.meta.v1";
const admission = "io.k8s.api.admission.v1";
const authentication = "io.k8s.api.authentication.v1";
const extensions = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

const string = { type: "string" };
const boolean = { type: "boolean" };
const int32 = { type: "integer", format: "int32" };
const bytes = { type: "string", format: "byte" };
const ref = (name) => ({ $ref: `#/definitions/${name}` });
const raw = ref("io.k8s.apimachinery.pkg.runtime.RawExtension");
const list = (items) => ({ type: "array", items, "x-kubernetes-list-type": "atomic" });
const map = (additionalProperties) => ({ type: "object", additionalProperties });
const struct = (properties, required = []) => ({ type: "object", properties, required });
const kind = (group, name, properties, required = []) => ({
  ...struct({ apiVersion: string, kind: string, ...properties }, required),
  "x-kubernetes-group-version-kind": [{ group, version: "v1", kind: name }],
});

export const additions = {
  [`${meta}.GroupVersionKind`]: struct({ group: string, version: string, kind: string }, ["group", "version", "kind"]),
  [`${meta}.GroupVersionResource`]: struct({ group: string, version: string, resource: string }, [
    "group",
    "version",
    "resource",
  ]),
  [`${meta}.PartialObjectMetadata`]: kind("meta.k8s.io", "PartialObjectMetadata", {
    metadata: ref(`${meta}.ObjectMeta`),
  }),
  [`${meta}.PartialObjectMetadataList`]: kind(
    "meta.k8s.io",
    "PartialObjectMetadataList",
    { metadata: ref(`${meta}.ListMeta`), items: list(ref(`${meta}.PartialObjectMetadata`)) },
    ["items"],
  ),
  [`${meta}.Table`]: kind(
    "meta.k8s.io",
    "Table",
    {
      metadata: ref(`${meta}.ListMeta`),
      columnDefinitions: list(ref(`${meta}.TableColumnDefinition`)),
      rows: list(ref(`${meta}.TableRow`)),
    },
    ["columnDefinitions", "rows"],
  ),
  [`${meta}.TableColumnDefinition`]: struct(
    { name: string, type: string, format: string, description: string, priority: int32 },
    ["name", "type", "format", "description", "priority"],
  ),
  [`${meta}.TableRow`]: struct({ cells: list(raw), conditions: list(ref(`${meta}.TableRowCondition`)), object: raw }, [
    "cells",
  ]),
  [`${meta}.TableRowCondition`]: struct({ type: string, status: string, reason: string, message: string }, [
    "type",
    "status",
  ]),
  [`${admission}.AdmissionReview`]: kind("admission.k8s.io", "AdmissionReview", {
    request: ref(`${admission}.AdmissionRequest`),
    response: ref(`${admission}.AdmissionResponse`),
  }),
  [`${admission}.AdmissionRequest`]: struct(
    {
      uid: string,
      kind: ref(`${meta}.GroupVersionKind`),
      resource: ref(`${meta}.GroupVersionResource`),
      subResource: string,
      requestKind: ref(`${meta}.GroupVersionKind`),
      requestResource: ref(`${meta}.GroupVersionResource`),
      requestSubResource: string,
      name: string,
      namespace: string,
      operation: string,
      userInfo: ref(`${authentication}.UserInfo`),
      object: raw,
      oldObject: raw,
      dryRun: boolean,
      options: raw,
    },
    ["uid", "kind", "resource", "operation", "userInfo"],
  ),
  [`${admission}.AdmissionResponse`]: struct(
    {
      uid: string,
      allowed: boolean,
      status: ref(`${meta}.Status`),
      patch: bytes,
      patchType: string,
      auditAnnotations: map(string),
      warnings: list(string),
    },
    ["uid", "allowed"],
  ),
  [`${extensions}.ConversionReview`]: kind("apiextensions.k8s.io", "ConversionReview", {
    request: ref(`${extensions}.ConversionRequest`),
    response: ref(`${extensions}.ConversionResponse`),
  }),
  [`${extensions}.ConversionRequest`]: struct({ uid: string, desiredAPIVersion: string, objects: list(raw) }, [
    "uid",
    "desiredAPIVersion",
    "objects",
  ]),
  [`${extensions}.ConversionResponse`]: struct(
    { uid: string, convertedObjects: list(raw), result: ref(`${meta}.Status`) },
    ["uid", "convertedObjects", "result"],
  ),
};
