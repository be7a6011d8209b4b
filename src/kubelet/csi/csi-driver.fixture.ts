/** A small CSI driver for tests, served over gRPC as real ones are: volumes are folders of its own, staged and published by bind mounts. */
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { mountsBelow } from "../../base/node/mounts.ts";
import { registration } from "../grpc/registration-api.ts";
import { type GrpcHandler, serveGrpc } from "../grpc/server.fixture.ts";
import { bindMount, unmount } from "../volumes/mount.ts";
import { csi } from "./csi-api.ts";

export interface TestCsiDriver {
  /** Each call: its name and what was in it. */
  calls: { name: string; request: Record<string, unknown> }[];
  /** When set, calls of this name fail with the message. */
  refuse: { name: string; message: string } | undefined;
  /** Where a volume's content is. */
  content(volumeId: string): string;
  stop(): Promise<void>;
}

export interface TestCsiDriverOptions {
  name: string;
  nodeId: string;
  /** The kubelet's registration folder. */
  registrationFolder: string;
  folder: string;
}

export async function startCsiDriver(options: TestCsiDriverOptions): Promise<TestCsiDriver> {
  const { name, nodeId, registrationFolder, folder } = options;
  const endpoint = join(folder, "csi.sock");
  const content = (volumeId: string) => join(folder, "volumes", volumeId);
  const driver: TestCsiDriver = { calls: [], refuse: undefined, content, stop };
  const handlers: GrpcHandler[] = [
    {
      method: registration.getInfo,
      answer: () => ({ type: "CSIPlugin", name, endpoint, supported_versions: ["1.0.0"] }),
    },
    { method: registration.notify, answer: () => ({}) },
    {
      method: csi.getInfo,
      answer: () => ({
        node_id: nodeId,
        max_volumes_per_node: 5,
        accessible_topology: { segments: { "test/zone": "a" } },
      }),
    },
    { method: csi.getCapabilities, answer: () => ({ capabilities: [{ rpc: { type: 1 } }, { rpc: { type: 3 } }] }) },
    {
      method: csi.stageVolume,
      answer({ volume_id, staging_target_path }) {
        mkdirSync(content(volume_id), { recursive: true });
        mountOnce(content(volume_id), staging_target_path);
        return {};
      },
    },
    {
      method: csi.publishVolume,
      answer({ volume_id, staging_target_path, target_path, volume_capability }) {
        mkdirSync(content(volume_id), { recursive: true });
        if (volume_capability?.block) {
          const device = join(content(volume_id), "device");
          if (!existsSync(device)) execFileSync("mknod", [device, "b", "7", "199"]);
          closeSync(openSync(target_path, "a"));
          mountOnce(device, target_path);
          return {};
        }
        mkdirSync(target_path, { recursive: true });
        mountOnce(staging_target_path || content(volume_id), target_path);
        return {};
      },
    },
    {
      method: csi.expandVolume,
      answer: ({ capacity_range }) => ({ capacity_bytes: capacity_range.required_bytes }),
    },
    {
      method: csi.unpublishVolume,
      answer({ target_path }) {
        unmount(target_path);
        if (existsSync(target_path)) rmSync(target_path, { recursive: true });
        return {};
      },
    },
    {
      method: csi.unstageVolume,
      answer({ staging_target_path }) {
        unmount(staging_target_path);
        return {};
      },
    },
  ];
  const server = serveGrpc([endpoint, join(registrationFolder, `${name}-reg.sock`)], handlers, driver);

  function stop(): Promise<void> {
    return server.stop();
  }

  return driver;
}

/** Calls may be repeated. */
function mountOnce(source: string, target: string): void {
  if (!mountsBelow(target).includes(target)) bindMount(source, target);
}
