import { expect, test } from "vitest";
import { configuredDriver } from "./cgroup-names.ts";

test("a containerd that is too old to be asked shows its cgroup driver in its configuration", () => {
  const config = (SystemdCgroup: boolean, defaultRuntimeName = "runc") =>
    JSON.stringify({ containerd: { defaultRuntimeName, runtimes: { runc: { options: { SystemdCgroup } } } } });
  expect(configuredDriver(config(true))).toBe("systemd");
  expect(configuredDriver(config(false))).toBe("cgroupfs");
  expect(configuredDriver(config(true, "kata"))).toBe("cgroupfs");
  for (const other of [undefined, "", "null", "[]", "{}", "not JSON"]) expect(configuredDriver(other)).toBe("cgroupfs");
});
