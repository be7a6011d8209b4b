/**
 * Container Device Interface: what drivers say, in files of the machine, must be done to a container that gets a device of theirs.
 * https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { RuntimeError } from "../container-runtime.ts";
import type { Device, OciMount } from "./bundle.ts";
import { deviceAt } from "./devices.ts";

/** What the devices of a container change in its bundle. */
export interface ContainerEdits {
  env: readonly { name: string; value: string }[];
  devices: readonly Device[];
  mounts: readonly OciMount[];
  /** By the runtime specification's names: `createRuntime`, `poststop`. */
  hooks: Readonly<Record<string, readonly object[]>>;
  additionalGids: readonly number[];
}

interface SpecFile {
  cdiVersion?: string;
  /** `vendor.example.com/gpu` */
  kind?: string;
  devices?: { name: string; containerEdits?: Edits }[];
  containerEdits?: Edits;
}

interface Edits {
  env?: string[];
  deviceNodes?: DeviceNode[];
  mounts?: { hostPath: string; containerPath: string; type?: string; options?: string[] }[];
  hooks?: ({ hookName: string; path: string; args?: string[]; env?: string[]; timeout?: number } | null)[];
  additionalGIDs?: number[];
}

interface DeviceNode {
  path: string;
  hostPath?: string;
  type?: string;
  major?: number;
  minor?: number;
  fileMode?: number;
  permissions?: string;
  uid?: number;
  gid?: number;
}

/** `names` are fully qualified: `vendor.example.com/gpu=gpu0`. What stands in a later folder goes before. Throws a RuntimeError "InvalidArgument" for devices that no file knows. */
export function editsOf(names: readonly string[], folders: readonly string[]): ContainerEdits | undefined {
  if (names.length === 0) return undefined;
  const known = readSpecs(folders);
  const missing = names.filter((name) => !known.has(name));
  if (missing.length > 0) {
    throw new RuntimeError(
      "InvalidArgument",
      `CDI device injection failed: unresolvable CDI devices ${missing.join(", ")}`,
    );
  }
  const edits: Edits[] = [];
  const specs = new Set<SpecFile>();
  for (const name of names) {
    const { spec, device } = known.get(name)!;
    // What concerns all devices of a file is done once.
    if (spec.containerEdits && !specs.has(spec)) edits.push(spec.containerEdits);
    specs.add(spec);
    if (device.containerEdits) edits.push(device.containerEdits);
  }
  const hooks: Record<string, object[]> = {};
  for (const hook of edits.flatMap((one) => one.hooks ?? [])) {
    if (!hook) continue;
    const { hookName, ...rest } = hook;
    (hooks[hookName] ??= []).push(rest);
  }
  return {
    env: edits.flatMap((one) => one.env ?? []).map(variableOf),
    devices: edits.flatMap((one) => one.deviceNodes ?? []).map(deviceOf),
    mounts: edits
      .flatMap((one) => one.mounts ?? [])
      .map(({ hostPath, containerPath, type = "bind", options = [] }) => ({
        destination: containerPath,
        type,
        source: hostPath,
        options:
          type === "bind" && !options.includes("bind") && !options.includes("rbind") ? ["rbind", ...options] : options,
      })),
    hooks,
    additionalGids: [...new Set(edits.flatMap((one) => one.additionalGIDs ?? []))],
  };
}

type Known = Map<string, { spec: SpecFile; device: { name: string; containerEdits?: Edits } }>;

/** A file that cannot be read offers nothing, and takes nothing from the others. */
function readSpecs(folders: readonly string[]): Known {
  const known: Known = new Map();
  for (const folder of folders) {
    const own: Known = new Map();
    const twice = new Set<string>();
    for (const spec of filesIn(folder)) {
      for (const device of spec.devices ?? []) {
        const name = `${spec.kind}=${device.name}`;
        if (own.has(name)) twice.add(name);
        own.set(name, { spec, device });
      }
    }
    // Of two that say different things nobody knows which is right.
    for (const name of twice) own.delete(name);
    for (const [name, found] of own) known.set(name, found);
  }
  return known;
}

function filesIn(folder: string): SpecFile[] {
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /\.(json|ya?ml)$/.test(name));
  } catch {
    return [];
  }
  return names.sort().flatMap((name) => {
    try {
      const spec = parse(readFileSync(join(folder, name), "utf8")) as SpecFile | null;
      return spec?.kind ? [spec] : [];
    } catch {
      return [];
    }
  });
}

function variableOf(text: string): { name: string; value: string } {
  const at = text.indexOf("=");
  return at < 0 ? { name: text, value: "" } : { name: text.slice(0, at), value: text.slice(at + 1) };
}

/** What the file does not say is as on the machine. */
function deviceOf({
  path,
  hostPath = path,
  type,
  major,
  minor,
  fileMode,
  permissions = "rwm",
  uid,
  gid,
}: DeviceNode): Device {
  const found: Device =
    (type === "c" || type === "b") && major !== undefined && minor !== undefined
      ? { path, type, major, minor, fileMode: 0o666, uid: 0, gid: 0, permissions }
      : deviceAt(hostPath, permissions);
  return {
    ...found,
    path,
    ...(fileMode !== undefined ? { fileMode } : {}),
    ...(uid !== undefined ? { uid } : {}),
    ...(gid !== undefined ? { gid } : {}),
  };
}
