/** NetworkPolicies: which connections pods may have. */
import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../../api/networking/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  required,
  spec as specPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { cidrContains, parseCidr } from "../../base/ip.ts";
import { bumpGenerationOnSpecChange } from "../apps/workload.ts";
import { validPortNumberOrName } from "../core/port-number-or-name.ts";
import { age, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { cidrWarnings, validCidr } from "../validation/ip.ts";
import { type LabelSelectorOptions, validLabelSelector } from "../validation/label-selector.ts";
import { each, oneOf, optionalOneOf, validPort } from "../validation/rules.ts";

export const networkPolicies = defineResource<NetworkPolicy>({
  ...served("networking.k8s.io/v1", "networkpolicies"),
  metadataLooks: { update: ["whole", "change"] },
  defaults({ spec }) {
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const port of rule.ports ?? []) port.protocol ??= "TCP";
    }
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ["Ingress", "Egress"] : ["Ingress"];
  },
  beforeCreate(policy) {
    policy.metadata.generation = 1;
  },
  beforeUpdate: bumpGenerationOnSpecChange,
  validate({ spec }, previous) {
    // What older rules let in stays usable.
    const allowInvalidValues = validLabelSelector(previous?.spec.podSelector, specPath).length > 0;
    const validPeer = (peer: NetworkPolicyPeer, at: FieldPath) => validPolicyPeer(peer, at, { allowInvalidValues });
    const errors = [
      ...validLabelSelector(spec.podSelector, specPath.child("podSelector"), { allowInvalidValues }),
      ...each(spec.ingress, specPath.child("ingress"), ({ ports, from }, at) => [
        ...each(ports, at.child("ports"), validPolicyPort),
        ...each(from, at.child("from"), validPeer),
      ]),
      ...each(spec.egress, specPath.child("egress"), ({ ports, to }, at) => [
        ...each(ports, at.child("ports"), validPolicyPort),
        ...each(to, at.child("to"), validPeer),
      ]),
      ...validTypes(spec.policyTypes ?? []),
    ];
    // Upstream looks at the new spec as such and once more within the change.
    return previous ? [...errors, ...errors] : errors;
  },
  warnings: ({ spec }) => [
    ...(spec.ingress ?? []).flatMap(({ from }, index) =>
      peerWarnings(from, specPath.child("ingress").index(index).child("from")),
    ),
    ...(spec.egress ?? []).flatMap(({ to }, index) =>
      peerWarnings(to, specPath.child("egress").index(index).child("to")),
    ),
  ],
  columns: [name, text("Pod-Selector", ({ spec }) => formatLabelSelector(spec.podSelector)), age],
});

function peerWarnings(peers: readonly NetworkPolicyPeer[] | undefined, path: FieldPath): string[] {
  return (peers ?? []).flatMap(({ ipBlock }, index) => {
    const at = path.index(index).child("ipBlock");
    return [
      ...cidrWarnings(ipBlock?.cidr, at.child("cidr")),
      ...(ipBlock?.except ?? []).flatMap((block, place) => cidrWarnings(block, at.child("except").index(place))),
    ];
  });
}

function validTypes(types: readonly string[]): FieldError[] {
  const path = specPath.child("policyTypes");
  if (types.length > 2) return [invalid(path, types, "may not specify more than two policyTypes")];
  return each(types, path, (type, at) => oneOf(type, ["Ingress", "Egress"], at));
}

function validPolicyPort({ protocol, port, endPort }: NetworkPolicyPort, path: FieldPath): FieldError[] {
  const errors = optionalOneOf(protocol, ["TCP", "UDP", "SCTP"], path.child("protocol"));
  const endPath = path.child("endPort");
  if (endPort !== undefined && typeof port !== "number") {
    const reason = port === undefined ? "not specified" : "non-numeric";
    errors.push(invalid(endPath, endPort, `may not be specified when \`port\` is ${reason}`));
  }
  if (port !== undefined) errors.push(...validPortNumberOrName(port, path.child("port")));
  if (endPort === undefined || typeof port !== "number") return errors;
  if (endPort < port) errors.push(invalid(endPath, port, "must be greater than or equal to `port`"));
  return [...errors, ...validPort(endPort, endPath)];
}

function validPolicyPeer(
  { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer,
  path: FieldPath,
  options: LabelSelectorOptions,
): FieldError[] {
  const errors = [
    ...validLabelSelector(podSelector, path.child("podSelector"), options),
    ...validLabelSelector(namespaceSelector, path.child("namespaceSelector"), options),
    ...(ipBlock ? validBlock(ipBlock, path.child("ipBlock")) : []),
  ];
  if (!podSelector && !namespaceSelector && !ipBlock) errors.push(required(path, "must specify a peer"));
  else if (ipBlock && (podSelector || namespaceSelector)) {
    errors.push(forbidden(path, "may not specify both ipBlock and another peer"));
  }
  return errors;
}

function validBlock({ cidr, except }: IPBlock, path: FieldPath): FieldError[] {
  const cidrPath = path.child("cidr");
  if (!cidr) return [required(cidrPath)];
  const errors = validCidr(cidr, cidrPath);
  const whole = parseCidr(cidr);
  if (!whole) return errors;
  return [
    ...errors,
    ...each(except, path.child("except"), (text, at) => {
      const found = validCidr(text, at);
      const part = parseCidr(text);
      if (!part) return found;
      const isPart = part.prefixLength > whole.prefixLength && cidrContains(whole, part.address);
      return isPart ? found : [...found, invalid(at, text, "must be a strict subset of `cidr`")];
    }),
  ];
}
