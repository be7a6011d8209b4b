import { expect, test } from "vitest";
import { hostsFile, podNames } from "./hosts-file.ts";
import type { PodObject } from "./pod-state.ts";

const pod = (spec: object, name = "web") => ({ metadata: { name, namespace: "shop" }, spec }) as unknown as PodObject;

test("a pod finds itself, and its aliases", () => {
  const of = pod({ subdomain: "svc", hostAliases: [{ ip: "1.2.3.4", hostnames: ["a", "b"] }] });
  const lines = hostsFile(of, ["10.244.1.7"], "cluster.local").split("\n");
  expect(lines).toContain("10.244.1.7\tweb.svc.shop.svc.cluster.local\tweb");
  expect(lines.slice(-3)).toEqual(["# Entries added by HostAliases.", "1.2.3.4\ta\tb", ""]);
});

test.each([
  [{}, "web", "web"],
  [{ hostname: "h" }, "h", "h"],
  [{ hostname: "h", subdomain: "s", setHostnameAsFQDN: true }, "h", "h.s.shop.svc.cluster.local"],
  [{ hostnameOverride: "o", hostname: "h" }, "o", "o"],
])("%j is called %s, and %s by uname", (spec, hostname, utsName) => {
  expect(podNames(pod(spec), "cluster.local")).toMatchObject({ hostname, utsName });
});

test("a pod name too long for a host name is cut without a trailing dash", () => {
  const name = `${"a".repeat(62)}-${"b".repeat(9)}`;
  expect(podNames(pod({}, name), "cluster.local").hostname).toBe("a".repeat(62));
});
