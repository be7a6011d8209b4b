/** What Endpoints must fulfil, in upstream's words. */
import type { EndpointAddress, EndpointPort, Endpoints as EndpointsObject } from "../../api/core/v1.ts";
import { type FieldError, FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { parseIp } from "../../base/ip.ts";
import { validIp, validNonSpecialIp } from "../validation/ip.ts";
import { each, obeys, requiredOneOf, validDnsLabel, validPort } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

const subsetsPath = FieldPath.root.child("subsets");

/** Addresses that stood before stand, whatever the rules were. */
export function validateEndpoints({ subsets }: EndpointsObject, previous: EndpointsObject | undefined): FieldError[] {
  if (previous && semanticallyEqual(subsets, previous.subsets)) return [];
  return each(subsets, subsetsPath, ({ addresses, notReadyAddresses, ports }, path) => [
    ...(addresses?.length || notReadyAddresses?.length
      ? []
      : [required(path, "must specify `addresses` or `notReadyAddresses`")]),
    ...each(addresses, path.child("addresses"), validAddress),
    ...each(notReadyAddresses, path.child("notReadyAddresses"), validAddress),
    ...each(ports, path.child("ports"), (port, at) => validEndpointPort(port, (ports?.length ?? 0) > 1, at)),
  ]);
}

function validAddress({ ip, hostname, nodeName }: EndpointAddress, path: FieldPath): FieldError[] {
  return [
    ...validIp(ip ?? "", path.child("ip")),
    ...(hostname ? validDnsLabel(hostname, path.child("hostname")) : []),
    ...(nodeName === undefined ? [] : obeys(nodeName, dns1123SubdomainProblems, path.child("nodeName"))),
    // Upstream looks at the address twice, and says less the second time.
    ...(parseIp(ip ?? "")
      ? validNonSpecialIp(ip, path.child("ip"))
      : [invalid(path.child("ip"), ip ?? "", "must be a valid IP address")]),
  ];
}

function validEndpointPort(port: EndpointPort, nameRequired: boolean, path: FieldPath): FieldError[] {
  const namePath = path.child("name");
  return [
    ...(port.name ? validDnsLabel(port.name, namePath) : nameRequired ? [required(namePath)] : []),
    ...validPort(port.port, path.child("port")),
    ...requiredOneOf(port.protocol, ["SCTP", "TCP", "UDP"], path.child("protocol")),
    ...(port.appProtocol === undefined
      ? []
      : obeys(port.appProtocol, qualifiedNameProblems, path.child("appProtocol"))),
  ];
}
