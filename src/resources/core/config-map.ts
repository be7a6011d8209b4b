/** ConfigMaps: text and binary data under file-like keys, at most a mebibyte in all. */
import type { ConfigMap } from "../../api/core/v1.ts";
import { type FieldError, FieldPath, forbidden, invalid, tooLong } from "../../apimachinery/field-error.ts";
import { configMapKeyProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { utf8Length } from "../../base/utf8.ts";
import { base64Length } from "../base64-length.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { obeys } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

const maximumBytes = 1024 * 1024;
const dataPath = FieldPath.root.child("data");
const binaryDataPath = FieldPath.root.child("binaryData");
const immutablePath = FieldPath.root.child("immutable");
/** Upstream passes an empty path for the size of the whole. */
const wholeObject = FieldPath.root.index(0);

export const configMaps = defineResource<ConfigMap>({
  ...served("v1", "configmaps"),
  metadataLooks: { update: ["change", "whole"] },
  validate: (next, previous) => [...(previous ? unchangedWhenImmutable(next, previous) : []), ...validData(next)],
  columns: [name, dataCount(), age],
});

function dataCount() {
  return text<ConfigMap>(
    "Data",
    (configMap) => Object.keys(configMap.data ?? {}).length + Object.keys(configMap.binaryData ?? {}).length,
  );
}

function validData(configMap: ConfigMap): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  let characters = 0;
  for (const key of Object.keys(configMap.data ?? {})) {
    const value = configMap.data![key]!;
    errors.push(...obeys(key, configMapKeyProblems, dataPath.key(key)));
    if (configMap.binaryData && key in configMap.binaryData) {
      errors.push(invalid(dataPath.key(key), key, "duplicate of key present in binaryData"));
    }
    characters += value.length;
  }
  for (const key of Object.keys(configMap.binaryData ?? {})) {
    errors.push(...obeys(key, configMapKeyProblems, binaryDataPath.key(key)));
    bytes += base64Length(configMap.binaryData![key]!);
  }
  // None takes more than three bytes; most objects are so small that they need not be looked at one by one.
  if (bytes + characters * 3 > maximumBytes) {
    for (const value of Object.values(configMap.data ?? {})) bytes += utf8Length(value);
  }
  if (bytes > maximumBytes) errors.push({ ...tooLong(wholeObject, maximumBytes), field: "[]" });
  return errors;
}

function unchangedWhenImmutable(next: ConfigMap, previous: ConfigMap): FieldError[] {
  if (!previous.immutable) return [];
  const errors: FieldError[] = [];
  const detail = "field is immutable when `immutable` is set";
  if (!next.immutable) errors.push(forbidden(immutablePath, detail));
  if (!semanticallyEqual(next.data, previous.data)) errors.push(forbidden(dataPath, detail));
  if (!semanticallyEqual(next.binaryData, previous.binaryData)) errors.push(forbidden(binaryDataPath, detail));
  return errors;
}
