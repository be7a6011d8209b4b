/** What pods and templates say in annotations: profiles from before there were fields for them, mirrors, the cost of deletion. */
import type { AppArmorProfile, PodSpec } from "../../../api/core/v1.ts";
import {
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  metadata as metadataPath,
} from "../../../apimachinery/field-error.ts";
import { semanticallyEqual } from "../../validation/semantic-equality.ts";
import { eachContainer } from "./each-container.ts";
import { validDescendingPath } from "./paths.ts";
import { appArmorWarning } from "./warnings.ts";

export const mirrorAnnotation = "kubernetes.io/config.mirror";
const deletionCost = "controller.kubernetes.io/pod-deletion-cost";
const podSeccomp = "seccomp.security.alpha.kubernetes.io/pod";
const containerSeccomp = "container.seccomp.security.alpha.kubernetes.io/";
const appArmor = "container.apparmor.security.beta.kubernetes.io/";

type Annotations = Readonly<Record<string, string>> | undefined;

const keysOf = (annotations: Annotations, prefix: string) =>
  Object.keys(annotations ?? {})
    .filter((key) => key.startsWith(prefix))
    .sort();

export function validPodAnnotations(annotations: Annotations, spec: PodSpec, path: FieldPath): FieldError[] {
  if (!annotations) return [];
  const errors: FieldError[] = [];
  const mirrored = annotations[mirrorAnnotation];
  if (mirrored !== undefined && !spec.nodeName) {
    const detail = "must set spec.nodeName if mirror pod annotation is set";
    errors.push(invalid(path.key(mirrorAnnotation), mirrored, detail));
  }
  const cost = annotations[deletionCost];
  if (cost !== undefined && !isDeletionCost(cost)) {
    errors.push(invalid(path.key(deletionCost), cost, "must be a 32bit integer"));
  }
  const seccompKeys = [...(podSeccomp in annotations ? [podSeccomp] : []), ...keysOf(annotations, containerSeccomp)];
  for (const key of seccompKeys) errors.push(...validSeccompText(annotations[key]!, path.child(key)));
  const names = new Set<string>();
  eachContainer(spec, path, ({ name }) => {
    names.add(name);
    return [];
  });
  for (const key of keysOf(annotations, appArmor)) {
    const container = key.slice(appArmor.length);
    const profile = annotations[key]!;
    if (!names.has(container)) errors.push(invalid(path.key(key), container, "container not found"));
    if (!["", "runtime/default", "unconfined"].includes(profile) && !profile.startsWith("localhost/")) {
      const detail = `invalid AppArmor profile name: ${JSON.stringify(profile)}`;
      errors.push(invalid(path.key(key), profile, detail));
    }
  }
  return errors;
}

/**
 * A profile that an annotation gives to a container becomes the container's field, unless the field or the pod says it.
 * Mutates. What is to be said of annotations that did what a field should do, or nothing, is returned.
 */
export function resolveAppArmor(spec: PodSpec, annotations: Annotations): string[] {
  if (spec.os?.name === "windows") return [];
  return eachContainer(spec, FieldPath.root, (container) => {
    const key = appArmor + container.name;
    const text = annotations?.[key];
    if (text === undefined || container.securityContext?.appArmorProfile) return [];
    const profile = appArmorProfileOf(text);
    if (profile && semanticallyEqual(profile, spec.securityContext?.appArmorProfile)) return [];
    if (profile) container.securityContext = { ...container.securityContext, appArmorProfile: profile };
    return [appArmorWarning(metadataPath.child("annotations").key(key))];
  });
}

/** Undefined where the annotation says nothing that a field can say. */
function appArmorProfileOf(text: string | undefined): AppArmorProfile | undefined {
  if (text === "unconfined") return { type: "Unconfined" };
  if (text === "runtime/default") return { type: "RuntimeDefault" };
  const name = text?.startsWith("localhost/") ? text.slice("localhost/".length) : "";
  return name && name === name.trim() ? { type: "Localhost", localhostProfile: name } : undefined;
}

function isDeletionCost(text: string): boolean {
  if (!/^(0|-?[1-9][0-9]*)$/.test(text)) return false;
  const cost = Number(text);
  return cost >= -(2 ** 31) && cost < 2 ** 31;
}

function validSeccompText(profile: string, path: FieldPath): FieldError[] {
  if (["runtime/default", "docker/default", "unconfined"].includes(profile)) return [];
  if (profile.startsWith("localhost/")) return validDescendingPath(profile.slice("localhost/".length), path);
  return [invalid(path, profile, "must be a valid seccomp profile")];
}

/** A field that says otherwise than its annotation would hide what the writer meant. */
export function validProfileAgreement(annotations: Annotations, spec: PodSpec, path: FieldPath): FieldError[] {
  if (!annotations) return [];
  const ofPod = spec.securityContext;
  const podText = annotations[podSeccomp];
  const seccompWords = { Unconfined: ["unconfined"], RuntimeDefault: ["runtime/default", "docker/default"] };
  const appArmorWords = { Unconfined: ["unconfined"], RuntimeDefault: ["runtime/default"] };
  return [
    ...disagreement(
      podText,
      ofPod?.seccompProfile,
      seccompWords,
      "seccomp",
      path.child("securityContext", "seccompProfile"),
    ),
    ...eachContainer(spec, path, ({ name, securityContext }, at) =>
      disagreement(
        annotations[containerSeccomp + name],
        securityContext?.seccompProfile,
        seccompWords,
        "seccomp",
        at.child("securityContext", "seccompProfile"),
      ),
    ),
    ...(spec.os?.name === "windows"
      ? []
      : eachContainer(spec, path, ({ name, securityContext }, at) =>
          disagreement(
            annotations[appArmor + name],
            securityContext?.appArmorProfile ?? ofPod?.appArmorProfile,
            appArmorWords,
            "apparmor",
            at.child("securityContext", "appArmorProfile"),
          ),
        )),
  ];
}

function disagreement(
  text: string | undefined,
  profile: { type: string; localhostProfile?: string } | undefined,
  words: Readonly<Record<string, readonly string[]>>,
  kind: string,
  path: FieldPath,
): FieldError[] {
  if (text === undefined || !profile) return [];
  const typeDetail = `${kind} type in annotation and field must match`;
  if (profile.type !== "Localhost") {
    const known = words[profile.type];
    return known && !known.includes(text) ? [forbidden(path.child("type"), typeDetail)] : [];
  }
  if (!text.startsWith("localhost/")) return [forbidden(path.child("type"), typeDetail)];
  if (text.slice("localhost/".length) === profile.localhostProfile) return [];
  return [forbidden(path.child("localhostProfile"), `${kind} profile in annotation and field must match`)];
}

/** AppArmor's annotations and the mark of a mirror stand as they were at creation. */
export function validAnnotationChange(next: Annotations, previous: Annotations, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const report = (keys: readonly string[], verb: string) => {
    for (const key of keys) {
      if (key.startsWith(appArmor)) errors.push(forbidden(path.key(key), `may not ${verb} AppArmor annotations`));
      if (key === mirrorAnnotation) errors.push(forbidden(path.key(key), `may not ${verb} mirror pod annotation`));
    }
  };
  report(
    keysOf(previous, "").filter((key) => next?.[key] !== previous![key]),
    "remove or update",
  );
  report(
    keysOf(next, "").filter((key) => previous?.[key] === undefined),
    "add",
  );
  return errors;
}
