/** What containers and pods may do to the system, and as whom. */
import type { AppArmorProfile, PodSpec, SeccompProfile, SecurityContext } from "../../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  invalid,
  required,
  tooLong,
} from "../../../apimachinery/field-error.ts";
import { each, inRange, oneOf, optionalOneOf } from "../../validation/rules.ts";
import { internalSecurityContext } from "../internal-form.ts";
import { validDescendingPath } from "./paths.ts";
import { validWindowsOptions } from "./windows.ts";

const maximumId = 2 ** 31 - 1;
const profileTypes = ["Localhost", "RuntimeDefault", "Unconfined"];
const sysctlFormat = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const sysctlPattern = new RegExp(sysctlFormat);
const maximumSysctlLength = 253;
/** A path's longest, less one. */
const maximumAppArmorName = 4095;

export function validSecurityContext(
  context: SecurityContext | undefined,
  usesHostUsers: boolean,
  path: FieldPath,
): FieldError[] {
  if (!context) return [];
  const errors = [
    ...validId(context.runAsUser, path.child("runAsUser")),
    ...validId(context.runAsGroup, path.child("runAsGroup")),
  ];
  const procMountPath = path.child("procMount");
  errors.push(...optionalOneOf(context.procMount, ["Default", "Unmasked"], procMountPath));
  if (usesHostUsers && context.procMount === "Unmasked") {
    errors.push(invalid(procMountPath, context.procMount, "`hostUsers` must be false to use `Unmasked`"));
  }
  errors.push(...validSeccompProfile(context.seccompProfile, path.child("seccompProfile")));
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged) {
      const detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
      errors.push(invalid(path, internalSecurityContext(context), detail));
    }
    if (context.capabilities?.add?.includes("CAP_SYS_ADMIN")) {
      const detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
      errors.push(invalid(path, internalSecurityContext(context), detail));
    }
  }
  return [
    ...errors,
    ...validWindowsOptions(context.windowsOptions, path.child("windowsOptions")),
    ...validAppArmorProfile(context.appArmorProfile, path.child("appArmorProfile")),
  ];
}

export function validPodSecurityContext(spec: PodSpec, specPath: FieldPath): FieldError[] {
  const context = spec.securityContext;
  const path = specPath.child("securityContext");
  if (!context) return [];
  const errors = [
    ...validId(context.fsGroup, path.child("fsGroup")),
    ...validId(context.runAsUser, path.child("runAsUser")),
    ...validId(context.runAsGroup, path.child("runAsGroup")),
    ...each(context.supplementalGroups, path.child("supplementalGroups"), (group, at) => validId(group, at)),
  ];
  if (spec.shareProcessNamespace && spec.hostPID) {
    const detail = "ShareProcessNamespace and HostPID cannot both be enabled";
    errors.push(invalid(path.child("shareProcessNamespace"), spec.shareProcessNamespace, detail));
  }
  return [
    ...errors,
    ...validSysctls(spec, path.child("sysctls")),
    ...optionalOneOf(context.fsGroupChangePolicy, ["Always", "OnRootMismatch"], path.child("fsGroupChangePolicy")),
    ...validSeccompProfile(context.seccompProfile, path.child("seccompProfile")),
    ...validWindowsOptions(context.windowsOptions, path.child("windowsOptions")),
    ...validAppArmorProfile(context.appArmorProfile, path.child("appArmorProfile")),
    ...optionalOneOf(context.supplementalGroupsPolicy, ["Merge", "Strict"], path.child("supplementalGroupsPolicy")),
    ...optionalOneOf(context.seLinuxChangePolicy, ["MountOption", "Recursive"], path.child("seLinuxChangePolicy")),
  ];
}

function validId(id: number | undefined, path: FieldPath): FieldError[] {
  return inRange(id, 0, maximumId, path);
}

function validSysctls(spec: PodSpec, path: FieldPath): FieldError[] {
  const seen = new Set<string>();
  return each(spec.securityContext?.sysctls, path, ({ name }, at) => {
    if (!name) return [required(at.child("name"))];
    const errors: FieldError[] = [];
    if (name.length > maximumSysctlLength || !sysctlPattern.test(name)) {
      const detail = `must have at most ${maximumSysctlLength} characters and match regex ${sysctlFormat}`;
      errors.push(invalid(at.child("name"), name, detail));
    } else if (seen.has(name)) errors.push(duplicate(at.child("name"), name));
    seen.add(name);
    const shared = sharedNamespaceOf(name, spec);
    if (shared) errors.push(invalid(at.child("name"), name, `may not be specified when '${shared}' is true`));
    return errors;
  });
}

/** A setting of a namespace that the pod shares with its host would be the host's. */
function sharedNamespaceOf(sysctl: string, { hostNetwork, hostIPC }: PodSpec): string | undefined {
  const name = sysctl.indexOf("/") >= 0 && !/^[^/]*\./.test(sysctl) ? sysctl.replaceAll("/", ".") : sysctl;
  if (hostNetwork && name.startsWith("net.")) return "hostNetwork";
  const ofIpc =
    name === "kernel.sem" || ["kernel.shm", "kernel.msg", "fs.mqueue."].some((start) => name.startsWith(start));
  return hostIPC && ofIpc ? "hostIPC" : undefined;
}

function validSeccompProfile(profile: SeccompProfile | undefined, path: FieldPath): FieldError[] {
  if (!profile) return [];
  const localhostPath = path.child("localhostProfile");
  if (profile.type === "Localhost") {
    return profile.localhostProfile === undefined
      ? [required(localhostPath, "must be set when seccomp type is Localhost")]
      : validDescendingPath(profile.localhostProfile, localhostPath);
  }
  const errors = validProfileType(profile.type, path, "seccompProfile");
  if (profile.localhostProfile !== undefined) {
    const shown = { Type: profile.type, LocalhostProfile: profile.localhostProfile };
    errors.push(invalid(localhostPath, shown, "can only be set when seccomp type is Localhost"));
  }
  return errors;
}

function validAppArmorProfile(profile: AppArmorProfile | undefined, path: FieldPath): FieldError[] {
  if (!profile) return [];
  const localhostPath = path.child("localhostProfile");
  const name = profile.localhostProfile;
  if (profile.type === "Localhost") {
    if (name === undefined) return [required(localhostPath, "must be set when AppArmor type is Localhost")];
    const errors: FieldError[] = [];
    if (name !== name.trim()) errors.push(invalid(localhostPath, name, "must not be padded with whitespace"));
    else if (name === "") errors.push(required(localhostPath, "must be set when AppArmor type is Localhost"));
    if (name.length > maximumAppArmorName) errors.push(tooLong(localhostPath, maximumAppArmorName));
    return errors;
  }
  const errors = validProfileType(profile.type, path, "appArmorProfile");
  if (name !== undefined && errors.length === 0) {
    errors.push(invalid(localhostPath, name, "can only be set when AppArmor type is Localhost"));
  }
  return errors;
}

function validProfileType(type: string, path: FieldPath, field: string): FieldError[] {
  const at = path.child("type");
  return type ? oneOf(type, profileTypes, at) : [required(at, `type is required when ${field} is set`)];
}
