/** A small CSI driver for tests, served over gRPC as real ones are: volumes are folders of its own, staged and published by bind mounts. */
import { existsSync, mkdirSync, rmdirSync, rmSync } from "node:fs";
import { createServer, type Http2Server, type Http2Session } from "node:http2";
import { dirname, join } from "node:path";
import { mountsBelow } from "../../base/node/mounts.ts";
import { FrameCutter, framed, type Method } from "../grpc/channel.ts";
import type { Message } from "../grpc/message.ts";
import { bindMount, unmount } from "../volumes/mount.ts";
import { csi, registration } from "./csi-api.ts";

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

// biome-ignore lint/suspicious/noExplicitAny: each handler knows its method's messages.
type Handler = { method: Method<Message<any>, Message<any>>; answer(request: any): object };

export async function startCsiDriver(options: TestCsiDriverOptions): Promise<TestCsiDriver> {
  const { name, nodeId, registrationFolder, folder } = options;
  const endpoint = join(folder, "csi.sock");
  const content = (volumeId: string) => join(folder, "volumes", volumeId);
  const driver: TestCsiDriver = { calls: [], refuse: undefined, content, stop };
  const handlers: Handler[] = [
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
    { method: csi.getCapabilities, answer: () => ({ capabilities: [{ rpc: { type: 1 } }] }) },
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
      answer({ volume_id, staging_target_path, target_path }) {
        mkdirSync(content(volume_id), { recursive: true });
        mkdirSync(target_path, { recursive: true });
        mountOnce(staging_target_path || content(volume_id), target_path);
        return {};
      },
    },
    {
      method: csi.unpublishVolume,
      answer({ target_path }) {
        unmount(target_path);
        if (existsSync(target_path)) rmdirSync(target_path);
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
  const sessions = new Set<Http2Session>();
  const servers = [endpoint, join(registrationFolder, `${name}-reg.sock`)].map((path) => serve(path));

  function serve(path: string): Http2Server {
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    const server = createServer();
    server.on("session", (session) => {
      sessions.add(session);
      session.once("close", () => sessions.delete(session));
    });
    server.on("stream", (stream, headers) => {
      const handler = handlers.find(({ method }) => method.path === headers[":path"]);
      const frames = new FrameCutter();
      stream.on("data", (chunk: Buffer) => {
        for (const body of frames.take(chunk)) {
          let [status, message] = ["12", "unknown method"];
          let answer: Buffer = Buffer.alloc(0);
          if (handler) {
            const callName = handler.method.path.split("/").at(-1)!;
            const request = handler.method.request.decode(body) as Record<string, unknown>;
            driver.calls.push({ name: callName, request });
            if (driver.refuse?.name === callName) [status, message] = ["13", driver.refuse.message];
            else {
              [status, message] = ["0", ""];
              answer = framed(handler.method.response.encode(handler.answer(request)));
            }
          }
          stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
          stream.once("wantTrailers", () =>
            stream.sendTrailers({ "grpc-status": status, "grpc-message": encodeURIComponent(message) }),
          );
          stream.end(answer);
        }
      });
    });
    server.listen(path);
    return server;
  }

  async function stop(): Promise<void> {
    for (const session of sessions) session.destroy();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  return driver;
}

/** Calls may be repeated. */
function mountOnce(source: string, target: string): void {
  if (!mountsBelow(target).includes(target)) bindMount(source, target);
}
