import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { findProgram } from "../../../base/node/find-program.ts";
import { type AppArmorHost, defaultProfile, loadedProfiles, profileFor, senders } from "./apparmor.ts";

const host: AppArmorHost = { hasDefaultProfile: true, loaded: () => new Set(["web"]) };
const localhost = (profile: string) => ({ appArmor: { type: "Localhost" as const, profile } });

test("a container that names no profile has the default, a privileged one none", () => {
  const runtimeDefault = { type: "RuntimeDefault" as const };
  expect(profileFor({}, host)).toBe("pinnace-default");
  expect(profileFor({ appArmor: runtimeDefault }, host)).toBe("pinnace-default");
  expect(profileFor({ privileged: true }, host)).toBeUndefined();
  expect(profileFor({ appArmor: runtimeDefault, privileged: true }, host)).toBeUndefined();
  expect(profileFor({ appArmor: { type: "Unconfined" } }, host)).toBeUndefined();
});

test("a profile of the node confines whoever names it, and must be loaded", () => {
  expect(profileFor(localhost("web"), host)).toBe("web");
  expect(profileFor({ ...localhost("web"), privileged: true }, host)).toBe("web");
  expect(() => profileFor(localhost("shop"), host)).toThrow("apparmor profile not found shop");
});

test("where the kernel has no AppArmor, or no default was loaded, nobody is confined who did not ask for it", () => {
  const bare = { ...host, hasDefaultProfile: false };
  for (const each of [undefined, bare]) {
    expect(profileFor({}, each)).toBeUndefined();
    expect(() => profileFor({ appArmor: { type: "RuntimeDefault" } }, each)).toThrow("apparmor is not supported");
  }
  expect(profileFor(localhost("web"), bare)).toBe("web");
  expect(() => profileFor(localhost("web"), undefined)).toThrow("apparmor is not supported");
});

test("names of loaded profiles are read from the kernel's list", () => {
  expect(loadedProfiles("pinnace-default (enforce)\nnvidia_modprobe//kmod (complain)\n/usr/bin/a b (kill)\n")).toEqual(
    new Set(["pinnace-default", "nvidia_modprobe//kmod", "/usr/bin/a b"]),
  );
});

test("containers take signals from the machine, from runtimes and from the node's own process", () => {
  expect(senders("unconfined\n")).toEqual(["unconfined", "crun", "runc"]);
  expect(senders("/usr/bin/node (enforce)\n\0")).toEqual(["unconfined", "crun", "runc", '"/usr/bin/node"']);
  expect(senders("")).toEqual(["unconfined", "crun", "runc"]);
});

const parser = findProgram("apparmor_parser");

test.skipIf(!parser)("AppArmor's own parser takes the default profile", () => {
  const parsed = spawnSync(parser!, ["--skip-kernel-load", "--skip-cache"], {
    input: defaultProfile(senders("node of mine (enforce)")),
    encoding: "utf8",
  });
  expect({ status: parsed.status, complaint: /error/i.exec(parsed.stderr)?.[0] }).toEqual({ status: 0 });
});
