/** Images end to end: from a real registry to a running container, and every way in which that fails. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import {
  archive,
  canRunRegistry,
  corruptLayer,
  freePorts,
  push,
  registryUser,
  startRegistry,
  type TestRegistry,
  writeImage,
} from "../src/testing/registry.ts";

const [openPort = 0, closedPort = 0, knownPort = 0, deadPort = 0] = await freePorts(4);
// Nothing listens there.
const dead = `127.0.0.1:${deadPort}`;
const config = `
nodes:
- name: control-plane
- name: worker
images:
  mirrors:
    docker.io: ["http://127.0.0.1:${openPort}"]
  registries:
    127.0.0.1:${knownPort}: { username: ${registryUser.username}, password: ${registryUser.password} }
`;

const pod = (name: string, image: string) =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name} }\nspec: { containers: [{ name: main, image: ${image} }] }\n`;

describe.skipIf(!canRunRegistry)("with a registry", () => {
  describeCluster("images", { config }, (cluster) => {
    const folder = mkdtempSync(join(tmpdir(), "pinnace-registry-"));
    const registries: TestRegistry[] = [];
    const [open, closed, known] = [openPort, closedPort, knownPort].map((port) => `127.0.0.1:${port}`);
    const layout = join(folder, "layout");
    const bad = join(folder, "bad");
    let digest: string;

    beforeAll(async () => {
      const [first] = await Promise.all([
        startRegistry(join(folder, "open"), openPort),
        startRegistry(join(folder, "closed"), closedPort, { withPassword: true }),
        startRegistry(join(folder, "known"), knownPort, { withPassword: true }),
      ]).then((all) => {
        registries.push(...all);
        return all;
      });
      await writeImage(layout, "hello from the registry\n");
      await writeImage(bad, "never seen\n");
      digest = push(layout, `${open}/lab/web:1`);
      push(layout, `${open}/library/mirrored:7`);
      push(layout, `${closed}/lab/web:1`, registryUser);
      push(layout, `${known}/lab/web:1`, registryUser);
      push(bad, `${open}/lab/bad:1`);
      corruptLayer(first, bad);
      // What cannot come waits while the tests see to the others.
      await cluster.apply(
        [
          pod("refused", `${closed}/lab/web:1`),
          pod("corrupt", `${open}/lab/bad:1`),
          pod("unreachable", `${dead}/lab/web:1`),
          // kubectl's own `run` would refuse the name.
          pod("misspelt", "UPPER//case"),
        ].join("---\n"),
      );
    });
    afterAll(() => {
      for (const registry of registries) registry.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const greeted = async (pod: string) => {
      await cluster.kubectl`wait --for=condition=Ready pod/${pod} --timeout=30s`;
      await eventually(
        () => cluster.kubectl`logs ${pod}`,
        (text) => expect(text).toBe("hello from the registry\n"),
      );
    };
    const waitingReason = (pod: string) =>
      cluster.kubectl`get pod ${pod} -o ${"jsonpath={.status.containerStatuses[0].state.waiting.reason}"}`;
    const events = (pod: string) =>
      cluster.kubectl`get events --field-selector ${`involvedObject.name=${pod}`} -o ${"jsonpath={range .items[*]}{.reason}: {.message}{'\\n'}{end}"}`;

    test("come by tag", async () => {
      await cluster.kubectl`run by-tag --image=${open}/lab/web:1`;
      await greeted("by-tag");
      expect(await events("by-tag")).toMatch(/Pulled: Successfully pulled image ".*\/lab\/web:1" in /);
      const id = "jsonpath={.status.containerStatuses[0].imageID}";
      expect(await cluster.kubectl`get pod by-tag -o ${id}`).toBe(`${open}/lab/web@${digest}`);
    });

    test("come by digest", async () => {
      await cluster.kubectl`run by-digest --image=${open}/lab/web@${digest}`;
      await greeted("by-digest");
    });

    test("come through the mirror that the configuration names", async () => {
      await cluster.kubectl`run mirrored --image=mirrored:7`;
      await greeted("mirrored");
      const image = "jsonpath={.status.containerStatuses[0].image}";
      expect(await cluster.kubectl`get pod mirrored -o ${image}`).toContain("mirrored:7");
    });

    test("come with the pod's imagePullSecrets, and not without", async () => {
      await eventually(
        () => waitingReason("refused"),
        (reason) => expect(["ErrImagePull", "ImagePullBackOff"]).toContain(reason),
      );
      expect(await events("refused")).toMatch(/authorization failed|no basic auth credentials|401 Unauthorized/);
      await cluster.kubectl`create secret docker-registry login --docker-server=${closed} --docker-username=${registryUser.username} --docker-password=${registryUser.password}`;
      const overrides = JSON.stringify({ apiVersion: "v1", spec: { imagePullSecrets: [{ name: "login" }] } });
      await cluster.kubectl`run admitted --image=${closed}/lab/web:1 --overrides=${overrides}`;
      await greeted("admitted");
    });

    test("come with the credentials of the configuration", async () => {
      await cluster.kubectl`run configured --image=${known}/lab/web:1`;
      await greeted("configured");
    });

    test("are refused when a layer is not what its digest says", async () => {
      await eventually(
        () => waitingReason("corrupt"),
        (reason) => expect(["ErrImagePull", "ImagePullBackOff"]).toContain(reason),
      );
      expect(await events("corrupt")).toMatch(/Failed to pull image ".*\/lab\/bad:1": .*digest/);
    });

    test("that cannot be had say why, and are tried again with back-off", async () => {
      await eventually(
        () => waitingReason("unreachable"),
        (reason) => expect(reason).toBe("ImagePullBackOff"),
      );
      expect(await events("unreachable")).toMatch(/Failed: Failed to pull image .*connection refused/);
      expect(await events("unreachable")).toContain("BackOff: Back-off pulling image");
      await eventually(
        () => waitingReason("misspelt"),
        (reason) => expect(reason).toBe("InvalidImageName"),
      );
      expect(await events("misspelt")).toContain("InspectFailed");
    });

    test("that the command brings are there for running servers at once", async () => {
      for (const [kind, name] of [
        ["docker-archive", "example.test/docker:1"],
        ["oci-archive", "example.test/oci:1"],
      ] as const) {
        const file = join(folder, `${kind}.tar`);
        await writeImage(join(folder, kind), `hello from the registry\n${kind}\n`);
        archive(join(folder, kind), file, kind, name);
        expect(await cluster.pinnace("image", "load", file)).toBe(`Loaded ${name}\n`);
        await cluster.kubectl`run loaded-${kind} --image=${name} --image-pull-policy=Never`;
        await greeted(`loaded-${kind}`);
      }
      expect(await cluster.pinnace("image", "ls")).toMatch(/^example\.test\/docker:1 +[0-9a-f]{12} +\d+\.\d MB$/m);
      expect(await cluster.pinnace("image", "pull", "mirrored:7")).toContain("docker.io/library/mirrored:7 sha256:");
      await expect(cluster.pinnace("image", "pull", `${dead}/lab/web:1`)).rejects.toThrow(/connection refused/);
    });

    test("that the command removes stay under their containers, and are gone for new ones", async () => {
      await cluster.pinnace("image", "rm", "example.test/oci:1");
      expect(await cluster.kubectl`exec loaded-oci-archive -- /bin/sh -c ${"read line </greeting; echo $line"}`).toBe(
        "hello from the registry\n",
      );
      await cluster.kubectl`run too-late --image=example.test/oci:1 --image-pull-policy=Never`;
      await eventually(
        () => waitingReason("too-late"),
        (reason) => expect(reason).toBe("ErrImageNeverPull"),
      );
      await expect(cluster.pinnace("image", "rm", "example.test/oci:1")).rejects.toThrow(
        "there is no image example.test/oci:1 on this machine",
      );
      writeFileSync(join(folder, "no.tar"), "no archive");
      await expect(cluster.pinnace("image", "load", join(folder, "no.tar"))).rejects.toThrow(/no\.tar/);
    });
  });
});
