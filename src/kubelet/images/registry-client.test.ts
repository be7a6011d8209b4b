import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Clock } from "../../base/clock.ts";
import { silentLogger } from "../../base/logger.ts";
import { findProgram } from "../../base/node/find-program.ts";
import { systemClock } from "../../base/node/system-clock.ts";
import { systemRandom } from "../../base/node/system-random.ts";
import { digestOf } from "./content-store.ts";
import { isAccessible } from "./image-access.ts";
import type { PullProgress } from "./image-service.ts";
import { ImageStore } from "./image-store.ts";
import { LocalImages } from "./local-image.ts";
import { RegistryClient, type RegistryClientOptions } from "./registry-client.ts";

const isPossible = process.getuid?.() === 0 && ["docker-registry", "skopeo"].every(findProgram);

describe.runIf(isPossible)("pulling from a real registry", () => {
  const folder = isPossible ? mkdtempSync("/var/tmp/pnt-registry-") : "";
  let open: { address: string; stop(): void };
  let closed: { address: string; stop(): void };
  let counter = 0;
  const clients: RegistryClient[] = [];
  /** Nothing listens there. */
  let dead: string;
  let indexDigest: string;
  let manifestDigest: string;

  beforeAll(async () => {
    dead = `127.0.0.1:${await freePort()}`;
    open = await startRegistry(join(folder, "open"), "");
    // As `htpasswd -Bbn student secret` writes it.
    writeFileSync(join(folder, "htpasswd"), "student:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
    closed = await startRegistry(
      join(folder, "closed"),
      `auth:\n  htpasswd:\n    realm: test\n    path: ${join(folder, "htpasswd")}\n`,
    );
    const layout = join(folder, "layout");
    await writeLayout(layout, "gzip");
    await writeLayout(join(folder, "layout-zstd"), "zstd");
    copy(`oci:${layout}:1`, `${open.address}/lab/web:1`, ["--multi-arch", "all"]);
    copy(`oci:${join(folder, "layout-zstd")}:1`, `${open.address}/lab/web:zstd`, [
      "--multi-arch",
      "all",
      "--preserve-digests",
    ]);
    copy(`oci:${layout}:1`, `${open.address}/library/nginx:1.27`, ["--multi-arch", "all"]);
    copy(`oci:${layout}:1`, `${open.address}/lab/docker:2`, ["--format", "v2s2"]);
    indexDigest = inspectDigest(`${open.address}/lab/web:1`);
    const index = JSON.parse(raw(`${open.address}/lab/web:1`)) as {
      manifests: { digest: string; platform: { architecture: string } }[];
    };
    manifestDigest = index.manifests.find(({ platform }) => platform.architecture === architecture)!.digest;
  }, 60_000);

  afterAll(async () => {
    for (const client of clients) await client.close();
    open?.stop();
    closed?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function store(
    registries: RegistryClientOptions["registries"] = {},
    options: Partial<RegistryClientOptions> = {},
  ) {
    const client = new RegistryClient({ clock: systemClock, logger: silentLogger, registries, ...options });
    clients.push(client);
    const images = new ImageStore({
      folder: join(folder, `store-${++counter}`),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      findProgram,
      registry: client,
      local: new LocalImages({ findProgram, logger: silentLogger }),
    });
    await images.open();
    return images;
  }

  const fileOf = async (images: ImageStore, id: string, path: string) => {
    const { layers } = await images.rootfs(id);
    for (const layer of layers) {
      try {
        return readFileSync(join(layer, path), "utf8");
      } catch {
        // A lower layer has it.
      }
    }
    return undefined;
  };

  test("by tag: an index leads to this machine's image, with its config and layers", async () => {
    const images = await store();
    const progress: PullProgress[] = [];
    const image = await images.pull(`${open.address}/lab/web:1`, { onProgress: (each) => progress.push(each) });
    expect(image).toMatchObject({
      names: [`${open.address}/lab/web:1`],
      digests: [`${open.address}/lab/web@${indexDigest}`],
      uid: 1000,
      pinned: false,
    });
    expect(await fileOf(images, image.id, "etc/greeting")).toBe("upper");
    expect(await fileOf(images, image.id, "etc/platform")).toBe(architecture);
    const rootfs = await images.rootfs(image.id);
    expect(rootfs.config).toMatchObject({
      cmd: ["/bin/web"],
      user: "1000:2000",
      env: ["COLOUR=green"],
      stopSignal: "SIGQUIT",
    });
    expect(rootfs.layers.length).toBe(2);
    expect(progress.at(-1)!.downloadedBytes).toBe(progress.at(-1)!.totalBytes);
    // Unpacked, the compressed layers are not kept.
    expect(readdirSync(join(folder, `store-${counter}`, "blobs", "sha256"))).toEqual([image.id.slice(7)]);
    expect(images.status(`${open.address}/lab/web:1`)?.id).toBe(image.id);
    expect(images.status(image.id)?.id).toBe(image.id);
  });

  test("by digest, of the index and of the manifest", async () => {
    const images = await store();
    const byIndex = await images.pull(`${open.address}/lab/web@${indexDigest}`);
    const byManifest = await images.pull(`${open.address}/lab/web:ignored@${manifestDigest}`);
    expect(byManifest.id).toBe(byIndex.id);
    expect(byManifest.digests.sort()).toEqual(
      [indexDigest, manifestDigest].map((digest) => `${open.address}/lab/web@${digest}`).sort(),
    );
    await expect(images.pull(`${open.address}/lab/web@sha256:${"0".repeat(64)}`)).rejects.toThrow(/not found$/);
  });

  test("zstd layers and docker's own manifests", async () => {
    const images = await store();
    for (const name of ["lab/web:zstd", "lab/docker:2"]) {
      const image = await images.pull(`${open.address}/${name}`);
      expect(await fileOf(images, image.id, "etc/greeting")).toBe("upper");
    }
  });

  test("through a mirror, falling back to the registry itself", async () => {
    const images = await store({ "docker.io": { mirrors: [`http://${open.address}`] } });
    const image = await images.pull("nginx:1.27");
    expect(image.names).toEqual(["docker.io/library/nginx:1.27"]);
    expect(await fileOf(images, image.id, "etc/greeting")).toBe("upper");
    const deadMirror = await store({ [open.address]: { mirrors: [`http://${dead}`] } });
    expect((await deadMirror.pull(`${open.address}/lab/web:1`)).names).toEqual([`${open.address}/lab/web:1`]);
  });

  test("with a password, from the pod's secrets or from the configuration; without it in the words that users know", async () => {
    const credentials = { username: "student", password: "secret" };
    copy(`oci:${join(folder, "layout")}:1`, `${closed.address}/lab/web:1`, [
      "--multi-arch",
      "all",
      "--dest-creds",
      "student:secret",
    ]);
    const name = `${closed.address}/lab/web:1`;
    expect(
      (await (await store()).pull(name, { credentials: [{ username: "student", password: "wrong" }, credentials] }))
        .names,
    ).toEqual([name]);
    expect((await (await store({ [closed.address]: { credentials } })).pull(name)).names).toEqual([name]);
    await expect((await store()).pull(name)).rejects.toMatchObject({
      reason: "Unauthorized",
      message: `failed to pull and unpack image "${name}": failed to resolve reference "${name}": no basic auth credentials`,
    });
    await expect(
      (await store()).pull(name, { credentials: [{ username: "student", password: "wrong" }] }),
    ).rejects.toMatchObject({ reason: "Unauthorized" });
  });

  test("what came by a password is told to be for those who have it; in the midst of its pull, nobody else gets it", async () => {
    const name = `${closed.address}/lab/web:1`;
    const images = await store();
    const credentials = [{ username: "student", password: "secret" }];
    const [ours, theirs] = await Promise.allSettled([images.pull(name, { credentials }), images.pull(name)]);
    expect(ours.status).toBe("fulfilled");
    expect(theirs.status).toBe("rejected");
    expect(isAccessible(images.status(name)?.access, name, [])).toBe(false);
    expect(isAccessible(images.status(name)?.access, name, credentials)).toBe(true);
    const free = `${open.address}/lab/web:1`;
    await images.pull(free);
    expect(isAccessible(images.status(free)?.access, free, [])).toBe(true);
    expect(isAccessible(images.status(name)?.access, name, [])).toBe(false);
  });

  test("pulls of one image at one time share the work", async () => {
    const images = await store();
    const name = `${open.address}/lab/web:1`;
    const all = await Promise.all([
      images.pull(name),
      images.pull(name),
      images.pull(`${open.address}/library/nginx:1.27`),
    ]);
    expect(new Set(all.map((image) => image.id)).size).toBe(1);
    expect(readdirSync(join(folder, `store-${counter}`, "ingest"))).toEqual([]);
  });

  test("a second image downloads only the layers that are not here", async () => {
    const images = await store();
    await images.pull(`${open.address}/lab/web:1`);
    const before = readdirSync(join(folder, `store-${counter}`, "layers")).sort();
    await images.pull(`${open.address}/lab/web:zstd`);
    expect(readdirSync(join(folder, `store-${counter}`, "layers")).sort()).toEqual(before);
  });

  test("images survive a restart; removing the last name removes the content, but not under a running container", async () => {
    const images = await store();
    const name = `${open.address}/lab/web:1`;
    const image = await images.pull(name);
    const again = new ImageStore({
      folder: join(folder, `store-${counter}`),
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      findProgram,
    });
    await again.open();
    expect(again.list().map((each) => each.names)).toEqual([[name]]);
    again.hold(image.id, "container");
    await again.remove(name);
    expect(again.status(name)).toBeUndefined();
    expect(await fileOf(again, image.id, "etc/greeting")).toBe("upper");
    again.release(image.id, "container");
    await expect.poll(() => readdirSync(join(folder, `store-${counter}`, "layers"))).toEqual([]);
    expect(again.list()).toEqual([]);
  });

  test("what is not there is not found, in the words that users know", async () => {
    const images = await store();
    const name = `${open.address}/lab/web:nope`;
    await expect(images.pull(name)).rejects.toMatchObject({
      reason: "NotFound",
      message: `failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
    });
  });

  test("a registry that cannot be reached is named, with the reason; a substitute stands in openly", async () => {
    const images = await store({ "docker.io": { mirrors: [] } });
    await expect(images.pull(`${dead}/lab/web:1`)).rejects.toMatchObject({
      reason: "RegistryUnavailable",
      message: expect.stringContaining(
        `failed to do request: Get "http://${dead}/v2/lab/web/manifests/1": dial tcp ${dead}: connect: connection refused`,
      ),
    });
    await expect(images.pull("registry.invalid/x:1")).rejects.toThrow(/dial tcp: lookup registry.invalid: /);
    const offline = await store({ "docker.io": { mirrors: [`http://${dead}`] } }, { connectTimeoutMs: 500 });
    const client = clients.at(-1)!;
    const original = client.fetch.bind(client);
    // Docker Hub itself stays out of this test.
    client.fetch = (reference, target, options) => original({ ...reference, domain: dead }, target, options);
    expect(offline.resolve("busybox")).toEqual({
      requested: "docker.io/library/busybox:latest",
      image: "docker.io/library/busybox:latest",
    });
    const image = await offline.pull("busybox");
    expect(image.names).toEqual(["pinnace.local/busybox:1"]);
    expect(offline.resolve("busybox")).toMatchObject({
      image: "pinnace.local/busybox:1",
      substitutedBy: { image: "pinnace.local/busybox:1", reason: expect.stringContaining("connection refused") },
    });
    expect(offline.status("busybox")?.id).toBe(image.id);
  });

  test("docker and OCI archives are taken in", async () => {
    const images = await store();
    for (const kind of ["docker-archive", "oci-archive"]) {
      const file = join(folder, `${kind}.tar`);
      copy(`oci:${join(folder, "layout")}:1`, `${kind}:${file}:lab/saved:${kind}`, []);
      if (kind === "docker-archive") {
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file)));
        expect((await images.load(`${file}.gz`)).map((image) => image.names)).toEqual([
          ["docker.io/lab/saved:docker-archive"],
        ]);
      } else {
        const [image] = await images.load(file);
        expect(await fileOf(images, image!.id, "etc/greeting")).toBe("upper");
        expect(image!.names).toContain("docker.io/lab/saved:oci-archive");
      }
    }
    writeFileSync(join(folder, "no-image.tar"), await tarOf([["x", "y"]]));
    await expect(images.load(join(folder, "no-image.tar"))).rejects.toThrow(/is no image archive/);
  });

  describe("a registry that lies", () => {
    /** Passes on what the real registry says, with changes. */
    async function liar(
      change: (path: string, body: Buffer, attempt: number) => Buffer | "break" | number,
    ): Promise<{ address: string; server: Server }> {
      const attempts = new Map<string, number>();
      const server = createServer((request, response) => {
        void (async () => {
          const upstream = await fetch(`http://${open.address}${request.url}`, {
            headers: { accept: request.headers.accept ?? "*/*" },
          });
          const body = Buffer.from(await upstream.arrayBuffer());
          const attempt = (attempts.get(request.url!) ?? 0) + 1;
          attempts.set(request.url!, attempt);
          const changed = upstream.ok ? change(request.url!, body, attempt) : body;
          if (typeof changed === "number") return void response.writeHead(changed).end();
          if (changed === "break") {
            response.writeHead(200, { "content-length": body.length });
            response.write(body.subarray(0, body.length >> 1), () => response.destroy());
            return;
          }
          const range = /bytes=(\d+)-/.exec(request.headers.range ?? "");
          response.writeHead(range ? 206 : upstream.status, {
            "content-type": upstream.headers.get("content-type") ?? "",
          });
          response.end(range ? changed.subarray(Number(range[1])) : changed);
        })();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
    }

    const flipped = (bytes: Buffer) => {
      const copied = Buffer.from(bytes);
      copied[copied.length - 1]! ^= 1;
      return copied;
    };

    test.each([
      [
        "a corrupted layer",
        "blobs",
        (body: Buffer) => flipped(body),
        /unexpected commit digest sha256:\w+, expected sha256:\w+/,
      ],
      [
        "a layer with more behind it",
        "blobs",
        (body: Buffer) => Buffer.concat([body, Buffer.from("more")]),
        /larger than|unexpected commit digest/,
      ],
      [
        "a changed manifest",
        "manifests/sha256",
        (body: Buffer) => Buffer.concat([body, Buffer.from(" ")]),
        /manifest has digest sha256:\w+, but the index says/,
      ],
      ["no JSON", "manifests", () => Buffer.from("<html>"), /manifest is not JSON/],
    ] as const)("%s is refused", async (_, part, change, complaint) => {
      const { address, server } = await liar((path, body) => (path.includes(part) ? change(body) : body));
      try {
        const images = await store();
        const pulling = images.pull(`${address}/lab/web:1`);
        await expect(pulling).rejects.toMatchObject({ reason: "Corrupt", message: expect.stringMatching(complaint) });
        expect(images.list()).toEqual([]);
        const left = ["ingest", "unpacking", "blobs/sha256"].flatMap((name) =>
          readdirSync(join(folder, `store-${counter}`, name)),
        );
        expect(left).toEqual([]);
        // A registry that has come to its senses is believed again.
        expect((await images.pull(`${open.address}/lab/web:1`)).names).toHaveLength(1);
      } finally {
        server.close();
      }
    });

    test.each([
      ["before it answers", 0, "net/http: timeout awaiting response headers"],
      [
        "in the middle of a layer",
        100,
        "context deadline exceeded (Client.Timeout or context cancellation while reading body)",
      ],
    ])(
      "one that falls silent %s is given up, and nothing is kept",
      async (_, bytes, complaint) => {
        const server = createServer((request, response) => {
          if (bytes === 0) return;
          void (async () => {
            const upstream = await fetch(`http://${open.address}${request.url}`, {
              headers: { accept: request.headers.accept ?? "*/*" },
            });
            const body = Buffer.from(await upstream.arrayBuffer());
            response.writeHead(upstream.status, {
              "content-type": upstream.headers.get("content-type") ?? "",
              "content-length": body.length,
            });
            if (request.url!.includes("blobs") && body.length > 500) response.write(body.subarray(0, bytes));
            else response.end(body);
          })();
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        const { port } = server.address() as AddressInfo;
        try {
          // Its waits between two attempts are short.
          const hurried: Clock = {
            ...systemClock,
            now: () => systemClock.now(),
            setTimer: (ms, run, options) => systemClock.setTimer(ms / 100, run, options),
          };
          const images = await store({}, { silenceTimeoutMs: 300, clock: hurried });
          await expect(images.pull(`127.0.0.1:${port}/lab/web:1`)).rejects.toMatchObject({
            reason: "RegistryUnavailable",
            message: expect.stringContaining(complaint),
          });
          const left = ["ingest", "unpacking", "blobs/sha256"].flatMap((name) =>
            readdirSync(join(folder, `store-${counter}`, name)),
          );
          expect(left).toEqual([]);
        } finally {
          server.closeAllConnections();
          server.close();
        }
      },
      30_000,
    );

    test("a transfer that breaks goes on where it stopped; a busy server is asked again", async () => {
      const seen: string[] = [];
      const { address, server } = await liar((path, body, attempt) => {
        seen.push(path);
        if (attempt > 1) return body;
        return path.includes("manifests/1") ? 503 : path.includes("blobs") && body.length > 500 ? "break" : body;
      });
      try {
        const images = await store();
        const image = await images.pull(`${address}/lab/web:1`);
        expect(await fileOf(images, image.id, "etc/greeting")).toBe("upper");
        expect(seen.length).toBeGreaterThan(new Set(seen).size);
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  });
});

const architecture = process.arch === "arm64" ? "arm64" : "amd64";

function copy(from: string, to: string, options: string[]): void {
  const destination = /^[\w-]+:/.test(to) && !/^[\d.]+:/.test(to) ? to : `docker://${to}`;
  const result = spawnSync(
    "skopeo",
    ["--insecure-policy", "copy", "--dest-tls-verify=false", "--src-tls-verify=false", ...options, from, destination],
    {
      encoding: "utf8",
    },
  );
  if (result.status !== 0) throw new Error(`skopeo copy ${from} ${to}: ${result.stderr}`);
}

function raw(name: string): string {
  return execFileSync("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${name}`], { encoding: "utf8" });
}

function inspectDigest(name: string): string {
  return `sha256:${createHash("sha256").update(raw(name)).digest("hex")}`;
}

async function tarOf(files: [name: string, content: string][]): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of files) tar.entry({ name, mtime: new Date(0) }, content);
  tar.finalize();
  return buffer(tar as unknown as Readable);
}

/** An OCI layout with an image for two architectures. */
async function writeLayout(folder: string, compression: "gzip" | "zstd"): Promise<void> {
  mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  const blob = (bytes: Buffer | object) => {
    const content = Buffer.isBuffer(bytes) ? bytes : Buffer.from(JSON.stringify(bytes));
    const digest = digestOf(content);
    writeFileSync(join(folder, "blobs/sha256", digest.slice(7)), content);
    return { digest, size: content.length };
  };
  const compress = (bytes: Buffer) =>
    compression === "gzip" ? gzipSync(bytes) : execFileSync("zstd", ["-c", "-q"], { input: bytes });
  const noise = Array.from({ length: 3000 }, (_, i) => createHash("sha256").update(String(i)).digest("hex")).join("\n");
  const manifests = [];
  for (const each of [architecture === "amd64" ? "arm64" : "amd64", architecture]) {
    const layers = [
      await tarOf([
        ["etc/greeting", "lower"],
        ["etc/platform", each],
        ["usr/noise", noise],
      ]),
      await tarOf([["etc/greeting", "upper"]]),
    ];
    const config = blob({
      os: "linux",
      architecture: each,
      config: { Cmd: ["/bin/web"], User: "1000:2000", Env: ["COLOUR=green"], StopSignal: "SIGQUIT" },
      rootfs: { type: "layers", diff_ids: layers.map(digestOf) },
      history: [],
    });
    const manifest = blob({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
      layers: layers.map((layer) => ({
        mediaType: `application/vnd.oci.image.layer.v1.tar+${compression}`,
        ...blob(compress(layer)),
      })),
    });
    manifests.push({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      ...manifest,
      platform: { os: "linux", architecture: each },
    });
  }
  const index = blob({ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests });
  writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(folder, "index.json"),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [
        {
          mediaType: "application/vnd.oci.image.index.v1+json",
          ...index,
          annotations: { "org.opencontainers.image.ref.name": "1" },
        },
      ],
    }),
  );
}

async function startRegistry(folder: string, more: string): Promise<{ address: string; stop(): void }> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  writeFileSync(
    join(folder, "config.yml"),
    `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${folder}/data\nhttp:\n  addr: ${address}\n${more}`,
  );
  const child = spawn("docker-registry", ["serve", join(folder, "config.yml")], { stdio: "ignore" });
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      await fetch(`http://${address}/v2/`);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return { address, stop: () => void child.kill("SIGKILL") };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createTcpServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
