/** A container's environment. */
import type { ConfigMapKeySelector, Container, EnvVar, PodSpec } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, invalid, notFound, required } from "../../../apimachinery/field-error.ts";
import {
  configMapKeyProblems,
  dns1123SubdomainProblems,
  environmentVariableNameProblems,
  maskTrailingDash,
} from "../../../apimachinery/name-validation.ts";
import { each, obeys, validDnsLabel } from "../../validation/rules.ts";
import { eachContainer } from "./each-container.ts";
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
    return [
      ...(ref.key ? obeys(ref.key, environmentVariableNameProblems, at.child("key")) : [required(at.child("key"))]),
      ...(ref.volumeName ? validDnsLabel(ref.volumeName, at.child("volumeName")) : [required(at.child("volumeName"))]),
      ...(ref.path ? validUnreservedPath(ref.path, at.child("path")) : [required(at.child("path"))]),
    ];
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

/** Upstream forgives a dash at the end here, as if the name were a prefix. */
function validSourceName(name: string | undefined, path: FieldPath): FieldError[] {
  if (!name) return [required(path)];
  return dns1123SubdomainProblems(maskTrailingDash(name)).map((problem) => invalid(path, name, problem));
}

/** Upstream reports a source that names nothing, or two things, on the list rather than on the item. */
export function validEnvironmentSources(sources: Container["envFrom"], path: FieldPath): FieldError[] {
  return each(sources, path, ({ prefix, configMapRef, secretRef }, at) => {
    const errors = prefix ? obeys(prefix, environmentVariableNameProblems, at.child("prefix")) : [];
    if (configMapRef) errors.push(...validSourceName(configMapRef.name, at.child("configMapRef", "name")));
    if (secretRef) errors.push(...validSourceName(secretRef.name, at.child("secretRef", "name")));
    if (!configMapRef && !secretRef) {
      errors.push(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
    } else if (configMapRef && secretRef) {
      errors.push(invalid(path, "", "may not have more than one field specified at a time"));
    }
    return errors;
  });
}

/** Variables that a file of the pod fills: the file lies in an empty directory of the pod's. */
export function validFileReferences(spec: PodSpec, path: FieldPath): FieldError[] {
  const volumes = new Map(spec.volumes?.map((volume) => [volume.name, volume]));
  return eachContainer(spec, path, (container, at) =>
    each(container.env, at.child("env"), ({ valueFrom }, variablePath) => {
      if (!valueFrom?.fileKeyRef) return [];
      const { volumeName } = valueFrom.fileKeyRef;
      const namePath = variablePath.child("valueFrom", "fileKeyRef", "volumeName");
      const volume = volumes.get(volumeName);
      if (!volume) return [notFound(namePath, volumeName)];
      return volume.emptyDir ? [] : [invalid(namePath, volumeName, "referenced volume must be of type emptyDir")];
    }),
  );
}
