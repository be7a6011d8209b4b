/** What a Service must fulfil, in upstream's words. */
import type { Service, ServicePort } from "../../api/core/v1.ts";
import {
  duplicate,
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  metadata,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { validateLabels } from "../../apimachinery/object-meta-validation.ts";
import { parseIp } from "../../base/ip.ts";
import { validCidr, validIp, validNonSpecialIp } from "../validation/ip.ts";
import { each, obeys, oneOf, requiredOneOf, validDnsLabel, validDnsSubdomain, validPort } from "../validation/rules.ts";
import { validPortNumberOrName } from "./port-number-or-name.ts";
import { validClusterIpFields } from "./service-cluster-ips.ts";
import { isExternallyAccessible, isHeadless, needsHealthCheckNodePort } from "./service-needs.ts";

const sourceRangesAnnotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
const loadBalancerOnly = "may only be used when `type` is 'LoadBalancer'";
const notForExternalName = "may not be set for ExternalName services";
const fixedMessage = "may not change once set";

export function validateService(next: Service, previous: Service | undefined): FieldError[] {
  return [...(previous ? validChange(next, previous) : []), ...validService(next)];
}

function validService(service: Service): FieldError[] {
  const { spec } = service;
  const portsPath = specPath.child("ports");
  const errors = agreeingTopology(service);
  if (!spec.ports?.length && !isHeadless(service) && spec.type !== "ExternalName") errors.push(required(portsPath));
  errors.push(...validForType(service));
  const names = new Set<string>();
  const several = (spec.ports?.length ?? 0) > 1;
  errors.push(...each(spec.ports, portsPath, (port, path) => validServicePort(port, several, names, path)));
  errors.push(...validateLabels(spec.selector, specPath.child("selector")));
  errors.push(...validAffinity(service));
  errors.push(...validClusterIpFields(service));
  errors.push(...each(spec.externalIPs, specPath.child("externalIPs"), validNonSpecialIp));
  errors.push(
    ...requiredOneOf(spec.type, ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], specPath.child("type")),
  );
  if (spec.type === "ClusterIP") {
    errors.push(
      ...each(spec.ports, portsPath, ({ nodePort }, path) =>
        nodePort ? [forbidden(path.child("nodePort"), "may not be used when `type` is 'ClusterIP'")] : [],
      ),
    );
  }
  errors.push(...uniquePorts(spec.ports ?? [], portsPath));
  errors.push(...validSourceRanges(service));
  errors.push(...validLoadBalancerFields(service));
  errors.push(...validTrafficPolicies(service));
  return errors;
}

const topologyMode = "service.kubernetes.io/topology-mode";
const topologyHints = "service.kubernetes.io/topology-aware-hints";

function agreeingTopology({ metadata: meta }: Service): FieldError[] {
  const [mode, hints] = [meta.annotations?.[topologyMode], meta.annotations?.[topologyHints]];
  if (mode === undefined || hints === undefined || mode === hints) return [];
  const path = metadata.child("annotations").key(topologyMode);
  return [invalid(path, mode, `must match annotations[${topologyHints}] when both are specified`)];
}

function validForType(service: Service): FieldError[] {
  const { spec } = service;
  const headless = (type: string) =>
    isHeadless(service)
      ? [
          invalid(
            specPath.child("clusterIPs").index(0),
            spec.clusterIPs?.[0],
            `may not be set to 'None' for ${type} services`,
          ),
        ]
      : [];
  switch (spec.type) {
    case "LoadBalancer":
      return headless("LoadBalancer");
    case "NodePort":
      return headless("NodePort");
    case "ExternalName":
      return validExternalName(service);
    default:
      return [];
  }
}

function validExternalName({ spec }: Service): FieldError[] {
  const errors: FieldError[] = [];
  if (spec.clusterIPs?.length) errors.push(forbidden(specPath.child("clusterIPs"), notForExternalName));
  if (spec.ipFamilies?.length) errors.push(forbidden(specPath.child("ipFamilies"), notForExternalName));
  if (spec.ipFamilyPolicy !== undefined) errors.push(forbidden(specPath.child("ipFamilyPolicy"), notForExternalName));
  // A trailing dot says that the name is complete.
  const target = (spec.externalName ?? "").replace(/\.$/, "");
  const path = specPath.child("externalName");
  return [...errors, ...(target ? validDnsSubdomain(target, path) : [required(path)])];
}

function validServicePort(port: ServicePort, nameRequired: boolean, names: Set<string>, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const name = port.name ?? "";
  if (name) {
    errors.push(...validDnsLabel(name, path.child("name")));
    if (names.has(name)) errors.push(duplicate(path.child("name"), name));
    names.add(name);
  } else if (nameRequired) {
    errors.push(required(path.child("name")));
  }
  errors.push(...validPort(port.port, path.child("port")));
  errors.push(...requiredOneOf(port.protocol, ["SCTP", "TCP", "UDP"], path.child("protocol")));
  errors.push(...validPortNumberOrName(port.targetPort ?? 0, path.child("targetPort")));
  if (port.appProtocol !== undefined) {
    errors.push(...obeys(port.appProtocol, qualifiedNameProblems, path.child("appProtocol")));
  }
  return errors;
}

