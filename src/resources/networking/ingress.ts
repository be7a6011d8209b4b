/** Ingresses: which Service answers for which host and path. */
import type { HTTPIngressPath, Ingress, IngressBackend, IngressRule } from "../../api/networking/v1.ts";
import {
  type FieldError,
  FieldPath,
  invalid,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  portNameProblems,
  wildcardDns1123SubdomainProblems,
} from "../../apimachinery/name-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { parseIp } from "../../base/ip.ts";
import { bumpGenerationOnSpecChange, firstGeneration } from "../apps/workload.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validIp } from "../validation/ip.ts";
import { each, obeys, validDnsSubdomain, validPort } from "../validation/rules.ts";
import { validObjectReference } from "./object-reference.ts";

const classAnnotation = "kubernetes.io/ingress.class";
const pathTypes = ["Exact", "ImplementationSpecific", "Prefix"];
const hostsShown = 3;
const notAHost = "must be a DNS name, not an IP address";

export const ingresses = defineResource<Ingress>({
  ...served("networking.k8s.io/v1", "ingresses"),
  metadataLooks: { update: ["change", "whole"] },
  beforeCreate: firstGeneration<Ingress>({ loadBalancer: {} }),
  beforeUpdate: bumpGenerationOnSpecChange,
  validate: (next, previous) => [
    ...validIngress(next, toleranceOf(previous)),
    ...(previous ? [] : agreeingClass(next)),
  ],
  warnings: ({ metadata, spec }, previous) =>
    !previous && metadata.annotations?.[classAnnotation] !== undefined && spec.ingressClassName === undefined
      ? [`annotation "${classAnnotation}" is deprecated, please use 'spec.ingressClassName' instead`]
      : [],
  validateStatus: ({ status }) =>
    each(status.loadBalancer?.ingress, statusPath.child("loadBalancer", "ingress"), ({ ip, hostname }, at) => [
      ...(ip ? validIp(ip, at.child("ip")) : []),
      ...(hostname ? validDnsSubdomain(hostname, at.child("hostname")) : []),
      ...(hostname && parseIp(hostname) ? [invalid(at.child("hostname"), hostname, notAHost)] : []),
    ]),
  columns: [
    name,
    text("Class", ({ spec }) => spec.ingressClassName ?? none),
    text("Hosts", ({ spec }) => hostsText(spec.rules ?? [])),
    text("Address", addressText),
    text("Ports", ({ spec }) => (spec.tls?.length ? "80, 443" : "80")),
    age,
  ],
});

function hostsText(rules: readonly IngressRule[]): string {
  const hosts = rules.flatMap(({ host }) => (host ? [host] : []));
  if (hosts.length === 0) return "*";
  const shown = hosts.slice(0, hostsShown).join(",");
  return hosts.length >= hostsShown && rules.length > hostsShown
    ? `${shown} + ${rules.length - hostsShown} more...`
    : shown;
}

function addressText({ status }: Ingress): string {
  const addresses = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip || hostname || []);
  return [...new Set(addresses)].sort().join(",");
}

function agreeingClass({ metadata, spec }: Ingress): FieldError[] {
  const annotated = metadata.annotations?.[classAnnotation];
  if (annotated === undefined || spec.ingressClassName === undefined || annotated === spec.ingressClassName) return [];
  const path = FieldPath.root.child("annotations").child(classAnnotation);
  return [invalid(path, annotated, "must match `ingressClassName` when both are specified")];
}

/** What older rules let in stays usable. */
interface Tolerance {
  secretNames: boolean;
  wildcardRules: boolean;
}

function toleranceOf(previous: Ingress | undefined): Tolerance {
  const { tls, rules } = previous?.spec ?? {};
  const isBadRule = ({ host, http }: IngressRule) =>
    host?.includes("*") && !!http && validPaths(http.paths, specPath).length > 0;
  return {
    secretNames: !!tls?.some(({ secretName }) => secretName && dns1123SubdomainProblems(secretName).length > 0),
    wildcardRules: !!rules?.some(isBadRule),
  };
}

