/** EndpointSlices: the addresses behind a Service, in pieces. */
import type { Endpoint, EndpointPort, EndpointSlice } from "../../api/discovery/v1.ts";
import { duplicate, type FieldError, FieldPath, invalid, required, tooMany } from "../../apimachinery/field-error.ts";
import {
  dns1123LabelProblems,
  dns1123SubdomainProblems,
  labelValueProblems,
  qualifiedNameProblems,
} from "../../apimachinery/name-validation.ts";
import { validateLabels } from "../../apimachinery/object-meta-validation.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, text, unset } from "../printing/columns.ts";
import { served } from "../served.ts";
import { ipFamilyOf, ipWarnings, validIp, validNonSpecialIp } from "../validation/ip.ts";
import { each, obeys, optionalOneOf, requiredOneOf, unchanged, validDnsLabel, validPort } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

const maximumShown = 3;
const maximumEndpoints = 1000;
const maximumAddresses = 100;
const maximumHints = 8;
const maximumTopology = 16;
const maximumPorts = 20_000;
const root = FieldPath.root;

export const endpointSlices = defineResource<EndpointSlice>({
  ...served("discovery.k8s.io/v1", "endpointslices"),
  metadataLooks: { update: ["whole"] },
  defaults(slice) {
    for (const port of slice.ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
    for (const endpoint of slice.endpoints ?? []) endpoint.conditions ??= {};
  },
  beforeCreate(slice) {
    slice.metadata.generation = 1;
    forgetTopology(slice);
  },
  beforeUpdate(next, previous) {
    const sameEndpoints = semanticallyEqual(next.endpoints, previous.endpoints);
    const same =
      sameEndpoints &&
      semanticallyEqual(next.ports, previous.ports) &&
      semanticallyEqual(next.metadata.labels, previous.metadata.labels);
    if (!same) next.metadata.generation = (previous.metadata.generation ?? 0) + 1;
    if (!sameEndpoints) forgetTopology(next);
  },
  validate: (slice, previous) => [
    ...requiredOneOf(slice.addressType, ["FQDN", "IPv4", "IPv6"], root.child("addressType")),
    ...validPorts(slice.ports, root.child("ports")),
    // What stands was taken when less was asked of addresses.
    ...(previous && semanticallyEqual(slice.endpoints, previous.endpoints) ? [] : validEndpoints(slice)),
    ...(previous ? unchanged(slice.addressType, previous.addressType, root.child("addressType")) : []),
  ],
  warnings: ({ addressType, endpoints }) => [
    ...(addressType === "FQDN" ? ["spec.addressType: FQDN endpoints are deprecated"] : []),
    ...(endpoints ?? []).flatMap(({ addresses }, index) =>
      (addresses ?? []).flatMap((address, place) =>
        ipWarnings(address, root.child("endpoints").index(index).child("addresses").index(place)),
      ),
    ),
  ],
  columns: [
    name,
    text("AddressType", (slice) => slice.addressType ?? ""),
    text("Ports", (slice) =>
      firstFew((slice.ports ?? []).map(({ port }) => (port === undefined ? "*" : String(port)))),
    ),
    text("Endpoints", (slice) => firstFew((slice.endpoints ?? []).flatMap(({ addresses }) => addresses ?? []))),
    age,
  ],
});

/** Where endpoints are was said in labels once; the fields of today are what counts. */
function forgetTopology({ endpoints }: EndpointSlice): void {
  for (const endpoint of endpoints ?? []) delete endpoint.deprecatedTopology;
}

function firstFew(items: readonly string[]): string {
  if (items.length === 0) return unset;
  const shown = items.slice(0, maximumShown).join(",");
  return items.length > maximumShown ? `${shown} + ${items.length - maximumShown} more...` : shown;
}

function validEndpoints({ addressType, endpoints }: EndpointSlice): FieldError[] {
  const path = root.child("endpoints");
  if ((endpoints?.length ?? 0) > maximumEndpoints) return [tooMany(path, endpoints!.length, maximumEndpoints)];
  return each(endpoints, path, (endpoint, at) => [
    ...validAddresses(endpoint.addresses, addressType, at.child("addresses")),
    ...validPlace(endpoint, at),
  ]);
}

function validAddresses(addresses: readonly string[] | undefined | null, type: string, path: FieldPath): FieldError[] {
  if (!addresses?.length) return [required(path, "must contain at least 1 address")];
  const many = addresses.length > maximumAddresses ? [tooMany(path, addresses.length, maximumAddresses)] : [];
  return [
    ...many,
    ...each(addresses, path, (address, at) => {
      if (type === "FQDN") return validDomain(address, at);
      if (type !== "IPv4" && type !== "IPv6") return [];
      const errors = validIp(address, at);
      if (errors.length > 0) return errors;
      const other = ipFamilyOf(address) === type ? [] : [invalid(at, address, `must be an ${type} address`)];
      return [...other, ...validNonSpecialIp(address, at)];
    }),
  ];
}

/** A fully qualified domain name, with or without the last dot. */
function validDomain(address: string, path: FieldPath): FieldError[] {
  if (!address) return [required(path)];
  const domain = address.replace(/\.$/, "");
  const problems = dns1123SubdomainProblems(domain);
  if (problems.length > 0) return [invalid(path, domain, problems.join(","))];
  const labels = domain.split(".");
  if (labels.length < 2) {
    return [invalid(path, domain, "should be a domain with at least two segments separated by dots")];
  }
  const bad = labels.find((label) => dns1123LabelProblems(label).length > 0);
  return bad === undefined ? [] : [invalid(path, bad, dns1123LabelProblems(bad).join(","))];
}

function validPlace({ hostname, nodeName, hints, deprecatedTopology }: Endpoint, path: FieldPath): FieldError[] {
  const hintsPath = path.child("hints");
  return [
    ...(nodeName === undefined ? [] : obeys(nodeName, dns1123SubdomainProblems, path.child("nodeName"))),
    ...validTopology(deprecatedTopology, path.child("deprecatedTopology")),
    ...(hostname === undefined ? [] : validDnsLabel(hostname, path.child("hostname"))),
    ...validHints(hints?.forZones, labelValueProblems, hintsPath.child("forZones")),
    // Who has too many zones is told of nothing else.
    ...((hints?.forZones?.length ?? 0) > maximumHints
      ? []
      : validHints(hints?.forNodes, dns1123SubdomainProblems, hintsPath.child("forNodes"))),
  ];
}

function validTopology(topology: Endpoint["deprecatedTopology"], path: FieldPath): FieldError[] {
  const labels = Object.keys(topology ?? {}).length;
  const errors = labels > maximumTopology ? [tooMany(path, labels, maximumTopology)] : [];
  return [...errors, ...validateLabels(topology, path)];
}

function validHints(
  hints: readonly { name: string }[] | undefined,
  rule: (value: string) => string[],
  path: FieldPath,
): FieldError[] {
  if ((hints?.length ?? 0) > maximumHints) return [tooMany(path, hints!.length, maximumHints)];
  const names = new Set<string>();
  return each(hints, path, ({ name: hint = "" }, at) => {
    const errors = names.has(hint) ? [duplicate(at.child("name"), hint)] : [];
    names.add(hint);
    return [...errors, ...obeys(hint, rule, at.child("name"))];
  });
}

function validPorts(ports: readonly EndpointPort[] | undefined | null, path: FieldPath): FieldError[] {
  if ((ports?.length ?? 0) > maximumPorts) return [tooMany(path, ports!.length, maximumPorts)];
  const names = new Set<string>();
  return each(ports, path, ({ name: portName = "", protocol, port, appProtocol }, at) => {
    const errors = portName ? validDnsLabel(portName, at.child("name")) : [];
    if (names.has(portName)) errors.push(duplicate(at.child("name"), portName));
    names.add(portName);
    errors.push(...optionalOneOf(protocol, ["SCTP", "TCP", "UDP"], at.child("protocol")));
    if (port !== undefined) errors.push(...validPort(port, at.child("port")));
    if (appProtocol !== undefined) errors.push(...obeys(appProtocol, qualifiedNameProblems, at.child("appProtocol")));
    return errors;
  });
}
