import { expect, test } from "vitest";
import type { PodObject } from "./pod-state.ts";
import { normalizedSysctl, parseSysctlPatterns, sysctlPath, sysctlRefusal } from "./sysctls.ts";

const asking = (name: string, spec: object = {}) =>
  ({ spec: { ...spec, securityContext: { sysctls: [{ name, value: "1" }] } } }) as unknown as PodObject;

const allowed = parseSysctlPatterns(["kernel.msg*", "net/core/somaxconn", "net.ipv4.conf.*"]);

const refusals: [sysctl: string, spec: object, message: string | undefined][] = [
  ["net.ipv4.tcp_syncookies", {}, undefined],
  ["net.ipv4.tcp_syncookies", { hostNetwork: true }, '"net.ipv4.tcp_syncookies" not allowed with host Net enabled'],
  ["kernel.shm_rmid_forced", { hostIPC: true }, '"kernel.shm_rmid_forced" not allowed with host IPC enabled'],
  ["kernel.msgmax", {}, undefined],
  ["kernel/msgmax", {}, undefined],
  ["kernel.msgmax", { hostIPC: true }, '"kernel.msgmax" not allowed with host IPC enabled'],
  ["kernel.msgmax", { hostNetwork: true }, undefined],
  ["net.core.somaxconn", {}, undefined],
  ["net.core.somaxconn", { hostNetwork: true }, '"net.core.somaxconn" not allowed with host Net enabled'],
  ["net.core.somaxconns", {}, '"net.core.somaxconns" not allowlisted'],
  ["net/ipv4/conf/eth0.1/forwarding", {}, undefined],
  ["kernel.sem", {}, '"kernel.sem" not allowlisted'],
];

for (const [sysctl, spec, message] of refusals)
  test(`${sysctl} with ${JSON.stringify(spec)} is ${message ? "refused" : "taken"}`, () => {
    expect(sysctlRefusal(asking(sysctl, spec), allowed)).toEqual(
      message && { reason: "SysctlForbidden", message: `forbidden sysctl: ${message}` },
    );
  });

test("without a word of the administrator only safe parameters are taken", () => {
  expect(sysctlRefusal(asking("kernel.msgmax"))?.message).toBe('forbidden sysctl: "kernel.msgmax" not allowlisted');
});

test("patterns that nobody keeps apart, or that are none, are refused", () => {
  expect(() => parseSysctlPatterns(["vm.swappiness"])).toThrow(
    'the sysctls "vm.swappiness" are not known to be namespaced',
  );
  expect(() => parseSysctlPatterns(["kernel.*"])).toThrow('the sysctls "kernel." are not known to be namespaced');
  expect(() => parseSysctlPatterns(["net.*.x"])).toThrow("must have at most 253 characters and match regex");
  expect(() => parseSysctlPatterns(["Net.x"])).toThrow("must have at most 253 characters");
});

test("names with slashes keep the dots of interfaces", () => {
  expect(normalizedSysctl("net/ipv4/conf/eno2.100/rp_filter")).toBe("net.ipv4.conf.eno2/100.rp_filter");
  expect(normalizedSysctl("net.ipv4.conf.eno2/100.rp_filter")).toBe("net.ipv4.conf.eno2/100.rp_filter");
  expect(sysctlPath("net.ipv4.conf.eno2/100.rp_filter")).toBe("net/ipv4/conf/eno2.100/rp_filter");
});
