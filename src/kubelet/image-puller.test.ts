import { expect, test } from "vitest";
import type { Secret } from "../api/core/v1.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { credentialsFor, defaultPullPolicy, ensureImage } from "./image-puller.ts";
import { withAccess } from "./images/image-access.ts";
import { ImageError, type ImageService, type StoredImage } from "./images/image-service.ts";

const stored = { id: "sha256:1", names: [], digests: [], sizeBytes: 42, lastUsedAtMs: 0, pinned: false } as StoredImage;

async function ensure(policy: string | undefined, images: Partial<ImageService>, secrets: Secret[] = []) {
  const events: string[] = [];
  const outcome = await ensureImage(
    { name: "main", image: "web:1", ...(policy ? { imagePullPolicy: policy } : {}) },
    async () => secrets,
    {
      clock: systemClock,
      images: {
        resolve: (name: string) => ({ requested: `docker.io/library/${name}`, image: name }),
        status: () => undefined,
        pull: async () => stored,
        ...images,
      } as ImageService,
    },
    (type, reason, message) => events.push(`${type} ${reason}: ${message}`),
    new AbortController().signal,
  );
  return { outcome, events };
}

test("a present image is not pulled, unless the policy says Always", async () => {
  const present = { status: () => stored };
  expect((await ensure("IfNotPresent", present)).events).toEqual([
    'Normal Pulled: Container image "web:1" already present on machine and can be accessed by the pod',
  ]);
  const { events } = await ensure("Always", present);
  expect(events[0]).toBe('Normal Pulling: Pulling image "web:1"');
  expect(events[1]).toMatch(
    /^Normal Pulled: Successfully pulled image "web:1" in [\d.]+m?s \([\d.]+m?s including waiting\)\. Image size: 42 bytes\.$/,
  );
});

const pullSecret = (user: string) =>
  ({
    metadata: { name: user, namespace: "shop", uid: user },
    data: {
      ".dockerconfigjson": Buffer.from(
        JSON.stringify({ auths: { "docker.io": { username: user, password: "p" } } }),
      ).toString("base64"),
    },
  }) as unknown as Secret;

test("an image that came by a Secret is pulled again for a pod that does not have it", async () => {
  const [credentials] = credentialsFor("docker.io/library/web:1", [pullSecret("owner")]);
  const present = { ...stored, access: withAccess(undefined, "docker.io/library/web:1", credentials) };
  const pull = async () => {
    throw new ImageError("Unauthorized", "authorization failed: no basic auth credentials");
  };
  const images = { status: () => present, pull };
  expect((await ensure("IfNotPresent", images, [pullSecret("owner")])).outcome).toMatchObject({ kind: "ready" });
  const { outcome, events } = await ensure("IfNotPresent", images);
  expect(outcome).toMatchObject({ reason: "ErrImagePull", message: "authorization failed: no basic auth credentials" });
  expect(events[0]).toBe('Normal Pulling: Pulling image "web:1"');
  expect((await ensure("IfNotPresent", images, [pullSecret("other")])).outcome).toMatchObject({ kind: "failed" });
  expect((await ensure("Never", images)).events).toEqual([
    'Warning ErrImageNeverPull: Container image "web:1" is not present with pull policy of Never',
    "Warning Failed: Error: ErrImageNeverPull",
  ]);
});

test("a failed pull is told with its cause", async () => {
  const pull = async () => {
    throw new ImageError("NotFound", 'failed to pull and unpack image "docker.io/library/web:1": not found');
  };
  const { outcome, events } = await ensure(undefined, { pull });
  expect(outcome).toMatchObject({
    reason: "ErrImagePull",
    message: 'failed to pull and unpack image "docker.io/library/web:1": not found',
  });
  expect(events.slice(1)).toEqual([
    'Warning Failed: Failed to pull image "web:1": failed to pull and unpack image "docker.io/library/web:1": not found',
    "Warning Failed: Error: ErrImagePull",
  ]);
});

test("a substitute is named openly", async () => {
  const { events } = await ensure("Always", {
    status: () => stored,
    resolve: () => ({
      requested: "docker.io/library/web:1",
      image: "pinnace.local/web:1",
      substitutedBy: { image: "pinnace.local/web:1", description: "a stand-in", reason: "no registry answers" },
    }),
  });
  expect(events[0]).toContain(
    'Warning ImageSubstituted: Image "docker.io/library/web:1" is replaced by "pinnace.local/web:1" (a stand-in): no registry answers',
  );
});

test.each([
  ["web", "Always"],
  ["web:latest", "Always"],
  ["web:1", "IfNotPresent"],
  ["localhost:5000/web", "Always"],
  ["localhost:5000/web:1", "IfNotPresent"],
  ["web@sha256:abc", "IfNotPresent"],
])("the default pull policy of %s is %s", (image, policy) => {
  expect(defaultPullPolicy(image)).toBe(policy);
});

test("credentials are those of the image's registry, the longest path first", () => {
  const auths = {
    "https://index.docker.io/v1/": { auth: Buffer.from("hub:1").toString("base64") },
    "registry.example": { username: "general", password: "2" },
    "registry.example/team": { username: "team", password: "3" },
    "*.example": { username: "wild", password: "4" },
  };
  const secret = {
    metadata: { name: "pull", namespace: "shop", uid: "u" },
    data: { ".dockerconfigjson": Buffer.from(JSON.stringify({ auths })).toString("base64") },
  } as unknown as Secret;
  const names = (image: string) => credentialsFor(image, [secret]).map(({ username }) => username);
  expect(names("docker.io/library/web:1")).toEqual(["hub"]);
  expect(names("registry.example/team/web:1")).toEqual(["team", "general", "wild"]);
  expect(names("registry.example/teams/web:1")).toEqual(["general", "wild"]);
  expect(names("other.test/web:1")).toEqual([]);
});
