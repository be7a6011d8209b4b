/** A container's environment. */
import type { ConfigMapKeySelector, Container, EnvVar } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, invalid, required } from "../../../apimachinery/field-error.ts";
import {
  configMapKeyProblems,
  dns1123SubdomainProblems,
  environmentVariableNameProblems,
} from "../../../apimachinery/name-validation.ts";
import { each, obeys } from "../../validation/rules.ts";
import { environmentFields, validFieldReference, validResourceReference } from "./field-selector.ts";
import { validUnreservedPath } from "./paths.ts";

export function validEnvironment(variables: Container["env"], path: FieldPath): FieldError[] {
  return each(variables, path, (variable, at) => [
    ...(variable.name
      ? obeys(variable.name, environmentVariableNameProblems, at.child("name"))
      : [required(at.child("name"))]),
    ...validValueFrom(variable, at.child("valueFrom")),
  ]);
}

function validValueFrom({ value, valueFrom }: EnvVar, path: FieldPath): FieldError[] {
  if (!valueFrom) return [];
  const errors: FieldError[] = [];
  let sources = 0;
  const source = <T>(reference: T | undefined, rule: (reference: T) => FieldError[]) => {
    if (reference === undefined) return;
    sources++;
    errors.push(...rule(reference));
  };
  source(valueFrom.fieldRef, (ref) => validFieldReference(ref, environmentFields, path.child("fieldRef")));
  source(valueFrom.resourceFieldRef, (ref) => validResourceReference(ref, path.child("resourceFieldRef"), false));
  source(valueFrom.configMapKeyRef, (ref) => validKeyReference(ref, path.child("configMapKeyRef")));
  source(valueFrom.secretKeyRef, (ref) => validKeyReference(ref, path.child("secretKeyRef")));
  source(valueFrom.fileKeyRef, (ref) => {
    const at = path.child("fileKeyRef");
    const found: FieldError[] = [];
    if (!ref.key) found.push(required(at.child("key")));
    else found.push(...obeys(ref.key, environmentVariableNameProblems, at.child("key")));
    if (!ref.volumeName) found.push(required(at.child("volumeName")));
    if (!ref.path) found.push(required(at.child("path")));
    else found.push(...validUnreservedPath(ref.path, at.child("path")));
    return found;
  });
  if (sources === 0) {
    const choices = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
    errors.push(invalid(path, "", `must specify one of: ${choices}`));
  } else if (value) {
    errors.push(invalid(path, "", "may not be specified when `value` is not empty"));
  } else if (sources > 1) {
    errors.push(invalid(path, "", "may not have more than one field specified at a time"));
  }
  return errors;
}

function validKeyReference({ name, key }: ConfigMapKeySelector, path: FieldPath): FieldError[] {
  return [
    ...obeys(name ?? "", dns1123SubdomainProblems, path.child("name")),
    ...(key ? obeys(key, configMapKeyProblems, path.child("key")) : [required(path.child("key"))]),
  ];
}

/** Upstream reports a source that names nothing, or two things, on the list rather than on the item. */
export function validEnvironmentSources(sources: Container["envFrom"], path: FieldPath): FieldError[] {
  return each(sources, path, ({ prefix, configMapRef, secretRef }, at) => {
    const errors = prefix ? obeys(prefix, environmentVariableNameProblems, at.child("prefix")) : [];
    if (configMapRef && !configMapRef.name) errors.push(required(at.child("configMapRef", "name")));
    if (secretRef && !secretRef.name) errors.push(required(at.child("secretRef", "name")));
    if (!configMapRef && !secretRef) {
      errors.push(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
    } else if (configMapRef && secretRef) {
      errors.push(invalid(path, "", "may not have more than one field specified at a time"));
    }
    return errors;
  });
}
