import { expect, test } from "vitest";
import { parseLdd } from "./closure.ts";
import { choosePlatform, parseImageConfig, parseManifest } from "./image-config.ts";
import { parseChallenges } from "./registry-auth.ts";
import { findSubstitute } from "./substitutes.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const entry = (letter: string, platform?: { os: string; architecture: string; variant?: string }) => ({
  mediaType: "",
  digest: digest(letter),
  size: 1,
  platform,
});

test("of an index, the manifest for this machine is chosen, its own variant first", () => {
  const manifests = [
    entry("a", { os: "linux", architecture: "amd64" }),
    entry("b", { os: "linux", architecture: "arm64", variant: "v9" }),
    entry("c", { os: "linux", architecture: "arm64", variant: "v8" }),
    entry("d", { os: "windows", architecture: "amd64" }),
  ];
  expect(choosePlatform(manifests, { architecture: "amd64" }).digest).toBe(digest("a"));
  expect(choosePlatform(manifests, { architecture: "arm64", variant: "v8" }).digest).toBe(digest("c"));
  expect(choosePlatform([entry("e")], { architecture: "s390x" }).digest).toBe(digest("e"));
  expect(() => choosePlatform(manifests, { architecture: "riscv64" })).toThrow(
    "no match for platform in manifest: linux/riscv64: not found",
  );
});

test("manifests that are none are refused", () => {
  const complaint = (value: unknown) => {
    try {
      return parseManifest(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(complaint("[")).toMatch(/^manifest is not JSON/);
  expect(complaint("3")).toBe("manifest is not a JSON object");
  expect(complaint({ schemaVersion: 1, fsLayers: [] })).toMatch(/schema 1/);
  expect(complaint({ schemaVersion: 2 })).toBe("manifest has neither config and layers nor manifests");
  expect(complaint({ config: { digest: "md5:1" }, layers: [] })).toBe('manifest names an unsupported digest "md5:1"');
  expect(complaint({ config: { digest: "sha256:../../etc" }, layers: [] })).toMatch(/unsupported digest/);
});

test("a config with nothing in it runs nothing, as root", () => {
  expect(parseImageConfig(Buffer.from("{}"))).toEqual({
    config: {
      user: undefined,
      env: [],
      entrypoint: [],
      cmd: [],
      workingDir: undefined,
      stopSignal: undefined,
      exposedPorts: [],
      volumes: [],
      labels: {},
    },
    diffIds: [],
    platform: { os: undefined, architecture: undefined, variant: undefined },
  });
});

test("challenges are read, several to a header", () => {
  expect(
    parseChallenges(
      'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push", Basic realm="x\\"y"',
    ),
  ).toEqual([
    {
      scheme: "bearer",
      parameters: { realm: "https://auth.example/token", service: "registry", scope: "repository:a/b:pull,push" },
    },
    { scheme: "basic", parameters: { realm: 'x"y' } },
  ]);
  expect(parseChallenges("")).toEqual([]);
});

test("a substitute is found by repository, or by a whole name before that", () => {
  const table = [
    { requested: "nginx", image: "pinnace.local/any:1", description: "" },
    { requested: "docker.io/library/nginx:1.14", image: "pinnace.local/old:1", description: "" },
  ];
  expect(
    ["nginx", "nginx:1.27", "nginx:1.14", "docker.io/library/nginx:1.14", "bitnami/nginx"].map(
      (name) => findSubstitute(table, name)?.image,
    ),
  ).toEqual(["pinnace.local/any:1", "pinnace.local/any:1", "pinnace.local/old:1", "pinnace.local/old:1", undefined]);
});

test("libraries are read from ldd's listing, and a missing one is named", () => {
  const listing = "\tlinux-vdso.so.1 (0x1)\n\tlibz.so.1 => /lib/libz.so.1 (0x2)\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n";
  expect(parseLdd(listing)).toEqual(["/lib/libz.so.1", "/lib64/ld-linux-x86-64.so.2"]);
  expect(parseLdd("\tnot a dynamic executable\n")).toEqual([]);
  expect(() => parseLdd("\tlibssl.so.3 => not found\n")).toThrow("libraries not found: libssl.so.3");
});
