// How long a large image takes from a registry on loopback to unpacked layers, against skopeo and tar doing the same work.
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const command = resolve("dist/bin/pinnace.mjs");
const layers = 10;
const layerMiB = 30;
const name = "bench/large:1";

export async function benchImages(results, { runs }) {
  const folder = mkdtempSync(join(tmpdir(), "pinnace-bench-images-"));
  const registry = await startRegistry(folder);
  try {
    execFileSync("skopeo", [
      "copy",
      "--quiet",
      "--dest-tls-verify=false",
      `oci:${makeImage(folder)}`,
      `docker://${registry.address}/${name}`,
    ]);
    for (let run = 0; run < runs; run++) {
      const ours = pinnacePull(folder, registry.address, run);
      const theirs = skopeoAndTar(folder, registry.address, run);
      results.add("image of 300 MB in ten layers: pull and unpack", ours);
      results.add("the same by skopeo and tar", theirs);
      results.add("image speed against skopeo and tar", theirs / ours, { unit: "", target: "≥ 0.8" });
    }
  } finally {
    registry.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function pinnacePull(folder, address, run) {
  const environment = { ...process.env, PINNACE_HOME: join(folder, `home-${run}`) };
  const since = performance.now();
  execFileSync(process.execPath, [command, "image", "pull", `${address}/${name}`], {
    env: environment,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const took = performance.now() - since;
  rmSync(join(folder, `home-${run}`), { recursive: true, force: true });
  return took;
}

function skopeoAndTar(folder, address, run) {
  const to = join(folder, `skopeo-${run}`);
  const since = performance.now();
  execFileSync("skopeo", ["copy", "--quiet", "--src-tls-verify=false", `docker://${address}/${name}`, `dir:${to}`]);
  const manifest = JSON.parse(readFileSync(join(to, "manifest.json"), "utf8"));
  for (const [i, { digest }] of manifest.layers.entries()) {
    mkdirSync(join(to, `layer-${i}`));
    execFileSync("tar", ["-xzf", join(to, digest.replace("sha256:", "")), "-C", join(to, `layer-${i}`)]);
  }
  const took = performance.now() - since;
  rmSync(to, { recursive: true, force: true });
  return took;
}

/** Files of a program's mixture: half of each packs well, half not at all. */
function makeImage(folder) {
  const image = join(folder, "image");
  mkdirSync(join(image, "blobs/sha256"), { recursive: true });
  const blob = (content) => {
    const digest = createHash("sha256").update(content).digest("hex");
    writeFileSync(join(image, "blobs/sha256", digest), content);
    return { digest: `sha256:${digest}`, size: content.length };
  };
  const diffIds = [];
  const parts = Array.from({ length: layers }, (_, i) => {
    const work = join(folder, `work-${i}`);
    mkdirSync(join(work, `opt/${i}`), { recursive: true });
    for (let file = 0; file < layerMiB * 4; file++) {
      const half = 128 * 1024;
      writeFileSync(
        join(work, `opt/${i}/${file}`),
        Buffer.concat([randomBytes(half), Buffer.alloc(half, `text ${file} `)]),
      );
    }
    execFileSync("tar", ["-C", work, "-cf", `${work}.tar`, "."]);
    const tar = readFileSync(`${work}.tar`);
    diffIds.push(`sha256:${createHash("sha256").update(tar).digest("hex")}`);
    execFileSync("gzip", ["-1", `${work}.tar`]);
    const layer = blob(readFileSync(`${work}.tar.gz`));
    rmSync(work, { recursive: true });
    rmSync(`${work}.tar.gz`);
    return { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", ...layer };
  });
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch];
  const config = blob(
    Buffer.from(
      JSON.stringify({ architecture, os: "linux", config: {}, rootfs: { type: "layers", diff_ids: diffIds } }),
    ),
  );
  const manifest = blob(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: { mediaType: "application/vnd.oci.image.config.v1+json", ...config },
        layers: parts,
      }),
    ),
  );
  writeFileSync(join(image, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(
    join(image, "index.json"),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", ...manifest }],
    }),
  );
  return image;
}

async function startRegistry(folder) {
  const port = await new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
  const address = `127.0.0.1:${port}`;
  const file = join(folder, "registry.yml");
  writeFileSync(
    file,
    `version: 0.1\nstorage: {filesystem: {rootdirectory: ${join(folder, "registry")}}}\nhttp: {addr: "${address}"}\n`,
  );
  const child = spawn("docker-registry", ["serve", file], { stdio: "ignore" });
  for (let tries = 0; tries < 100; tries++) {
    if (
      await fetch(`http://${address}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return { address, stop: () => child.kill() };
    await delay(50);
  }
  child.kill();
  throw new Error("docker-registry did not start");
}
