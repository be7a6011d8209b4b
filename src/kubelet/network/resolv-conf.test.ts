import { expect, test } from "vitest";
import type { PodSpec } from "../../api/core/v1.ts";
import { parseResolvConf, printResolvConf, resolvConfOf } from "./resolv-conf.ts";

const host = parseResolvConf(
  "# made by somebody\ndomain old.example\nsearch corp.example .\nnameserver 192.0.2.53\noptions edns0 trust-ad\n",
);
const facts = { namespace: "shop", clusterDomain: "cluster.local", clusterDNS: ["10.96.0.10"], host };

const clusterFirst =
  "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example\nnameserver 10.96.0.10\noptions ndots:5\n";
const hostsOwn = "search corp.example\nnameserver 192.0.2.53\noptions edns0 trust-ad\n";

test.each<[string, Partial<PodSpec>, string]>([
  ["no policy", {}, clusterFirst],
  ["ClusterFirst", { dnsPolicy: "ClusterFirst" }, clusterFirst],
  ["ClusterFirst on the host's network", { dnsPolicy: "ClusterFirst", hostNetwork: true }, hostsOwn],
  ["ClusterFirstWithHostNet", { dnsPolicy: "ClusterFirstWithHostNet", hostNetwork: true }, clusterFirst],
  ["Default", { dnsPolicy: "Default" }, hostsOwn],
  [
    "None",
    {
      dnsPolicy: "None",
      dnsConfig: {
        nameservers: ["192.0.2.1"],
        searches: ["a.example"],
        options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
      },
    },
    "search a.example\nnameserver 192.0.2.1\noptions ndots:2 edns0\n",
  ],
  [
    "a dnsConfig beside ClusterFirst",
    {
      dnsConfig: {
        nameservers: ["10.96.0.10", "192.0.2.1"],
        searches: ["svc.cluster.local", "a.example"],
        options: [{ name: "ndots", value: "1" }],
      },
    },
    "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example a.example\nnameserver 10.96.0.10\nnameserver 192.0.2.1\noptions ndots:1\n",
  ],
])("%s", (_, spec, expected) => expect(printResolvConf(resolvConfOf(spec, facts))).toBe(expected));

test("without a cluster DNS pods get the host's resolvers", () => {
  expect(printResolvConf(resolvConfOf({}, { ...facts, clusterDNS: [] }))).toBe(hostsOwn);
});

test("no more is written than resolvers read", () => {
  const dnsConfig = {
    nameservers: ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"],
    searches: Array.from({ length: 40 }, (_, i) => `${"x".repeat(60)}${i}.example`),
  };
  const conf = resolvConfOf({ dnsPolicy: "None", dnsConfig }, facts);
  expect(conf.nameservers.length).toBe(3);
  expect(conf.searches.join(" ").length).toBeLessThanOrEqual(2048);
});
