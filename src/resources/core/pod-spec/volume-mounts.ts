/** Where a container sees its volumes, as files or as devices. */
import type { Container } from "../../../api/core/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  notFound,
  required,
} from "../../../apimachinery/field-error.ts";
import { each, optionalOneOf } from "../../validation/rules.ts";
import { validDescendingPath, withoutBacksteps } from "./paths.ts";

/** `volumes`: the names of those that are valid themselves. */
export function validVolumeMounts(container: Container, volumes: ReadonlySet<string>, path: FieldPath): FieldError[] {
  const devices = container.volumeDevices ?? [];
  const mountPaths = new Set<string>();
  return each(container.volumeMounts, path, (mount, at) => {
    const errors: FieldError[] = [];
    const { name = "", mountPath = "" } = mount;
    if (!name) errors.push(required(at.child("name")));
    if (!volumes.has(name)) errors.push(notFound(at.child("name"), name));
    if (!mountPath) errors.push(required(at.child("mountPath")));
    if (mountPaths.has(mountPath)) errors.push(invalid(at.child("mountPath"), mountPath, "must be unique"));
    mountPaths.add(mountPath);
    if (devices.some((device) => device.name === name)) {
      errors.push(invalid(at.child("name"), name, "must not already exist in volumeDevices"));
    }
    if (devices.some((device) => device.devicePath === mountPath)) {
      errors.push(invalid(at.child("mountPath"), mountPath, "must not already exist as a path in volumeDevices"));
    }
    // Upstream reports these on the list.
    if (mount.subPath) errors.push(...validDescendingPath(mount.subPath, path.child("subPath")));
    if (mount.subPathExpr) {
      if (mount.subPath) {
        const detail = "subPathExpr and subPath are mutually exclusive";
        errors.push(invalid(at.child("subPathExpr"), mount.subPathExpr, detail));
      }
      errors.push(...validDescendingPath(mount.subPathExpr, path.child("subPathExpr")));
    }
    errors.push(...validPropagation(container, mount.mountPropagation, path.child("mountPropagation")));
    errors.push(...validRecursiveReadOnly(mount, path.child("recursiveReadOnly")));
    return errors;
  });
}

function validPropagation(container: Container, propagation: string | undefined, path: FieldPath): FieldError[] {
  if (propagation === undefined) return [];
  const errors = optionalOneOf(propagation, ["Bidirectional", "HostToContainer", "None"], path);
  if (propagation === "Bidirectional" && !container.securityContext?.privileged) {
    errors.push(forbidden(path, "Bidirectional mount propagation is available only to privileged containers"));
  }
  return errors;
}

function validRecursiveReadOnly(mount: NonNullable<Container["volumeMounts"]>[number], at: FieldPath): FieldError[] {
  const value = mount.recursiveReadOnly;
  if (value === undefined) return [];
  if (value === "Disabled") return [];
  if (value !== "Enabled" && value !== "IfPossible") {
    return optionalOneOf(value, ["Disabled", "Enabled", "IfPossible"], at);
  }
  const errors: FieldError[] = [];
  if (!mount.readOnly) errors.push(forbidden(at, "may only be specified when readOnly is true"));
  if (mount.mountPropagation !== undefined && mount.mountPropagation !== "None") {
    errors.push(forbidden(at, "may only be specified when mountPropagation is None or not specified"));
  }
  return errors;
}

export function validVolumeDevices(
  container: Container,
  volumes: ReadonlySet<string>,
  claims: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  const mounts = container.volumeMounts ?? [];
  const names = new Set<string>();
  const devicePaths = new Set<string>();
  return each(container.volumeDevices, path, ({ name = "", devicePath = "" }, at) => {
    const errors: FieldError[] = [];
    if (!name) errors.push(required(at.child("name")));
    if (names.has(name)) errors.push(invalid(at.child("name"), name, "must be unique"));
    if (volumes.has(name) && !claims.has(name)) {
      const detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
      errors.push(invalid(at.child("name"), name, detail));
    }
    if (!volumes.has(name)) errors.push(notFound(at.child("name"), name));
    if (name) names.add(name);
    if (!devicePath) errors.push(required(at.child("devicePath")));
    if (devicePaths.has(devicePath)) errors.push(invalid(at.child("devicePath"), devicePath, "must be unique"));
    if (withoutBacksteps(devicePath, at).length > 0) {
      errors.push(invalid(at.child("devicePath"), devicePath, "can not contain backsteps ('..')"));
    } else devicePaths.add(devicePath);
    if (mounts.some((mount) => mount.name === name)) {
      errors.push(invalid(at.child("name"), name, "must not already exist in volumeMounts"));
    }
    if (mounts.some((mount) => mount.mountPath === devicePath)) {
      errors.push(invalid(at.child("devicePath"), devicePath, "must not already exist as a path in volumeMounts"));
    }
    return errors;
  });
}