function validIngress({ spec }: Ingress, tolerated: Tolerance): FieldError[] {
  const errors: FieldError[] = [];
  if (!spec.rules?.length && !spec.defaultBackend) {
    errors.push(invalid(specPath, spec.rules ?? null, "either `defaultBackend` or `rules` must be specified"));
  }
  if (spec.defaultBackend) errors.push(...validBackend(spec.defaultBackend, specPath.child("defaultBackend")));
  const rulesPath = specPath.child("rules");
  errors.push(
    ...each(spec.rules, rulesPath, ({ host, http }, at) => [
      ...(host ? validHost(host, at.child("host")) : []),
      ...(http && !(tolerated.wildcardRules && host?.includes("*"))
        ? validPaths(http.paths, at.child("http", "paths"))
        : []),
    ]),
  );
  errors.push(
    ...each(spec.tls, specPath.child("tls"), ({ hosts, secretName }, at) => [
      ...each(hosts, at.child("hosts"), (host, hostPath) => obeys(host, hostRule(host), hostPath)),
      ...(secretName && !tolerated.secretNames ? validDnsSubdomain(secretName, at.child("secretName")) : []),
    ]),
  );
  if (spec.ingressClassName !== undefined) {
    errors.push(...validDnsSubdomain(spec.ingressClassName, specPath.child("ingressClassName")));
  }
  return errors;
}

const hostRule = (host: string) => (host.includes("*") ? wildcardDns1123SubdomainProblems : dns1123SubdomainProblems);

function validHost(host: string, path: FieldPath): FieldError[] {
  const errors = parseIp(host) ? [invalid(path, host, notAHost)] : [];
  return [...errors, ...obeys(host, hostRule(host), path)];
}

function validPaths(paths: readonly HTTPIngressPath[] | undefined | null, path: FieldPath): FieldError[] {
  if (!paths?.length) return [required(path)];
  return each(paths, path, (one, at) => {
    if (!one.pathType) return [required(at.child("pathType"), "pathType must be specified")];
    return [...validPath(one, at), ...validBackend(one.backend, at.child("backend"))];
  });
}

function validPath({ path: value = "", pathType }: HTTPIngressPath, at: FieldPath): FieldError[] {
  const path = at.child("path");
  const absolute = value.startsWith("/") ? [] : [invalid(path, value, "must be an absolute path")];
  switch (pathType) {
    case "Exact":
    case "Prefix":
      return [
        ...absolute,
        ...["//", "/./", "/../", "%2f", "%2F"]
          .filter((part) => value.includes(part))
          .map((part) => invalid(path, value, `must not contain '${part}'`)),
        ...["/..", "/."]
          .filter((end) => value.endsWith(end))
          .map((end) => invalid(path, value, `cannot end with '${end}'`)),
      ];
    case "ImplementationSpecific":
      return value ? absolute : [];
    default:
      return [notSupported(at.child("pathType"), pathType, pathTypes)];
  }
}

function validBackend(backend: IngressBackend | undefined, path: FieldPath): FieldError[] {
  const { service, resource } = backend ?? {};
  if (service && resource) return [invalid(path, "", "cannot set both resource and service backends")];
  if (resource) return validObjectReference(resource, path.child("resource"));
  if (!service) return [invalid(path, "", "resource or service backend is required")];
  const servicePath = path.child("service");
  const errors = service.name
    ? obeys(service.name, dns1123LabelProblems, servicePath.child("name"))
    : [required(servicePath.child("name"))];
  const { name: portName, number } = service.port ?? {};
  if (portName && number) return [...errors, invalid(path, "", "cannot set both port name & port number")];
  if (portName) return [...errors, ...obeys(portName, portNameProblems, servicePath.child("port", "name"))];
  if (number) return [...errors, ...validPort(number, servicePath.child("port", "number"))];
  return [...errors, required(path, "port name or number is required")];
}
