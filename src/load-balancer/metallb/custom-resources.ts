/** MetalLB's kinds as CustomResourceDefinitions, with what its own say of them. */
import type { CustomResourceDefinition } from "../../api/apiextensions/v1.ts";
import type { New } from "../../api/object.ts";

type Schema = { type: string; [keyword: string]: unknown };

const text: Schema = { type: "string" };
const flag: Schema = { type: "boolean" };
const listOf = (items: Schema, more: object = {}): Schema => ({ type: "array", items, ...more });
const number = (minimum: number, maximum: number): Schema => ({ type: "integer", minimum, maximum, format: "int32" });
const asn: Schema = { type: "integer", format: "int64", minimum: 0, maximum: 4294967295 };
const object = (properties: Record<string, Schema>, required: readonly string[] = []): Schema => ({
  type: "object",
  properties,
  ...(required.length > 0 ? { required: [...required] } : {}),
});

const labelSelector = object({
  matchLabels: { type: "object", additionalProperties: text },
  matchExpressions: listOf(object({ key: text, operator: text, values: listOf(text) }, ["key", "operator"])),
});

const advertisement = {
  ipAddressPools: listOf(text),
  ipAddressPoolSelectors: listOf(labelSelector),
  nodeSelectors: listOf(labelSelector),
};

const addressPool = object(
  {
    addresses: listOf(text),
    autoAssign: { ...flag, default: true },
    avoidBuggyIPs: { ...flag, default: false },
    serviceAllocation: object({
      priority: { type: "integer" },
      namespaces: listOf(text),
      namespaceSelectors: listOf(labelSelector),
      serviceSelectors: listOf(labelSelector),
    }),
  },
  ["addresses"],
);

const bgpPeer = object(
  {
    myASN: asn,
    peerASN: asn,
    peerAddress: text,
    peerPort: { ...number(0, 16384), default: 179 },
    sourceAddress: text,
    holdTime: text,
    keepaliveTime: text,
    routerID: text,
    nodeSelectors: listOf(labelSelector),
    password: text,
    passwordSecret: object({ name: text, namespace: text }),
    bfdProfile: text,
    ebgpMultiHop: flag,
  },
  ["myASN", "peerASN", "peerAddress"],
);

const bgpAdvertisement = object({
  ...advertisement,
  aggregationLength: { ...number(1, 32), default: 32 },
  aggregationLengthV6: { ...number(1, 128), default: 128 },
  localPref: { type: "integer", format: "int32" },
  communities: listOf(text),
  peers: listOf(text),
});

const bfdProfile = object({
  receiveInterval: number(10, 60000),
  transmitInterval: number(10, 60000),
  detectMultiplier: number(2, 255),
  echoInterval: number(10, 60000),
  echoMode: flag,
  passiveMode: flag,
  minimumTtl: number(1, 254),
});

const column = (name: string, type: string, field: string) => ({ name, type, jsonPath: `.spec.${field}` });

/** BFD profiles are kept and used for nothing. */
export const metallbCustomResources: readonly New<CustomResourceDefinition>[] = [
  define("IPAddressPool", "ipaddresspools", addressPool, [
    column("Auto Assign", "boolean", "autoAssign"),
    column("Avoid Buggy IPs", "boolean", "avoidBuggyIPs"),
    column("Addresses", "string", "addresses"),
  ]),
  define("L2Advertisement", "l2advertisements", object({ ...advertisement, interfaces: listOf(text) }), [
    column("IPAddressPools", "string", "ipAddressPools"),
    column("IPAddressPool Selectors", "string", "ipAddressPoolSelectors"),
    column("Interfaces", "string", "interfaces"),
  ]),
  define("BGPAdvertisement", "bgpadvertisements", bgpAdvertisement, [
    column("IPAddressPools", "string", "ipAddressPools"),
    column("IPAddressPool Selectors", "string", "ipAddressPoolSelectors"),
    column("Peers", "string", "peers"),
  ]),
  define(
    "BGPPeer",
    "bgppeers",
    bgpPeer,
    [
      column("Address", "string", "peerAddress"),
      column("ASN", "string", "peerASN"),
      column("BFD Profile", "string", "bfdProfile"),
      column("Multi Hops", "string", "ebgpMultiHop"),
    ],
    ["v1beta2", "v1beta1"],
  ),
  define("BFDProfile", "bfdprofiles", bfdProfile, [
    column("Passive Mode", "boolean", "passiveMode"),
    column("Transmit Interval", "integer", "transmitInterval"),
    column("Receive Interval", "integer", "receiveInterval"),
    column("Multiplier", "integer", "detectMultiplier"),
  ]),
  define("Community", "communities", object({ communities: listOf(object({ name: text, value: text })) }), []),
];

function define(
  kind: string,
  plural: string,
  spec: Schema,
  columns: { name: string; type: string; jsonPath: string }[],
  versions: readonly string[] = ["v1beta1"],
): New<CustomResourceDefinition> {
  const schema = { openAPIV3Schema: object({ apiVersion: text, kind: text, metadata: { type: "object" }, spec }) };
  return {
    metadata: { name: `${plural}.metallb.io` },
    spec: {
      group: "metallb.io",
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      scope: "Namespaced",
      versions: versions.map((name, i) => ({
        name,
        served: true,
        storage: i === 0,
        schema,
        subresources: { status: {} },
        ...(columns.length > 0 ? { additionalPrinterColumns: columns } : {}),
      })),
    },
  };
}
