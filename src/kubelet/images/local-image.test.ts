import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../base/logger.ts";
import { findProgram } from "../../base/node/find-program.ts";
import { Links } from "../../base/node/links.ts";
import { createNetns, deleteNetns, netnsPath } from "../../base/node/netns.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import type { ContainerConfig, ContainerId, SandboxId } from "../runtime/container-runtime.ts";
import { OciMachine } from "../runtime/oci/machine.ts";
import { OciRuntime } from "../runtime/oci/oci-runtime.ts";
import { ImageStore } from "./image-store.ts";
import { LocalImages } from "./local-image.ts";

const isPossible = process.getuid?.() === 0 && ["crun", "conmon", "busybox", "ldd"].every(findProgram);

describe.runIf(isPossible)("images assembled on this machine", () => {
  const folder = isPossible ? mkdtempSync("/var/tmp/pnt-local-image-") : "";
  const cgroup = `/pnt-local-image-${process.pid}`;
  const network = `pnt-local-image-${process.pid}`;
  const machine = new OciMachine({ folder, clock: systemClock, logger: silentLogger });
  const store = (name: string, echoServer?: "nginx" | "node") =>
    new ImageStore({
      folder: join(folder, name),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      findProgram,
      local: new LocalImages({ findProgram, logger: silentLogger, echoServer }),
    });
  const images = store("images");
  const runtime = new OciRuntime({
    folder: join(folder, "node"),
    machine,
    images,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });

  beforeAll(async () => {
    await images.open();
    await runtime.open();
    createNetns(network, () => {
      const links = new Links();
      links.apply([{ kind: "up", name: "lo" }]);
      links.close();
    });
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "etc/hosts"), "127.0.0.1 localhost web\n");
  });

  afterAll(async () => {
    for (const { id } of runtime.listSandboxes()) await runtime.removeSandbox(id);
    await runtime.close();
    await machine.cgroups.remove(cgroup);
    machine.tearDown();
    deleteNetns(network);
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(
    name: string,
    image: string,
    overrides: Partial<ContainerConfig> = {},
  ): Promise<[SandboxId, ContainerId]> {
    const { id } = await images.pull(image);
    const sandbox = await runtime.createSandbox({
      pod: { name, namespace: "default", uid: name },
      attempt: 0,
      hostname: name,
      cgroupParent: `${cgroup}/${name}`,
      networkNamespacePath: netnsPath(network),
    });
    const container = await runtime.createContainer(sandbox, {
      name: "main",
      attempt: 0,
      imageId: id,
      imageName: image,
      logPath: join(folder, `log-${name}`),
      mounts: [{ hostPath: join(folder, "etc/hosts"), containerPath: "/etc/hosts" }],
      ...overrides,
    });
    await runtime.startContainer(container);
    return [sandbox, container];
  }

  async function get(sandbox: SandboxId, port: number, path = "/"): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      try {
        const socket = await runtime.connectToPort(sandbox, port);
        socket.write(`GET ${path} HTTP/1.0\r\n\r\n`);
        const answer = await text(socket);
        return answer.slice(answer.indexOf("\r\n\r\n") + 4);
      } catch (error) {
        if (attempt > 500) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  test.runIf(findProgram("nginx"))(
    "echo answers with its host name on 8080, or where PORT says, even on a read-only root",
    async () => {
      const [plain] = await start("echo-0", "pinnace.local/echo:1");
      const [other, container] = await start("echo-1", "pinnace.local/echo:1", {
        env: [{ name: "PORT", value: "9090" }],
        security: { readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
      });
      expect(await get(plain, 8080)).toBe("Hello, echo-0\n");
      expect(await get(plain, 8080, "/hostname")).toBe("echo-0\n");
      expect(await get(other, 9090)).toBe("Hello, echo-1\n");
      const before = Date.now();
      await runtime.stopContainer(container, { gracePeriodSeconds: 30 });
      expect(Date.now() - before).toBeLessThan(2000);
    },
  );

  test.runIf(findProgram("nginx"))(
    "the stand-in for nginx serves its page, logs to the container's log, and has bash and curl",
    async () => {
      const [sandbox, container] = await start("web", "pinnace.local/nginx:1");
      expect(await get(sandbox, 80)).toContain("<title>Welcome to nginx!</title>");
      const run = (command: string[]) => runtime.execSync(container, command, { timeoutMs: 10_000 });
      const inside = await run(["/bin/bash", "-c", "curl -sv http://web/ && nginx -v"]);
      expect(inside.stdout.toString()).toContain("Welcome to nginx!");
      expect(inside.stderr.toString()).toMatch(/< HTTP\/1.1 200 OK[\s\S]*nginx version/);
      expect(readFileSync(join(folder, "log-web"), "utf8")).toMatch(/stdout F .*"GET \/ HTTP\/1.1" 200/);
      await run(["sh", "-c", "echo changed > /usr/share/nginx/html/index.html"]);
      expect(await get(sandbox, 80)).toBe("changed\n");
      await runtime.stopContainer(container, { gracePeriodSeconds: 10 });
      expect(runtime.containerStatus(container)?.state).toMatchObject({ kind: "exited", exitCode: 0 });
    },
  );

  test("the stand-in for busybox has its shell, wget, nslookup and curl", async () => {
    const [, container] = await start("tmp", "pinnace.local/busybox:1", { command: ["sleep", "1000"] });
    const found = await runtime.execSync(
      container,
      ["sh", "-c", "for name in sh wget nslookup curl vi; do command -v $name; done"],
      {
        timeoutMs: 10_000,
      },
    );
    expect(found.stdout.toString().trim().split("\n")).toEqual(["sh", "wget", "nslookup", "/usr/bin/curl", "vi"]);
    const name = await runtime.execSync(container, ["sh", "-c", "wget -O- -q http://web:1/ 2>&1"], {
      timeoutMs: 10_000,
    });
    expect(name.stdout.toString()).toContain("Connection refused");
  });

  test("without nginx the demo runs on Node", async () => {
    const withNode = store("images-node", "node");
    await withNode.open();
    const image = await withNode.pull("pinnace.local/echo:1");
    const { layers } = await withNode.rootfs(image.id);
    expect(readFileSync(join(layers[0]!, "usr/bin/echo-server"), "utf8")).toMatch(/^#!\/usr\/bin\/env node/);
    const runtimeOnNode = new OciRuntime({
      folder: join(folder, "node-2"),
      machine,
      images: withNode,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
    });
    await runtimeOnNode.open();
    const sandbox = await runtimeOnNode.createSandbox({
      pod: { name: "slow", namespace: "default", uid: "slow" },
      attempt: 0,
      hostname: "slow",
      cgroupParent: `${cgroup}/slow`,
      networkNamespacePath: netnsPath(network),
    });
    const env = [{ name: "PORT", value: "7070" }];
    const container = await runtimeOnNode.createContainer(sandbox, {
      name: "main",
      attempt: 0,
      imageId: image.id,
      imageName: "echo",
      env,
    });
    await runtimeOnNode.startContainer(container);
    let answer = "";
    for (let attempt = 0; attempt < 500 && answer === ""; attempt++) {
      const socket = await runtimeOnNode.connectToPort(sandbox, 7070).catch(() => undefined);
      socket?.write("GET / HTTP/1.0\r\n\r\n");
      if (socket) answer = await text(socket);
      else await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(answer).toContain("Hello, slow\n");
    await runtimeOnNode.removeSandbox(sandbox);
    await runtimeOnNode.close();
  });

  test("assembling again gives the same image; layers are stored once", async () => {
    const echo = await images.pull("pinnace.local/echo:1");
    const hostname = await images.pull("pinnace.local/hostname:1");
    const layersOf = async (id: string) => (await images.rootfs(id)).layers;
    expect((await layersOf(hostname.id)).slice(1)).toEqual((await layersOf(echo.id)).slice(1));
    const again = store("images-again");
    await again.open();
    expect((await again.pull("pinnace.local/echo:1")).id).toBe(echo.id);
  });

  test("what is not in the catalogue is not found", async () => {
    await expect(images.pull("pinnace.local/unknown:1")).rejects.toThrow(
      /^failed to pull and unpack image "pinnace.local\/unknown:1": pinnace.local\/unknown:1: not found: there are pinnace.local\/echo:1, /,
    );
  });
});
