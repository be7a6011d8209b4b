/** Secrets: bytes under file-like keys; some types must hold certain keys. */
import type { Secret } from "../../api/core/v1.ts";
import {
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  metadata,
  required,
  tooLong,
} from "../../apimachinery/field-error.ts";
import { configMapKeyProblems } from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { parseJson } from "../../apimachinery/serializer/json.ts";
import { base64Length } from "../base64-length.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { obeys, unchanged } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { keyPairProblem } from "./tls-key-pair.ts";

const maximumBytes = 1024 * 1024;
const dataPath = FieldPath.root.child("data");
const typePath = FieldPath.root.child("type");
const immutablePath = FieldPath.root.child("immutable");
const serviceAccountName = "kubernetes.io/service-account.name";

export const secrets = defineResource<Secret>({
  ...served("v1", "secrets"),
  metadataLooks: { update: ["change", "whole"] },
  defaults(secret) {
    secret.type ||= "Opaque";
    if (!secret.stringData) return;
    const data: Record<string, string> = { ...secret.data };
    for (const [key, value] of Object.entries(secret.stringData)) data[key] = encodeBase64(value);
    secret.data = data;
    delete secret.stringData;
  },
  beforeUpdate(next, previous) {
    // A writer that leaves the type out keeps it.
    if (!next.type) next.type = previous.type;
  },
  validate: (next, previous) => [...(previous ? validChange(next, previous) : []), ...validSecret(next)],
  warnings({ type, data }) {
    const problem =
      type === "kubernetes.io/tls" ? keyPairProblem(bytesOf(data?.["tls.crt"]), bytesOf(data?.["tls.key"])) : undefined;
    return problem ? [problem] : [];
  },
  fieldSelectors: { type: (secret) => secret.type ?? "" },
  columns: [
    name,
    text("Type", (secret) => secret.type ?? ""),
    text("Data", (secret) => Object.keys(secret.data ?? {}).length),
    age,
  ],
});

const bytesOf = (encoded = "") => Buffer.from(encoded, "base64");

function validChange(next: Secret, previous: Secret): FieldError[] {
  const errors = unchanged(next.type, previous.type, typePath);
  if (!previous.immutable) return errors;
  const detail = "field is immutable when `immutable` is set";
  if (!next.immutable) errors.push(forbidden(immutablePath, detail));
  if (!semanticallyEqual(next.data, previous.data)) errors.push(forbidden(dataPath, detail));
  return errors;
}

function validSecret(secret: Secret): FieldError[] {
  const errors: FieldError[] = [];
  const data = secret.data ?? {};
  let bytes = 0;
  for (const key of Object.keys(data)) {
    errors.push(...obeys(key, configMapKeyProblems, dataPath.key(key)));
    bytes += base64Length(data[key]!);
  }
  if (bytes > maximumBytes) errors.push(tooLong(dataPath, maximumBytes));
  return [...errors, ...(typeRules[secret.type ?? ""]?.(secret, data) ?? [])];
}

type TypeRule = (secret: Secret, data: Record<string, string>) => FieldError[];

const missing = (data: Record<string, string>, ...keys: string[]) =>
  keys.filter((key) => !(key in data)).map((key) => required(dataPath.key(key)));

/** What secrets of a type must hold. Types that are not here hold what they like. */
const typeRules: Record<string, TypeRule> = {
  "kubernetes.io/service-account-token": (secret) =>
    secret.metadata.annotations?.[serviceAccountName]
      ? []
      : [required(metadata.child("annotations").key(serviceAccountName))],
  "kubernetes.io/dockercfg": (_, data) => validJson(data, ".dockercfg"),
  "kubernetes.io/dockerconfigjson": (_, data) => validJson(data, ".dockerconfigjson"),
  // Either half will do: a user name without a password and the reverse are both in use.
  "kubernetes.io/basic-auth": (_, data) =>
    "username" in data || "password" in data ? [] : missing(data, "username", "password"),
  "kubernetes.io/ssh-auth": (_, data) => (data["ssh-privatekey"] ? [] : [required(dataPath.key("ssh-privatekey"))]),
  "kubernetes.io/tls": (_, data) => missing(data, "tls.crt", "tls.key"),
};

function validJson(data: Record<string, string>, key: string): FieldError[] {
  const encoded = data[key];
  if (encoded === undefined) return [required(dataPath.key(key))];
  const problem = jsonProblem(decodeBase64(encoded));
  return problem ? [invalid(dataPath.key(key), "<secret contents redacted>", problem)] : [];
}

/** Undefined when the text is an object in JSON, or null, else the complaint that Go's decoder makes. */
function jsonProblem(text: string): string | undefined {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    return (error as Error).message;
  }
  if (typeof value === "object" && !Array.isArray(value)) return undefined;
  const found = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  return `json: cannot unmarshal ${found} into Go value of type map[string]interface {}`;
}

function encodeBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = "";
  // In pieces: each byte becomes an argument, and a call takes only so many.
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}

function decodeBase64(encoded: string): string {
  return new TextDecoder().decode(Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0)));
}
