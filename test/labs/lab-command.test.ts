/** `pinnace lab` as a learner uses it: by the command, on the lab's own cluster, with mistakes on the way. */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Lock, lockFile } from "../../src/cluster/cluster-lock.ts";
import { eventually, whyNoCluster } from "../../src/testing/cluster-fixture.ts";
import { type MachineState, machineState, newSince } from "../../src/testing/leftovers.ts";
import {
  canRunRegistry,
  freePorts,
  push,
  startRegistry,
  type TestRegistry,
  writeImage,
} from "../../src/testing/registry.ts";

const run = promisify(execFile);
const why = whyNoCluster();

describe.skipIf(why !== undefined)(`pinnace lab${why ? ` (skipped: ${why})` : ""}`, () => {
  const home = mkdtempSync(join(tmpdir(), "pinnace-lab-"));
  const environment = {
    ...process.env,
    PINNACE_HOME: home,
    KUBECONFIG: join(home, "user-kubeconfig"),
    LANG: "ko_KR.UTF-8",
    LC_ALL: "",
    NO_COLOR: "1",
  };
  let before: MachineState;
  let turn: Lock | undefined;
  let registry: TestRegistry | undefined;
  const call = async (program: string, args: readonly string[]) => {
    const { stdout } = await run(program, args, { cwd: home, env: environment }).catch(
      (error: { stdout?: string; stderr?: string }) => ({ stdout: `${error.stdout}${error.stderr}` }),
    );
    return stdout;
  };
  const lab = (...args: string[]) => call(process.execPath, [resolve("dist/bin/pinnace.mjs"), "lab", ...args]);
  const kubectl = (...args: string[]) => call("kubectl", args);

  beforeAll(async () => {
    // Other files have clusters on this LAN, too.
    turn = await lockFile("the LAN 10.10.8.0/24 of a test");
    before = machineState();
    expect(await lab("check")).toContain("시작한 실습이 없습니다");
    const mirror: string[] = [];
    if (canRunRegistry) {
      const [port = 0] = await freePorts(1);
      registry = await startRegistry(join(home, "registry"), port);
      mirror.push("--registry-mirror", `http://${registry.address}`);
    }
    await lab("start", "node-port", "--lang", "en", ...mirror);
  }, 300_000);
  afterAll(async () => {
    await lab("stop");
    await turn?.release();
    registry?.stop();
    rmSync(home, { recursive: true, force: true });
    expect(newSince(before, machineState(), [home, "labs-k8s"])).toEqual({});
  });

  test("list marks the lab that has been started, in the language of the learner", async () => {
    expect(await lab("list", "--lang", "ko")).toMatch(/^\* node-port +NodePort: 모든 노드에 열리는 문 +\(0\/6\)$/m);
    expect(await lab("list")).toMatch(/^ {2}cluster-ip +ClusterIP: one address for many pods$/m);
    expect(await lab("start", "no-such-lab")).toContain("there is no lab no-such-lab; there are: cluster-ip,");
  });

  test("next shows the step, and writes its files without overwriting any", async () => {
    expect(await lab("next", "--write")).toContain("## 1/6 Three pods");
    expect(readFileSync(join(home, "dep-nginx.yaml"), "utf8")).toContain("image: nginx:1.14");
    writeFileSync(join(home, "dep-nginx.yaml"), "mine");
    expect(await lab("next", "--write")).toContain("dep-nginx.yaml is there already, and is left as it is");
    rmSync(join(home, "dep-nginx.yaml"));
    await lab("next", "--write");
  });

  test("check says what is missing, and goes on when it has come, by whatever commands", async () => {
    expect(await lab("check")).toContain(
      "✗ 1. Three pods\n      3 ready pods with label app=nginx are wanted, and there are 0",
    );
    await kubectl("create", "deployment", "mine", "--image=nginx", "--replicas=3");
    await kubectl("patch", "deployment", "mine", "--type=json", "-p", podsOfTheLab);
    expect(await lab("check")).toContain("✗ 1.");
    await kubectl("delete", "deployment", "mine");
    await kubectl("apply", "-f", "dep-nginx.yaml");
    await eventually(
      () => lab("check"),
      (text) =>
        expect(text).toContain("✓ 1. Three pods\n  ✗ 2. The Service\n      there is no Service service-nodeport"),
    );
  });

  test("a wrong step is named with what should be otherwise", async () => {
    await kubectl("create", "service", "nodeport", "service-nodeport", "--tcp=80:80", "--node-port=30001");
    const text = await lab("check");
    expect(text).toContain("Service service-nodeport: nodePort should be 30000, and is 30001");
    expect(text).toContain("Service service-nodeport: number of ready endpoints should be 3, and is 0");
    await kubectl("delete", "service", "service-nodeport");
  });

  test("a packet shows whether the Service is reached, whatever its manifest looks like", async () => {
    await lab("next", "--write");
    await kubectl("apply", "-f", "service-nodeport.yaml");
    await kubectl("patch", "service", "service-nodeport", "--type=json", "-p", targetPort(81));
    await eventually(
      () => lab("check"),
      (text) => {
        expect(text).toContain("✓ 3. From inside\n  ✗ 4. From outside, through every node");
        expect(text).toMatch(/10\.10\.8\.104:30000 is not reached\. .*The pod listens on port 80\./);
        expect(text).toContain("kubectl patch service service-nodeport --type=json");
      },
    );
    await kubectl("patch", "service", "service-nodeport", "--type=json", "-p", targetPort(80));
    await eventually(
      () => lab("check"),
      (text) =>
        expect(text).toContain(
          "✓ 5. The packet that comes in\n  ✗ 6. Clean up\n      service/service-nodeport is still there",
        ),
    );
    await kubectl("delete", "svc/service-nodeport", "deploy/dep-nginx");
    await eventually(
      () => lab("check"),
      (text) => expect(text).toContain("✓ 6. Clean up\n\nThe lab is done."),
    );
  });

  test.skipIf(!canRunRegistry)("a lab's images come through the registry that was named", async () => {
    await writeImage(join(home, "image"), "the original\n");
    push(join(home, "image"), `${registry!.address}/library/original:1.0`);
    await kubectl("run", "original", "--image=original:1.0");
    await eventually(
      () => kubectl("logs", "original"),
      (text) => expect(text).toBe("the original\n"),
    );
    expect(await lab("start", "node-port", "--registry-mirror", "quay.io")).toContain(
      '"quay.io" is no mirror of a registry: write its URL',
    );
  });

  test("reset begins anew on a new cluster, and stop ends it", async () => {
    await kubectl("create", "configmap", "left-behind");
    const text = await lab("reset");
    expect(text).toContain("## 1/6 Three pods");
    expect(await kubectl("get", "configmap", "left-behind")).toContain("NotFound");
    await lab("stop");
    expect(existsSync(join(home, "clusters", "labs-k8s"))).toBe(false);
    expect(await lab("next")).toContain("시작한 실습이 없습니다");
  });
});

/** The label of the lab's pods on pods that never become ready. */
const podsOfTheLab = JSON.stringify([
  { op: "add", path: "/spec/template/spec/containers/0/readinessProbe", value: { exec: { command: ["false"] } } },
]);

const targetPort = (port: number) => JSON.stringify([{ op: "replace", path: "/spec/ports/0/targetPort", value: port }]);
