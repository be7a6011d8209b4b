/** What pods may say about Windows, and what they may not say when they run there. */
import type { PodSpec, WindowsSecurityContextOptions } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, forbidden, invalid } from "../../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems } from "../../../apimachinery/name-validation.ts";
import { obeys } from "../../validation/rules.ts";
import { eachContainer } from "./each-container.ts";

const maximumCredentialSpecKiB = 64;
const maximumDomainLength = 256;
const maximumUserLength = 104;
const netBiosName = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;
const dnsLabel = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
const dnsName = new RegExp(`^${dnsLabel}(?:\\.${dnsLabel})*$`);

export function validWindowsOptions(options: WindowsSecurityContextOptions | undefined, path: FieldPath): FieldError[] {
  if (!options) return [];
  const { gmsaCredentialSpecName: specName, gmsaCredentialSpec: spec, runAsUserName } = options;
  const specPath = path.child("gmsaCredentialSpec");
  const errors =
    specName === undefined ? [] : obeys(specName, dns1123SubdomainProblems, path.child("gmsaCredentialSpecName"));
  if (spec === "") errors.push(invalid(specPath, spec, "gmsaCredentialSpec cannot be an empty string"));
  else if ((spec?.length ?? 0) > maximumCredentialSpecKiB * 1024) {
    const detail = `gmsaCredentialSpec size must be under ${maximumCredentialSpecKiB} KiB`;
    errors.push(invalid(specPath, spec, detail));
  }
  if (runAsUserName === undefined) return errors;
  const userPath = path.child("runAsUserName");
  return [...errors, ...userNameProblems(runAsUserName).map((problem) => invalid(userPath, runAsUserName, problem))];
}

/** `user`, or `DOMAIN\user`. */
function userNameProblems(name: string): string[] {
  if (name === "") return ["runAsUserName cannot be an empty string"];
  if (/[\x00-\x1f\x7f]/.test(name)) return ["runAsUserName cannot contain control characters"];
  const parts = name.split("\\");
  if (parts.length > 2) return ["runAsUserName cannot contain more than one backslash"];
  const user = parts.at(-1)!;
  const domain = parts.length === 2 ? parts[0]! : undefined;
  const problems: string[] = [];
  if ((domain?.length ?? 0) >= maximumDomainLength) {
    problems.push(`runAsUserName's Domain length must be under ${maximumDomainLength} characters`);
  }
  if (domain !== undefined && !netBiosName.test(domain) && !dnsName.test(domain)) {
    problems.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  if (user === "") problems.push("runAsUserName's User cannot be empty");
  else if (user.length > maximumUserLength) {
    problems.push(`runAsUserName's User length must not be longer than ${maximumUserLength} characters`);
  }
  if (/^[. ]+$/.test(user)) problems.push("runAsUserName's User cannot contain only periods or spaces");
  if (/["/\\:;|=,+*?<>@[\]]/.test(user)) {
    problems.push("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
  }
  return problems;
}

/** Either all containers are host processes or none is, and host processes use the host's network. */
export function validHostProcesses(spec: PodSpec, path: FieldPath): FieldError[] {
  const ofPod = spec.securityContext?.windowsOptions?.hostProcess;
  let containers = 0;
  let hostProcesses = 0;
  const errors = eachContainer(spec, path, ({ securityContext }, at) => {
    containers++;
    const own = securityContext?.windowsOptions?.hostProcess;
    if (own ?? ofPod) hostProcesses++;
    if (ofPod === undefined || own === undefined || ofPod === own) return [];
    const detail = `pod hostProcess value must be identical if both are specified, was ${ofPod}`;
    return [invalid(at.child("securityContext", "windowsOptions", "hostProcess"), own, detail)];
  });
  if (hostProcesses === 0) return errors;
  if (hostProcesses !== containers) {
    const detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
    errors.push(invalid(path, "", detail));
  }
  if (!spec.hostNetwork) {
    const detail = "hostNetwork must be true if pod contains any hostProcess containers";
    errors.push(invalid(path.child("hostNetwork"), false, detail));
  }
  return errors;
}

export function validForLinux(spec: PodSpec, path: FieldPath): FieldError[] {
  const problem = (context: { windowsOptions?: object } | undefined, at: FieldPath) =>
    context?.windowsOptions
      ? [forbidden(at.child("securityContext", "windowsOptions"), "windows options cannot be set for a linux pod")]
      : [];
  return [
    ...problem(spec.securityContext, path),
    ...eachContainer(spec, path, ({ securityContext }, at) => problem(securityContext, at)),
  ];
}

/** In upstream's order: a leading `/` marks fields of the pod itself, the others are its security context's. */
const linuxOnlyPodFields = [
  "appArmorProfile",
  "seLinuxOptions",
  "/hostUsers",
  "/hostPID",
  "/hostIPC",
  "seccompProfile",
  "fsGroup",
  "fsGroupChangePolicy",
  "sysctls",
  "/shareProcessNamespace",
  "runAsUser",
  "runAsGroup",
  "supplementalGroups",
  "supplementalGroupsPolicy",
  "seLinuxChangePolicy",
] as const;
const linuxOnlyContainerFields = [
  "appArmorProfile",
  "seLinuxOptions",
  "seccompProfile",
  "capabilities",
  "readOnlyRootFilesystem",
  "privileged",
  "allowPrivilegeEscalation",
  "procMount",
  "runAsUser",
  "runAsGroup",
] as const;

export function validForWindows(spec: PodSpec, path: FieldPath): FieldError[] {
  const detail = "cannot be set for a windows pod";
  const errors: FieldError[] = [];
  for (const name of linuxOnlyPodFields) {
    const ofPod = name.startsWith("/");
    const field = name.replace("/", "");
    const value = ofPod ? spec[field as keyof PodSpec] : spec.securityContext?.[field as never];
    const isSet = name === "/hostPID" || name === "/hostIPC" ? value === true : value !== undefined;
    if (isSet) errors.push(forbidden(ofPod ? path.child(field) : path.child("securityContext", field), detail));
  }
  return [
    ...errors,
    ...eachContainer(spec, path, ({ securityContext }, at) =>
      linuxOnlyContainerFields.flatMap((field) =>
        securityContext?.[field] === undefined ? [] : [forbidden(at.child("securityContext", field), detail)],
      ),
    ),
  ];
}