function validAffinity({ spec }: Service): FieldError[] {
  const configPath = specPath.child("sessionAffinityConfig");
  const errors = requiredOneOf(spec.sessionAffinity, ["ClientIP", "None"], specPath.child("sessionAffinity"));
  if (spec.sessionAffinity === "None" && spec.sessionAffinityConfig) {
    errors.push(forbidden(configPath, "must not be set when session affinity is None"));
  }
  if (spec.sessionAffinity !== "ClientIP") return errors;
  const clientIp = spec.sessionAffinityConfig?.clientIP;
  const suffix = "when session affinity type is ClientIP";
  if (!spec.sessionAffinityConfig) return [...errors, required(configPath, suffix)];
  if (!clientIp) return [...errors, required(configPath.child("clientIP"), suffix)];
  const timeoutPath = configPath.child("clientIP", "timeoutSeconds");
  const timeout = clientIp.timeoutSeconds;
  if (timeout === undefined) return [...errors, required(timeoutPath, suffix)];
  if (timeout <= 0 || timeout > 86400) {
    errors.push(invalid(timeoutPath, timeout, "must be greater than 0 and less than 86400"));
  }
  return errors;
}

/** No two ports share a node port and protocol, nor a port and protocol. */
function uniquePorts(ports: readonly ServicePort[], path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const nodePorts = new Set<string>();
  for (const [index, { protocol, nodePort }] of ports.entries()) {
    if (!nodePort) continue;
    const identity = `${protocol}/${nodePort}`;
    if (nodePorts.has(identity)) errors.push(duplicate(path.index(index).child("nodePort"), nodePort));
    nodePorts.add(identity);
  }
  const seen = new Set<string>();
  for (const [index, { protocol, port }] of ports.entries()) {
    const identity = `${protocol}/${port}`;
    // The message shows the two fields that make the identity within upstream's internal port.
    const shown = { Name: "", Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
    if (seen.has(identity)) errors.push(duplicate(path.index(index), shown));
    seen.add(identity);
  }
  return errors;
}

function validSourceRanges({ metadata: meta, spec }: Service): FieldError[] {
  const annotation = meta.annotations?.[sourceRangesAnnotation];
  const fromSpec = (spec.loadBalancerSourceRanges?.length ?? 0) > 0;
  if (!fromSpec && annotation === undefined) return [];
  const path = fromSpec
    ? specPath.child("LoadBalancerSourceRanges")
    : metadata.child("annotations").key(sourceRangesAnnotation);
  const errors = spec.type === "LoadBalancer" ? [] : [forbidden(path, loadBalancerOnly)];
  if (fromSpec) {
    errors.push(...each(spec.loadBalancerSourceRanges, path, (range, at) => validCidr(range.trim(), at)));
  } else if (annotation?.trim()) {
    for (const range of annotation.trim().split(",")) errors.push(...validCidr(range.trim(), path));
  }
  return errors;
}

function validLoadBalancerFields({ spec }: Service): FieldError[] {
  const errors: FieldError[] = [];
  const isLoadBalancer = spec.type === "LoadBalancer";
  const allocatePath = specPath.child("allocateLoadBalancerNodePorts");
  const allocate = spec.allocateLoadBalancerNodePorts;
  if (!isLoadBalancer && allocate !== undefined) errors.push(forbidden(allocatePath, loadBalancerOnly));
  if (isLoadBalancer && allocate === undefined) {
    errors.push(required(FieldPath.root.child("allocateLoadBalancerNodePorts")));
  }
  const classPath = specPath.child("loadBalancerClass");
  if (spec.loadBalancerClass === undefined) return errors;
  if (isLoadBalancer) errors.push(...obeys(spec.loadBalancerClass, qualifiedNameProblems, classPath));
  else errors.push(forbidden(classPath, loadBalancerOnly));
  return errors;
}

const clusterOrLocal = ["Cluster", "Local"];

function validTrafficPolicies(service: Service): FieldError[] {
  const { spec } = service;
  const errors: FieldError[] = [];
  const externalPath = specPath.child("externalTrafficPolicy");
  if (isExternallyAccessible(service)) {
    errors.push(...requiredOneOf(spec.externalTrafficPolicy, clusterOrLocal, externalPath));
  } else if (spec.externalTrafficPolicy) {
    errors.push(
      invalid(externalPath, spec.externalTrafficPolicy, "may only be set for externally-accessible services"),
    );
  }
  const healthPath = specPath.child("healthCheckNodePort");
  if (needsHealthCheckNodePort(service)) {
    errors.push(
      ...(spec.healthCheckNodePort ? validPort(spec.healthCheckNodePort, healthPath) : [required(healthPath)]),
    );
  } else if (spec.healthCheckNodePort) {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    errors.push(invalid(healthPath, spec.healthCheckNodePort, detail));
  }
  const internalPath = specPath.child("internalTrafficPolicy");
  if (spec.internalTrafficPolicy !== undefined) {
    errors.push(...oneOf(spec.internalTrafficPolicy, clusterOrLocal, internalPath));
  } else if (spec.type && spec.type !== "ExternalName") {
    errors.push(required(internalPath));
  }
  if (spec.trafficDistribution !== undefined) {
    const supported = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    errors.push(...oneOf(spec.trafficDistribution, supported, specPath.child("trafficDistribution")));
  }
  return errors;
}

/** Addresses and families stay for as long as the Service has any; a secondary one may come and go. */
function validChange(next: Service, previous: Service): FieldError[] {
  const errors: FieldError[] = [];
  const involvesExternalName = next.spec.type === "ExternalName" || previous.spec.type === "ExternalName";
  const headless = [isHeadless(next), isHeadless(previous)];
  if (!involvesExternalName && !headless.every(Boolean)) errors.push(...keptClusterIps(next, previous));
  if (!involvesExternalName && !headless.some(Boolean)) errors.push(...keptFamilies(next, previous));
  const balances = next.spec.type === "LoadBalancer";
  const classPath = specPath.child("loadBalancerClass");
  const className = next.spec.loadBalancerClass;
  if (balances && previous.spec.type === "LoadBalancer" && className !== previous.spec.loadBalancerClass) {
    errors.push(invalid(classPath, className ?? null, fixedMessage));
  }
  // Upstream looks at the class itself here and once more with the rest.
  if (className !== undefined) {
    errors.push(
      ...(balances ? obeys(className, qualifiedNameProblems, classPath) : [forbidden(classPath, loadBalancerOnly)]),
    );
  }
  const checked = [next, previous].every((service) => needsHealthCheckNodePort(service));
  if (checked && next.spec.healthCheckNodePort !== previous.spec.healthCheckNodePort) {
    errors.push(forbidden(specPath.child("healthCheckNodePort"), "field is immutable"));
  }
  return errors;
}

function keptClusterIps(next: Service, previous: Service): FieldError[] {
  const path = specPath.child("clusterIPs");
  const [now, before] = [next.spec.clusterIPs ?? [], previous.spec.clusterIPs ?? []];
  if (now.length === before.length) {
    return before.flatMap((ip, index) => (ip === now[index] ? [] : [invalid(path.index(index), now, fixedMessage)]));
  }
  if (now.length === 0) return [invalid(path.index(0), now, "primary clusterIP can not be unset")];
  const errors: FieldError[] = [];
  if (before.length > 0 && now[0] !== before[0]) errors.push(invalid(path.index(0), now, fixedMessage));
  if (before.length > 1 && now.length === 1 && next.spec.ipFamilyPolicy !== "SingleStack") {
    const detail = "must be set to 'SingleStack' when releasing the secondary clusterIP";
    errors.push(invalid(specPath.child("ipFamilyPolicy"), next.spec.ipFamilyPolicy ?? null, detail));
  }
  return errors;
}

function keptFamilies(next: Service, previous: Service): FieldError[] {
  const path = specPath.child("ipFamilies").index(0);
  const [now, before] = [next.spec.ipFamilies ?? [], previous.spec.ipFamilies ?? []];
  if (now.length === before.length) {
    return before.flatMap((family, index) => (family === now[index] ? [] : [invalid(path, now, fixedMessage)]));
  }
  const errors: FieldError[] = [];
  const addresses = next.spec.clusterIPs ?? [];
  if (before.length > now.length && addresses.length === 0) {
    errors.push(invalid(path, now, "primary ipFamily can not be unset"));
  }
  // Upstream shows the addresses here.
  if (before.length > 0 && now.length > 0 && now[0] !== before[0]) errors.push(invalid(path, addresses, fixedMessage));
  if (before.length > 1 && now.length === 1 && next.spec.ipFamilyPolicy !== "SingleStack") {
    const detail = "must be set to 'SingleStack' when releasing the secondary ipFamily";
    errors.push(invalid(specPath.child("ipFamilyPolicy"), next.spec.ipFamilyPolicy ?? null, detail));
  }
  return errors;
}

export function validateServiceStatus({ spec, status }: Service): FieldError[] {
  const path = statusPath.child("loadBalancer", "ingress");
  const ingresses = status?.loadBalancer?.ingress ?? [];
  if (ingresses.length > 0 && spec.type !== "LoadBalancer") {
    return [forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")];
  }
  return each(ingresses, path, ({ ip, ipMode, hostname }, at) => {
    const errors = ip ? validIp(ip, at.child("ip")) : [];
    const modePath = at.child("ipMode");
    if (ip && ipMode === undefined) errors.push(required(modePath, "must be specified when `ip` is set"));
    else if (!ip && ipMode !== undefined) {
      errors.push(forbidden(modePath, "may not be specified when `ip` is not set"));
    } else if (ipMode !== undefined) errors.push(...oneOf(ipMode, ["Proxy", "VIP"], modePath));
    if (hostname) {
      errors.push(...obeys(hostname, dns1123SubdomainProblems, at.child("hostname")));
      if (parseIp(hostname)) {
        errors.push(invalid(at.child("hostname"), hostname, "must be a DNS name, not an IP address"));
      }
    }
    return errors;
  });
}
