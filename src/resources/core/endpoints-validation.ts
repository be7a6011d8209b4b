/** What Endpoints must fulfil, in upstream's words. */
import type { EndpointAddress, EndpointPort, Endpoints as EndpointsObject } from "../../api/core/v1.ts";
import { type FieldError, FieldPath, required } from "../../apimachinery/field-error.ts";
import { dns1123SubdomainProblems, qualifiedNameProblems } from "../../apimachinery/name-validation.ts";
import { validNonSpecialIp } from "../validation/ip.ts";
import { each, obeys, requiredOneOf, validDnsLabel, validPort } from "../validation/rules.ts";

const subsetsPath = FieldPath.root.child("subsets");

export function validateEndpoints({ subsets }: EndpointsObject): FieldError[] {
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
    ...validNonSpecialIp(ip ?? "", path.child("ip")),
    ...(hostname ? validDnsLabel(hostname, path.child("hostname")) : []),
    ...(nodeName ? obeys(nodeName, dns1123SubdomainProblems, path.child("nodeName")) : []),
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
