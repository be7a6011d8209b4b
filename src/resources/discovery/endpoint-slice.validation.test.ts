import { expect, it } from "vitest";
import { changeProblemsOf, storedForm } from "../../testing/problems-of.ts";
import { refuses, refusesChanges } from "../../testing/refusals.ts";
import { endpointSlices } from "./endpoint-slice.ts";

const metadata = { name: "web", namespace: "default" };
const label =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomain =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const slice = { metadata, addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.1"] }], ports: [{ port: 80 }] };

refuses(
  endpointSlices,
  { metadata, addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.1"] }], ports: [{ port: 80 }] },
  [
    ["of no kind", { addressType: "" }, ["addressType: Required value"]],
    [
      "of a kind nobody knows",
      { addressType: "Road", endpoints: [] },
      ['addressType: Unsupported value: "Road": supported values: "FQDN", "IPv4", "IPv6"'],
    ],
    [
      "with hints twice, or for nobody",
      {
        "endpoints.0.hints": {
          forZones: [{ name: "a" }, { name: "a" }, { name: "-" }],
          forNodes: [{ name: "a" }, { name: "a" }, { name: "A" }],
        },
      },
      [
        'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
        expect.stringContaining('endpoints[0].hints.forZones[2].name: Invalid value: "-": a valid label must be'),
        'endpoints[0].hints.forNodes[1].name: Duplicate value: "a"',
        "endpoints[0].hints.forNodes[2].name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
      ],
    ],
    [
      "with an endpoint that is nowhere",
      { "endpoints.0.addresses": [] },
      ["endpoints[0].addresses: Required value: must contain at least 1 address"],
    ],
    [
      "with addresses of the other kind",
      { "endpoints.0.addresses": ["fd00::1"] },
      ['endpoints[0].addresses[0]: Invalid value: "fd00::1": must be an IPv4 address'],
    ],
    ["with two ports of one name", { ports: [{ port: 80 }, { port: 81 }] }, ['ports[1].name: Duplicate value: ""']],
  ],
);
refuses(endpointSlices, slice, [
  [
    "with hints for too many zones, whatever else is wrong with them",
    { "endpoints.0.hints": { forZones: "abcdefghi".split("").map((name) => ({ name })), forNodes: [{ name: "A" }] } },
    ["endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"],
  ],
  [
    "with ports first, then endpoints",
    {
      "endpoints.0": { addresses: ["127.0.0.1", "010.0.0.1", "x"], nodeName: "A", hostname: "a.b" },
      ports: [{ name: "A", port: 80, protocol: "QUIC", appProtocol: "-" }],
    },
    [
      `ports[0].name: Invalid value: "A": ${label}`,
      'ports[0].protocol: Unsupported value: "QUIC": supported values: "SCTP", "TCP", "UDP"',
      `ports[0].appProtocol: Invalid value: "-": ${namePart}`,
      'endpoints[0].addresses[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      'endpoints[0].addresses[1]: Invalid value: "010.0.0.1": must not have leading 0s',
      'endpoints[0].addresses[2]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      `endpoints[0].nodeName: Invalid value: "A": ${subdomain}`,
      'endpoints[0].hostname: Invalid value: "a.b": must not contain dots',
    ],
  ],
  [
    "with an address of the other kind that is nobody's",
    { "endpoints.0.addresses": ["::1"] },
    [
      'endpoints[0].addresses[0]: Invalid value: "::1": must be an IPv4 address',
      'endpoints[0].addresses[0]: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    ],
  ],
  [
    "with too many addresses, each looked at",
    { "endpoints.0.addresses": ["x", ...Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`)] },
    [
      "endpoints[0].addresses: Too many: 101: must have at most 100 items",
      'endpoints[0].addresses[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
  ],
  [
    "with too many endpoints",
    { endpoints: Array.from({ length: 1001 }, () => ({ addresses: [] })) },
    ["endpoints: Too many: 1001: must have at most 1000 items"],
  ],
  [
    "of names that are no domains",
    { addressType: "FQDN", "endpoints.0.addresses": ["a.test.", "a", "A.test", "", `${"a".repeat(64)}.test`] },
    [
      'endpoints[0].addresses[1]: Invalid value: "a": should be a domain with at least two segments separated by dots',
      `endpoints[0].addresses[2]: Invalid value: "A.test": ${subdomain}`,
      "endpoints[0].addresses[3]: Required value",
      `endpoints[0].addresses[4]: Invalid value: "${"a".repeat(64)}": must be no more than 63 characters`,
    ],
  ],
  ["never for labels of old, which are forgotten", { "endpoints.0.deprecatedTopology": { "-": "x" } }, []],
]);
refusesChanges(endpointSlices, slice, [
  ["may have other endpoints", { "endpoints.1": { addresses: ["10.0.0.2"] } }, []],
  ["may not make it another kind", { addressType: "IPv6" }, ['addressType: Invalid value: "IPv6": field is immutable']],
  [
    "may not make it another kind with endpoints that it has not",
    { addressType: "IPv6", "endpoints.0.addresses": ["10.0.0.2"] },
    [
      'endpoints[0].addresses[0]: Invalid value: "10.0.0.2": must be an IPv6 address',
      'addressType: Invalid value: "IPv6": field is immutable',
    ],
  ],
]);
it("endpoints that do not change are not looked at again", () => {
  const before = { ...slice, endpoints: [{ addresses: ["010.0.0.1"] }] };
  expect(
    changeProblemsOf(endpointSlices, before, { ...before, metadata: { ...metadata, labels: { a: "b" } } }),
  ).toEqual([]);
});
it("labels of old are forgotten", () => {
  const stored = storedForm(endpointSlices, {
    ...slice,
    endpoints: [{ addresses: ["10.0.0.1"], deprecatedTopology: { a: "b" } }],
  });
  expect(stored.endpoints?.[0]?.deprecatedTopology).toBeUndefined();
});
