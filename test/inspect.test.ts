/** `pinnace why`, `map` and `capture` on a real cluster that is broken in one way after the other: real packets, real sockets, the kernel's own trace. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import type { Report } from "../src/inspect/report.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const config = `
nodes:
- { name: control-plane }
- { name: worker-1 }
- { name: worker-2 }
`;

const echo = "pinnace.local/echo:1";

describeCluster("why, map and capture", { config }, (cluster) => {
  const why = async (...args: string[]): Promise<Report> => {
    const output = await cluster.pinnace("why", ...args, "-o", "json").catch((error: { stdout?: string }) => {
      // It ends with 1 when the request is lost.
      if (!error.stdout) throw error;
      return error.stdout;
    });
    return JSON.parse(output) as Report;
  };
  const blames = (code: string, remedy: string, ...args: string[]) =>
    eventually(
      () => why(...args),
      (report) => {
        expect({ verdict: report.verdict, code: report.fault?.code }).toEqual({ verdict: "lost", code });
        expect(report.fault?.remedies.join("\n")).toContain(remedy);
      },
    );
  const patch = (spec: object) => cluster.kubectl`patch service web -p ${JSON.stringify({ spec })}`;

  test("what works is followed to its pod by the kernel's own trace", async () => {
    await cluster.kubectl`create deployment web --image=${echo} --replicas=2`;
    await cluster.kubectl`expose deployment web --port=80 --target-port=8080 --type=NodePort`;
    await cluster.kubectl`run client --image=${echo}`;
    await cluster.kubectl`rollout status deployment/web --timeout=60s`;
    await cluster.kubectl`wait --for=condition=Ready pod/client --timeout=60s`;
    const report = await eventually(
      () => why("http://web/", "--from", "pod/client"),
      ({ verdict }) => expect(verdict).toBe("works"),
    );
    const text = (name: string) => report.steps.find((step) => step.name === name)?.text;
    expect(text("name")).toMatch(/^web\.default\.svc\.cluster\.local is 10\.96\./);
    expect(text("rule")).toMatch(/^10\.96\.\S+:80 is rewritten to 10\.244\.\S+:8080 \(web-\S+ on worker-\d\)/);
    expect(text("listener")).toBe("port 8080 is open in 2 pods");
    expect(text("answer")).toContain("answers with HTTP 200");
    expect(await why("svc/web")).toMatchObject({ from: "outside the cluster", verdict: "works" });
    // It leaves no table behind.
    const tables = await cluster.host(
      "ip",
      "netns",
      "exec",
      `pinnace-${cluster.name}.worker-1`,
      "nft",
      "list",
      "tables",
    );
    expect(tables).not.toContain("pinnace-why");
  });

  test("the map shows the Service, its doors, and the pods by node", async () => {
    const map = await cluster.pinnace("map");
    expect(map).toMatch(/web +NodePort +10\.96\.\d+\.\d+:80 → 8080 +any node:3\d{4}/);
    expect(map.match(/[├└]─ ● web-\S+ +10\.244\.\d+\.\d+:8080/g)).toHaveLength(2);
    expect(map).toMatch(/behind no Service\n +● client/);
  });

  test("the map follows changes until it is interrupted", async () => {
    const watching = spawn(process.execPath, ["dist/bin/pinnace.mjs", "map", "--watch", "--name", cluster.name], {
      env: { ...process.env, PINNACE_HOME: cluster.home },
    });
    let shown = "";
    watching.stdout.on("data", (chunk) => (shown += chunk));
    try {
      await expect.poll(() => shown, { timeout: 20_000 }).toContain("● client");
      await cluster.kubectl`expose pod client --port=80`;
      await expect.poll(() => shown, { timeout: 20_000 }).toMatch(/client +ClusterIP +10\.96\.\d+\.\d+:80\n/);
    } finally {
      watching.kill("SIGINT");
    }
    expect(await once(watching, "exit")).toEqual([0, null]);
    await cluster.kubectl`delete service client`;
  });

  test("captured packets carry names, and the destination that they were rewritten to", async () => {
    const node = await cluster.kubectl`get pod client -o ${"jsonpath={.spec.nodeName}"}`;
    const args = ["capture", node, "-c", "4", "--name", cluster.name, "tcp port 80 or tcp port 8080"];
    const capturing = spawn(process.execPath, ["dist/bin/pinnace.mjs", ...args], {
      env: { ...process.env, PINNACE_HOME: cluster.home },
    });
    let seen = "";
    let said = "";
    capturing.stdout.on("data", (chunk) => (seen += chunk));
    capturing.stderr.on("data", (chunk) => (said += chunk));
    const exit = once(capturing, "exit");
    try {
      await expect.poll(() => said, { timeout: 20_000 }).toContain(`Listening on node ${node}`);
      await why("http://web/", "--from", "pod/client");
      expect(await exit).toEqual([0, null]);
    } finally {
      capturing.kill();
    }
    expect(seen).toMatch(/\(pod client\) > 10\.96\.\S+:80 \(Service web\) {2}→ 10\.244\.\S+:8080 \(pod web-\S+\):/);
  });

  test("a pod that asks itself through its Service", async () => {
    const [pod = ""] = (await cluster.kubectl`get pods -l app=web -o ${"jsonpath={.items[*].metadata.name}"}`).split(
      " ",
    );
    expect(await why("svc/web", "--from", `pod/${pod}`)).toMatchObject({ verdict: "works" });
  });

  test("a wrong targetPort, and the command that was given mends it", async () => {
    await cluster.kubectl`patch service web --type=json -p ${'[{"op":"replace","path":"/spec/ports/0/targetPort","value":80}]'}`;
    const { fault } = await blames("wrong-target-port", '"value":8080', "svc/web");
    await cluster.host("env", `KUBECONFIG=${cluster.kubeconfig}`, "bash", "-c", fault!.remedies[0]!);
    await eventually(
      () => why("svc/web"),
      ({ verdict }) => expect(verdict).toBe("works"),
    );
  });

  test("a wrong selector, and the command that was given mends it", async () => {
    await patch({ selector: { app: "wbe" } });
    const { fault } = await blames("wrong-selector", "app=web", "svc/web", "--from", "pod/client");
    await cluster.host("env", `KUBECONFIG=${cluster.kubeconfig}`, "bash", "-c", fault!.remedies[0]!);
    await eventually(
      () => why("svc/web"),
      ({ verdict }) => expect(verdict).toBe("works"),
    );
  });

  test("policies that let nobody in, or the client not out", async () => {
    const policy = (app: string, type: string) =>
      cluster.apply(
        `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: deny }\nspec: { podSelector: { matchLabels: { ${app} } }, policyTypes: [${type}] }\n`,
      );
    await policy("app: web", "Ingress");
    await blames("policy-blocks-ingress", "networkpolicy deny", "http://web", "--from", "pod/client");
    await cluster.kubectl`delete networkpolicy deny`;
    await policy("run: client", "Egress");
    await blames("policy-blocks-dns", "port 53", "http://web", "--from", "pod/client");
    const address = await cluster.kubectl`get service web -o ${"jsonpath={.spec.clusterIP}"}`;
    await blames("policy-blocks-egress", "networkpolicy deny", `${address}:80`, "--from", "pod/client");
    await cluster.kubectl`delete networkpolicy deny`;
    await eventually(
      () => why("http://web", "--from", "pod/client"),
      ({ verdict }) => expect(verdict).toBe("works"),
    );
  });

  test("names that mean nothing, or something elsewhere", async () => {
    await cluster.kubectl`create namespace shop`;
    await cluster.kubectl`create service clusterip cart --tcp=80 -n shop`;
    await blames("name-in-another-namespace", "cart.shop", "http://cart", "--from", "pod/client");
    await blames("no-such-name", "use the name web", "wbe", "--from", "pod/client");
    await blames("name-outside-pods", "kubectl run", "http://web", "--from", "outside");
    await blames("wrong-service-port", "use port 80", "web:8080", "--from", "pod/client");
    await blames("cluster-ip-from-outside", "NodePort", "svc/kubernetes", "--from", "outside");
  });

  test("a headless Service does not translate ports", async () => {
    await cluster.apply(
      "apiVersion: v1\nkind: Service\nmetadata: { name: each }\nspec: { clusterIP: None, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }\n",
    );
    await blames("headless-has-no-port", "use port 8080", "http://each", "--from", "pod/client");
    await eventually(
      () => why("each:8080", "--from", "pod/client"),
      ({ verdict }) => expect(verdict).toBe("works"),
    );
  });

  test("a node port at a node without a pod, under policy Local; and a LoadBalancer that nobody serves", async () => {
    await patch({ externalTrafficPolicy: "Local" });
    const port = await cluster.kubectl`get service web -o ${"jsonpath={.spec.ports[0].nodePort}"}`;
    const address = await cluster.kubectl`get node control-plane -o ${"jsonpath={.status.addresses[0].address}"}`;
    await blames("external-policy-local", "Cluster", `${address}:${port}`);
    await patch({ externalTrafficPolicy: "Cluster", type: "LoadBalancer" });
    await blames("no-load-balancer", "metallb", "svc/web");
    await patch({ type: "NodePort" });
  });

  test("pods that do not run", async () => {
    await cluster.kubectl`create deployment typo --image=pinnace.local/ecco:1`;
    await cluster.kubectl`create deployment greedy --image=${echo}`;
    await cluster.kubectl`set resources deployment greedy --requests=cpu=1000`;
    await cluster.kubectl`run picky --image=${echo} --overrides=${JSON.stringify({ spec: { nodeSelector: { disk: "ssd" } } })}`;
    await cluster.kubectl`run configured --image=${echo} --overrides=${JSON.stringify({ spec: { containers: [{ name: "configured", image: echo, envFrom: [{ configMapRef: { name: "settings" } }] }] } })}`;
    await cluster.kubectl`run unready --image=${echo} --overrides=${JSON.stringify({ spec: { containers: [{ name: "unready", image: echo, readinessProbe: { httpGet: { port: 81 }, periodSeconds: 1 } }] } })}`;
    await cluster.kubectl`run storing --image=${echo} --overrides=${JSON.stringify({ spec: { containers: [{ name: "storing", image: echo }], volumes: [{ name: "v", persistentVolumeClaim: { claimName: "data" } }] } })}`;
    await blames("node-selector", "disk=ssd", "pod/picky");
    await blames("missing-configmap", "settings", "pod/configured");
    await blames("readiness-probe-fails", "pod/unready", "pod/unready");
    await blames("missing-claim", "persistentvolumeclaims", "pod/storing");
    await blames("insufficient-resources", "deployment/greedy", "deployment/greedy");
    await eventually(
      () => why("deployment/typo"),
      ({ fault }) => expect(fault?.code).toMatch(/^(image-not-found|registry-unreachable)$/),
    );
  });

  test("a quota that is used up", async () => {
    await cluster.kubectl`create quota small --hard=pods=1 -n shop`;
    await cluster.kubectl`create deployment many --image=${echo} --replicas=2 -n shop`;
    await blames("quota", "resourcequota small", "deployment/many", "-n", "shop");
  });

  test("what is no target is refused with how to write one", async () => {
    await expect(why("ingress/web")).rejects.toThrow(/is no target: write svc\/NAME/);
    await expect(why("svc/web", "--from", "pod/nobody")).rejects.toThrow("there is no pod nobody in namespace default");
  });
});
