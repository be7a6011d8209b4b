import { describe, expect, test } from "vitest";
import type { Service } from "../api/core/v1.ts";
import type { Endpoint, EndpointSlice } from "../api/discovery/v1.ts";
import { formatIp } from "../base/ip.ts";
import { seededRandom } from "../base/random.ts";
import { KubernetesPlugin } from "./kubernetes.ts";
import { type Answer, addressRecord, Rcode, RecordType, type ResourceRecord } from "./message.ts";
import { chain, failure, type Query } from "./plugin.ts";
import { Zone } from "./zone.ts";

const zone = new Zone("cluster.local");
zone.addNamespace("shop");

function metadata(name: string) {
  return { name, namespace: "shop", uid: name, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
}

function put(
  name: string,
  spec: Service["spec"],
  endpoints: Endpoint[] = [],
  ports: EndpointSlice["ports"] = [{ name: "http", port: 8080, protocol: "TCP" }],
) {
  const service: Service = { kind: "Service", apiVersion: "v1", metadata: metadata(name), spec, status: {} };
  const slice = (addressType: string): EndpointSlice => ({
    kind: "EndpointSlice",
    apiVersion: "discovery.k8s.io/v1",
    metadata: metadata(`${name}-${addressType}`),
    addressType,
    ports,
    endpoints: endpoints.filter(({ addresses }) => addresses[0]!.includes(":") === (addressType === "IPv6")),
  });
  zone.state(`shop/${name}`, service, [slice("IPv4"), slice("IPv6")]);
}

const ready = { ready: true };
put(
  "web",
  {
    clusterIP: "10.96.0.20",
    clusterIPs: ["10.96.0.20"],
    ports: [
      { name: "http", port: 80 },
      { name: "admin", port: 81 },
    ],
  },
  [{ addresses: ["10.244.1.2"], conditions: ready }],
);
put("dual", { clusterIP: "10.96.0.21", clusterIPs: ["10.96.0.21", "fd00::21"], ports: [{ port: 80 }] });
put("db", { clusterIP: "None", clusterIPs: ["None"], ports: [{ name: "http", port: 80 }] }, [
  { addresses: ["10.244.1.3"], hostname: "db-0", conditions: ready },
  { addresses: ["10.244.2.3"], hostname: "db-1", conditions: ready },
  { addresses: ["10.244.2.4"], conditions: ready },
  { addresses: ["10.244.2.5"], conditions: { ready: false } },
  { addresses: ["fd00:10::3"], hostname: "db-0", conditions: ready },
]);
put("portless", { clusterIP: "None", clusterIPs: ["None"] }, [{ addresses: ["10.244.1.9"] }], []);
put("empty", { clusterIP: "None", clusterIPs: ["None"], ports: [{ port: 80 }] });
put("outside", { type: "ExternalName", externalName: "Example.org." });
put("inside", { type: "ExternalName", externalName: "web.shop.svc.cluster.local" });
put("ring-a", { type: "ExternalName", externalName: "ring-b.shop.svc.cluster.local" });
put("ring-b", { type: "ExternalName", externalName: "ring-a.shop.svc.cluster.local" });

/** Stands for the resolvers outside. */
const outside = (query: Query): Answer =>
  query.name === "example.org" && query.type === RecordType.A
    ? { ...failure(Rcode.NOERROR), answers: [addressRecord("example.org", Uint8Array.of(192, 0, 2, 80), 60)] }
    : failure(Rcode.NXDOMAIN);
const ask = chain([
  new KubernetesPlugin({ zone, random: seededRandom(1), serverAddresses: ["10.96.0.10"] }),
  { name: "outside", answer: outside },
]);

function print(record: ResourceRecord): string {
  const type = Object.entries(RecordType).find(([, number]) => number === record.type)?.[0];
  const { data } = record;
  const text =
    data.kind === "bytes"
      ? type === "TXT"
        ? Buffer.from(data.bytes.subarray(1)).toString()
        : formatIp(data.bytes)
      : data.kind === "name"
        ? data.name
        : data.kind === "srv"
          ? `${data.priority} ${data.weight} ${data.port} ${data.target}`
          : data.kind === "soa"
            ? "…"
            : "?";
  return `${record.name} ${record.ttl} ${type} ${text}`;
}

/** Status, answers in alphabetic order, then what else came along. */
async function dig(name: string, type: keyof typeof RecordType = "A"): Promise<string[]> {
  const answer = await ask({ name, type: RecordType[type], class: 1, checkingDisabled: false, dnssecOk: false });
  const status = Object.entries(Rcode).find(([, number]) => number === answer.rcode)![0];
  const section = (mark: string, records: readonly ResourceRecord[]) =>
    records.map((record) => `${mark}${print(record)}`).sort();
  return [
    status,
    ...section("", answer.answers),
    ...section("authority ", answer.authority),
    ...section("additional ", answer.additional),
  ];
}

const soa = "authority cluster.local 5 SOA …";
const nodata = ["NOERROR", soa];
const nxdomain = ["NXDOMAIN", soa];

describe("a Service with an address", () => {
  test("has A and AAAA for what it has, and no data for what it has not", async () => {
    expect(await dig("web.shop.svc.cluster.local")).toEqual(["NOERROR", "web.shop.svc.cluster.local 30 A 10.96.0.20"]);
    expect(await dig("web.shop.svc.cluster.local", "AAAA")).toEqual(nodata);
    expect(await dig("web.shop.svc.cluster.local", "MX")).toEqual(nodata);
    expect(await dig("dual.shop.svc.cluster.local", "AAAA")).toEqual([
      "NOERROR",
      "dual.shop.svc.cluster.local 30 AAAA fd00::21",
    ]);
  });

  test("has SRV for its ports, each with the address along", async () => {
    expect(await dig("_http._tcp.web.shop.svc.cluster.local", "SRV")).toEqual([
      "NOERROR",
      "_http._tcp.web.shop.svc.cluster.local 30 SRV 0 100 80 web.shop.svc.cluster.local",
      "additional web.shop.svc.cluster.local 30 A 10.96.0.20",
    ]);
    expect(await dig("web.shop.svc.cluster.local", "SRV")).toEqual([
      "NOERROR",
      "web.shop.svc.cluster.local 30 SRV 0 50 80 web.shop.svc.cluster.local",
      "web.shop.svc.cluster.local 30 SRV 0 50 81 web.shop.svc.cluster.local",
      "additional web.shop.svc.cluster.local 30 A 10.96.0.20",
    ]);
    expect(await dig("dual.shop.svc.cluster.local", "SRV")).toEqual([
      "NOERROR",
      "dual.shop.svc.cluster.local 30 SRV 0 50 80 dual.shop.svc.cluster.local",
      "additional dual.shop.svc.cluster.local 30 A 10.96.0.21",
      "additional dual.shop.svc.cluster.local 30 AAAA fd00::21",
    ]);
    expect(await dig("_http._udp.web.shop.svc.cluster.local", "SRV")).toEqual(nxdomain);
  });

  test("has a name for each of its endpoints too", async () => {
    expect(await dig("10-244-1-2.web.shop.svc.cluster.local")).toEqual([
      "NOERROR",
      "10-244-1-2.web.shop.svc.cluster.local 30 A 10.244.1.2",
    ]);
  });
});

describe("a headless Service", () => {
  test("has the addresses of its ready endpoints", async () => {
    expect(await dig("db.shop.svc.cluster.local")).toEqual([
      "NOERROR",
      "db.shop.svc.cluster.local 30 A 10.244.1.3",
      "db.shop.svc.cluster.local 30 A 10.244.2.3",
      "db.shop.svc.cluster.local 30 A 10.244.2.4",
    ]);
    expect(await dig("db.shop.svc.cluster.local", "AAAA")).toEqual([
      "NOERROR",
      "db.shop.svc.cluster.local 30 AAAA fd00:10::3",
    ]);
    expect(await dig("portless.shop.svc.cluster.local")).toEqual([
      "NOERROR",
      "portless.shop.svc.cluster.local 30 A 10.244.1.9",
    ]);
  });

  test("has each endpoint by host name or address, and SRV that lead there", async () => {
    expect(await dig("db-1.db.shop.svc.cluster.local")).toEqual([
      "NOERROR",
      "db-1.db.shop.svc.cluster.local 30 A 10.244.2.3",
    ]);
    expect(await dig("10-244-2-4.db.shop.svc.cluster.local")).toEqual([
      "NOERROR",
      "10-244-2-4.db.shop.svc.cluster.local 30 A 10.244.2.4",
    ]);
    expect(await dig("_http._tcp.db.shop.svc.cluster.local", "SRV")).toEqual([
      "NOERROR",
      "_http._tcp.db.shop.svc.cluster.local 30 SRV 0 25 8080 10-244-2-4.db.shop.svc.cluster.local",
      "_http._tcp.db.shop.svc.cluster.local 30 SRV 0 25 8080 db-0.db.shop.svc.cluster.local",
      "_http._tcp.db.shop.svc.cluster.local 30 SRV 0 25 8080 db-1.db.shop.svc.cluster.local",
      "additional 10-244-2-4.db.shop.svc.cluster.local 30 A 10.244.2.4",
      "additional db-0.db.shop.svc.cluster.local 30 A 10.244.1.3",
      "additional db-0.db.shop.svc.cluster.local 30 AAAA fd00:10::3",
      "additional db-1.db.shop.svc.cluster.local 30 A 10.244.2.3",
    ]);
  });

  test("does not exist without a ready endpoint", async () => {
    expect(await dig("empty.shop.svc.cluster.local")).toEqual(nxdomain);
    expect(await dig("10-244-2-5.db.shop.svc.cluster.local")).toEqual(nxdomain);
  });
});

test("an ExternalName is an alias, followed as far as it leads", async () => {
  expect(await dig("outside.shop.svc.cluster.local")).toEqual([
    "NOERROR",
    "example.org 60 A 192.0.2.80",
    "outside.shop.svc.cluster.local 30 CNAME example.org",
  ]);
  expect(await dig("outside.shop.svc.cluster.local", "CNAME")).toEqual([
    "NOERROR",
    "outside.shop.svc.cluster.local 30 CNAME example.org",
  ]);
  expect(await dig("inside.shop.svc.cluster.local")).toEqual([
    "NOERROR",
    "inside.shop.svc.cluster.local 30 CNAME web.shop.svc.cluster.local",
    "web.shop.svc.cluster.local 30 A 10.96.0.20",
  ]);
  expect((await dig("ring-a.shop.svc.cluster.local"))[0]).toBe("NOERROR");
  expect(await dig("x.outside.shop.svc.cluster.local")).toEqual(nxdomain);
});

test("a pod's name spells its address", async () => {
  expect(await dig("10-244-1-7.shop.pod.cluster.local")).toEqual([
    "NOERROR",
    "10-244-1-7.shop.pod.cluster.local 30 A 10.244.1.7",
  ]);
  expect(await dig("fd00--7.shop.pod.cluster.local", "AAAA")).toEqual([
    "NOERROR",
    "fd00--7.shop.pod.cluster.local 30 AAAA fd00::7",
  ]);
  expect(await dig("10-244-1-7.shop.pod.cluster.local", "AAAA")).toEqual(nodata);
  expect(await dig("ten-244-1-7.shop.pod.cluster.local")).toEqual(nxdomain);
  expect(await dig("10-244-1-7.nowhere.pod.cluster.local")).toEqual(nxdomain);
});

test.each<[string, keyof typeof RecordType, string[]]>([
  ["cluster.local", "A", nodata],
  ["cluster.local", "SOA", ["NOERROR", "cluster.local 5 SOA …"]],
  [
    "cluster.local",
    "NS",
    ["NOERROR", "cluster.local 30 NS ns.dns.cluster.local", "additional ns.dns.cluster.local 30 A 10.96.0.10"],
  ],
  ["ns.dns.cluster.local", "A", ["NOERROR", "ns.dns.cluster.local 30 A 10.96.0.10"]],
  ["dns-version.cluster.local", "TXT", ["NOERROR", "dns-version.cluster.local 28800 TXT 1.1.0"]],
  ["svc.cluster.local", "A", nodata],
  ["pod.cluster.local", "A", nodata],
  ["shop.svc.cluster.local", "A", nodata],
  ["nowhere.svc.cluster.local", "NS", nxdomain],
  ["foo.cluster.local", "A", nxdomain],
  ["nothing.shop.svc.cluster.local", "AAAA", nxdomain],
  ["a.b.c.shop.svc.cluster.local", "A", nxdomain],
  ["web.default.svc.cluster.local.example", "A", ["NXDOMAIN"]],
])("%s %s", async (name, type, expected) => expect(await dig(name, type)).toEqual(expected));

put("six", { clusterIP: "fd00::66", clusterIPs: ["fd00::66"], ports: [{ name: "http", port: 80 }] });
put("twins", { clusterIP: "None", clusterIPs: ["None"], ports: [{ name: "http", port: 80 }] }, [
  { addresses: ["10.244.4.2"], conditions: ready },
  { addresses: ["10.244.4.4"], hostname: "twin", conditions: ready },
  { addresses: ["10.244.4.5"], hostname: "twin", conditions: ready },
  { addresses: ["fd00:44::1"], conditions: ready },
  { addresses: ["fd00:44::2"], conditions: ready },
]);

/** What CoreDNS' own tests ask its kubernetes plugin, asked of Services of ours. */
const twins = "twins.shop.svc.cluster.local";
const six = "six.shop.svc.cluster.local";
test.each<[question: string, answer: string[]]>([
  [`A ${twins}`, ["NOERROR", ...["2", "4", "5"].map((last) => `${twins} 30 A 10.244.4.${last}`)]],
  [`AAAA ${twins}`, ["NOERROR", `${twins} 30 AAAA fd00:44::1`, `${twins} 30 AAAA fd00:44::2`]],
  [`A twin.${twins}`, ["NOERROR", `twin.${twins} 30 A 10.244.4.4`, `twin.${twins} 30 A 10.244.4.5`]],
  [`AAAA twin.${twins}`, nodata],
  [`AAAA fd00-44--2.${twins}`, ["NOERROR", `fd00-44--2.${twins} 30 AAAA fd00:44::2`]],
  [`A portless.shop.svc.cluster.local`, ["NOERROR", "portless.shop.svc.cluster.local 30 A 10.244.1.9"]],
  [
    "A 10-244-1-9.portless.shop.svc.cluster.local",
    ["NOERROR", "10-244-1-9.portless.shop.svc.cluster.local 30 A 10.244.1.9"],
  ],
  [
    `SRV _http._tcp.${twins}`,
    [
      "NOERROR",
      ...["10-244-4-2", "fd00-44--1", "fd00-44--2", "twin"].map(
        (host) => `_http._tcp.${twins} 30 SRV 0 20 8080 ${host}.${twins}`,
      ),
      `additional 10-244-4-2.${twins} 30 A 10.244.4.2`,
      `additional fd00-44--1.${twins} 30 AAAA fd00:44::1`,
      `additional fd00-44--2.${twins} 30 AAAA fd00:44::2`,
      `additional twin.${twins} 30 A 10.244.4.4`,
      `additional twin.${twins} 30 A 10.244.4.5`,
    ],
  ],
  [`A nobody.${twins}`, nxdomain],
  [`A nobody.nothing.shop.svc.cluster.local`, nxdomain],
  [`AAAA ${six}`, ["NOERROR", `${six} 30 AAAA fd00::66`]],
  [`A ${six}`, nodata],
  [`SRV ${six}`, ["NOERROR", `${six} 30 SRV 0 100 80 ${six}`, `additional ${six} 30 AAAA fd00::66`]],
  [
    `SRV _http._tcp.${six}`,
    ["NOERROR", `_http._tcp.${six} 30 SRV 0 100 80 ${six}`, `additional ${six} 30 AAAA fd00::66`],
  ],
  ["SOA web.shop.svc.cluster.local", nodata],
  ["TXT web.shop.svc.cluster.local", nodata],
  ["NS svc.cluster.local", nodata],
  ["NS shop.svc.cluster.local", nodata],
  ["A shop.pod.cluster.local", nodata],
  ["NS foo.cluster.local", nxdomain],
  ["CNAME endpoint.outside.shop.svc.cluster.local", nxdomain],
  ["CNAME web.shop.svc.cluster.local", nodata],
  // Wildcards have been answered once, and are no more.
  ["A *.shop.svc.cluster.local", nxdomain],
  ["A web.*.svc.cluster.local", nxdomain],
  ["SRV _http._*.web.shop.svc.cluster.local", nxdomain],
  ["SRV _*._tcp.web.shop.svc.cluster.local", nxdomain],
  [`A *.${twins}`, nxdomain],
  ["SRV _tcp.web.shop.svc.cluster.local", nxdomain],
])("%s", async (question, answer) => {
  const [type, name] = question.split(" ");
  expect(await dig(name!, type as keyof typeof RecordType)).toEqual(answer);
});

test("an address leads back to its Service, or to its endpoint's names; others are asked outside", async () => {
  expect(await dig("20.0.96.10.in-addr.arpa", "PTR")).toEqual([
    "NOERROR",
    "20.0.96.10.in-addr.arpa 30 PTR web.shop.svc.cluster.local",
  ]);
  expect(await dig("3.1.244.10.in-addr.arpa", "PTR")).toEqual([
    "NOERROR",
    "3.1.244.10.in-addr.arpa 30 PTR db-0.db.shop.svc.cluster.local",
  ]);
  const ipv6 = "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa";
  expect(await dig(ipv6, "PTR")).toEqual(["NOERROR", `${ipv6} 30 PTR db-0.db.shop.svc.cluster.local`]);
  expect(await dig("9.9.9.9.in-addr.arpa", "PTR")).toEqual(["NXDOMAIN"]);
});

test("names go with their Service, and with the endpoint that had them", async () => {
  put("short", { clusterIP: "None", clusterIPs: ["None"], ports: [{ port: 80 }] }, [{ addresses: ["10.244.7.1"] }]);
  expect((await dig("1.7.244.10.in-addr.arpa", "PTR"))[0]).toBe("NOERROR");
  zone.state("shop/short", undefined, []);
  expect(await dig("short.shop.svc.cluster.local")).toEqual(nxdomain);
  expect(await dig("1.7.244.10.in-addr.arpa", "PTR")).toEqual(["NXDOMAIN"]);
});
