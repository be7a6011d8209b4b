/** A real registry on loopback (Debian's docker-registry), and small images that skopeo pushes to it. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { findProgram } from "../base/node/find-program.ts";
import { programClosure } from "../kubelet/images/closure.ts";

export interface TestRegistry {
  /** `127.0.0.1:5000` */
  address: string;
  folder: string;
  stop(): void;
}

export const canRunRegistry = ["docker-registry", "skopeo", "tar", "ldd", "busybox"].every((name) => findProgram(name));

export const registryUser = { username: "student", password: "secret" };

/** Resolves when it answers. */
export async function startRegistry(
  folder: string,
  port: number,
  options: { withPassword?: boolean } = {},
): Promise<TestRegistry> {
  mkdirSync(join(folder, "data"), { recursive: true });
  // As `htpasswd -Bbn student secret` writes it.
  writeFileSync(join(folder, "htpasswd"), "student:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n");
  const auth = `auth:\n  htpasswd:\n    realm: test\n    path: ${join(folder, "htpasswd")}\n`;
  const address = `127.0.0.1:${port}`;
  writeFileSync(
    join(folder, "config.yml"),
    `version: 0.1\nlog: { level: error }\nstorage:\n  filesystem:\n    rootdirectory: ${join(folder, "data")}\nhttp:\n  addr: ${address}\n${options.withPassword ? auth : ""}`,
  );
  const child: ChildProcess = spawn("docker-registry", ["serve", join(folder, "config.yml")], { stdio: "ignore" });
  for (let attempt = 0; !(await answers(`http://${address}/v2/`)); attempt++) {
    if (attempt > 200) throw new Error(`the registry at ${address} does not answer`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return { address, folder, stop: () => void child.kill() };
}

async function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}

/** Different ones: all are taken before any is given back. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

/** An OCI layout with one image: this machine's busybox, a file /greeting, and a command, by default one that prints it and waits. */
export async function writeImage(
  folder: string,
  greeting: string,
  command = "read line </greeting; echo $line; exec sleep 1000000",
): Promise<void> {
  const root = join(folder, "root");
  const blobs = join(folder, "blobs", "sha256");
  for (const each of [root, blobs, join(root, "bin"), join(root, "tmp")]) mkdirSync(each, { recursive: true });
  const busybox = realpathSync(findProgram("busybox")!);
  for (const [path, from] of await programClosure(busybox, "/bin/sh", findProgram("ldd")!)) {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), readFileSync(from), { mode: 0o755 });
  }
  writeFileSync(join(root, "greeting"), greeting);
  const tar = execFileSync("tar", ["-C", root, "-c", "."], { maxBuffer: 64 << 20 });
  const put = (bytes: Buffer, mediaType: string) => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(blobs, digest), bytes);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest: `sha256:${digest}`, size: bytes.length };
  };
  const layer = put(gzipSync(tar, { level: 1 }), "layer.v1.tar+gzip");
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const config = put(
    json({
      os: "linux",
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      config: {
        Entrypoint: ["/bin/sh", "-c", command],
        Env: ["PATH=/bin"],
      },
      rootfs: { type: "layers", diff_ids: [diffId] },
    }),
    "config.v1+json",
  );
  const manifest = put(
    json({ schemaVersion: 2, mediaType: manifestType, config, layers: [layer] }),
    "manifest.v1+json",
  );
  writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const annotations = { "org.opencontainers.image.ref.name": "1" };
  writeFileSync(join(folder, "index.json"), json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }));
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";

/** Answers with the manifest's digest. */
export function push(layout: string, name: string, credentials?: { username: string; password: string }): string {
  const login = credentials ? ["--dest-creds", `${credentials.username}:${credentials.password}`] : [];
  skopeo("copy", "--dest-tls-verify=false", ...login, `oci:${layout}:1`, `docker://${name}`);
  return (JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: { digest: string }[] })
    .manifests[0]!.digest;
}

/** An archive as `docker save` and others write it. */
export function archive(layout: string, file: string, kind: "docker-archive" | "oci-archive", name: string): void {
  skopeo("copy", `oci:${layout}:1`, `${kind}:${file}:${name}`);
}

function skopeo(...args: string[]): void {
  execFileSync("skopeo", ["--insecure-policy", ...args], { stdio: ["ignore", "ignore", "pipe"] });
}

/** Turns a byte of the image's layer round where the registry keeps it. */
export function corruptLayer(registry: TestRegistry, layout: string): void {
  const read = (digest: string) => readFileSync(join(layout, "blobs", "sha256", digest.slice(7)), "utf8");
  const index = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")) as { manifests: { digest: string }[] };
  const { layers } = JSON.parse(read(index.manifests[0]!.digest)) as { layers: { digest: string }[] };
  const hex = layers[0]!.digest.slice(7);
  const file = join(registry.folder, "data/docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 0xff;
  writeFileSync(file, bytes);
}
