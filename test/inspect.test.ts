/** `pinnace why`, `map` and `capture` on a real cluster that is broken in one way after the other: real packets, real sockets, the kernel's own trace. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import type { Report } from "../src/inspect/report.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { whyReport } from "../src/testing/why-report.ts";

const config = `
nodes:
- { name: control-plane }
- { name: worker-1 }
- { name: worker-2 }
`;

const echo = "pinnace.local/echo:1";

/** In namespaces of their own. Most are a Service and what it should have found, or a pod that cannot run. */
const brokenThings = `
apiVersion: v1
kind: List
items:
- { apiVersion: v1, kind: Namespace, metadata: { name: other } }
- ${service("sick", { selector: "{ app: sick }" })}
- ${pod("sick", "{ readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1 } }")}
- ${service("ending", { selector: "{ app: ending }" })}
- ${pod("ending", "{ readinessProbe: { exec: { command: ['false'] }, periodSeconds: 1 }, lifecycle: { preStop: { exec: { command: [sleep, '60'] } } } }", "terminationGracePeriodSeconds: 60")}
- ${service("orphan", {})}
- ${service("zero", { selector: "{ app: zero }" })}
- ${deployment("zero", 0)}
- ${service("golden", { selector: "{ metal: gold }" })}
- { apiVersion: v1, kind: Pod, metadata: { name: gold, namespace: other, labels: { metal: gold } }, spec: { containers: [{ name: a, image: ${echo} }] } }
- ${service("named", { selector: "{ app: lone }", targetPort: "https" })}
- ${service("inward", { selector: "{ app: inward }", targetPort: "9000" })}
- ${pod("inward", "{ image: 'pinnace.local/busybox:1', command: [httpd, -f, -p, '127.0.0.1:9000'] }")}
- ${service("silent", { selector: "{ app: silent }" })}
- ${pod("silent", "{ image: 'pinnace.local/busybox:1', command: [sleep, '3600'] }")}
- ${pod("far-away", "{}")}
- ${service("lone", { selector: "{ app: lone }", targetPort: "8080" })}
- ${deployment("lone", 1)}
- { apiVersion: v1, kind: Service, metadata: { name: alias, namespace: broken }, spec: { type: ExternalName, externalName: nobody.default.svc.cluster.local } }
- ${service("unrouted", { selector: "{ app: lone }", targetPort: "8080", more: "externalIPs: [203.0.113.7]" })}
- ${service("at-home", { selector: "{ app: lone }", targetPort: "8080", more: "internalTrafficPolicy: Local" })}
- ${service("datagrams", { selector: "{ app: silent }", targetPort: "5000", protocol: "UDP" })}
- ${pod("tainted", "{}", "nodeSelector: { kubernetes.io/hostname: control-plane }")}
- { apiVersion: v1, kind: PersistentVolumeClaim, metadata: { name: unbound, namespace: broken }, spec: { storageClassName: nowhere, accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } } }
- ${pod("unbound", "{}", "volumes: [{ name: v, persistentVolumeClaim: { claimName: unbound } }]")}
- ${pod("crashes", "{ image: 'pinnace.local/busybox:1', command: ['false'] }")}
- ${pod("initial", "{}", "initContainers: [{ name: first, image: 'pinnace.local/busybox:1', command: ['false'] }]")}
- { apiVersion: v1, kind: ConfigMap, metadata: { name: settings, namespace: broken }, data: { size: "1" } }
- ${pod("keyless", "{ env: [{ name: A, valueFrom: { configMapKeyRef: { name: settings, key: colour } } }] }")}
- ${pod("gated", "{}", "schedulingGates: [{ name: example.org/wait }]")}
- ${pod("held", "{}", "terminationGracePeriodSeconds: 0", "finalizers: [example.org/keep]")}
- ${pod("unscheduled", "{}", "schedulerName: nobody")}
- ${deployment("nameless", 1, "serviceAccountName: nobody")}
- ${deployment("refused", 1, "hostNetwork: true", "strict")}
`;

function service(
  name: string,
  {
    selector,
    targetPort = "80",
    protocol = "TCP",
    more,
  }: { selector?: string; targetPort?: string; protocol?: string; more?: string },
): string {
  const spec = [...(selector ? [`selector: ${selector}`] : []), ...(more ? [more] : [])];
  const ports = `ports: [{ port: 80, targetPort: ${targetPort}, protocol: ${protocol} }]`;
  return `{ apiVersion: v1, kind: Service, metadata: { name: ${name}, namespace: broken }, spec: { ${[...spec, ports].join(", ")} } }`;
}

function pod(name: string, container: string, spec = "", metadata = ""): string {
  const fields = container.slice(1, -1).trim();
  const image = fields.includes("image:") ? "" : `, image: '${echo}'`;
  return `{ apiVersion: v1, kind: Pod, metadata: { name: ${name}, namespace: broken, labels: { app: ${name} }${metadata && `, ${metadata}`} }, spec: { containers: [{ name: main${image}${fields && `, ${fields}`} }]${spec && `, ${spec}`} } }`;
}

function deployment(name: string, replicas: number, spec = "", namespace = "broken"): string {
  const template = `{ metadata: { labels: { app: ${name} } }, spec: { containers: [{ name: main, image: '${echo}' }]${spec && `, ${spec}`} } }`;
  return `{ apiVersion: apps/v1, kind: Deployment, metadata: { name: ${name}, namespace: ${namespace} }, spec: { replicas: ${replicas}, selector: { matchLabels: { app: ${name} } }, template: ${template} } }`;
}

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
  const whyHere = (target: string, options: { namespace: string; from?: string }) =>
    whyReport(cluster, target, options);
  const nft = (node: string, commands: string) =>
    cluster.host("ip", "netns", "exec", `pinnace-${cluster.name}.${node}`, "nft", commands);
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

  test("thirty-three further ways to lose a request, or a pod, each with its name and its remedy", async () => {
    await cluster.kubectl`create namespace broken`;
    await cluster.kubectl`create namespace strict`;
    await cluster.kubectl`label namespace strict pod-security.kubernetes.io/enforce=restricted`;
    await cluster.apply(brokenThings);
    await cluster.kubectl`wait -n broken --for=condition=Ready pod/silent pod/inward pod/far-away --timeout=60s`;
    await cluster.kubectl`rollout status -n broken deployment/lone --timeout=60s`;
    await cluster.kubectl`delete pod ending held -n broken --wait=false`;
    const [ip, node] = (
      await cluster.kubectl`get pod -n broken -l app=lone -o ${"jsonpath={.items[0].status.podIP} {.items[0].spec.nodeName}"}`
    ).split(" ");
    const address = await cluster.kubectl`get node control-plane -o ${"jsonpath={.status.addresses[0].address}"}`;
    const pod = await cluster.kubectl`get pod -n broken -l app=lone -o ${"jsonpath={.items[0].metadata.name}"}`;
    const drop = "add table ip pnt-drop; add chain ip pnt-drop f { type filter hook forward priority -10; }; ";
    await nft(node!, `${drop} add rule ip pnt-drop f ip daddr ${ip} tcp dport 8080 drop`);

    const inside = "pod/silent";
    const cases: [target: string, from: string | undefined, code: string, remedy: string][] = [
      ["svc/sick", inside, "readiness-probe-fails", "readinessProbe"],
      ["svc/ending", inside, "only-terminating-endpoints", "kubectl get deployments"],
      ["svc/orphan", inside, "no-selector", "kubectl set selector service orphan"],
      ["svc/zero", inside, "no-pods", "kubectl scale deployment"],
      ["svc/golden", inside, "pods-in-another-namespace", "namespace: other"],
      ["svc/named", inside, "no-such-named-port", '"path":"/spec/ports/0/targetPort"'],
      ["svc/inward", inside, "listens-on-loopback", "0.0.0.0:9000"],
      ["svc/silent", inside, "nothing-listens", "kubectl logs silent"],
      ["svc/lon", inside, "no-such-service", "svc/lone"],
      ["svc/web", inside, "service-in-another-namespace", "-n default"],
      ["http://alias", inside, "external-name-unresolved", "externalName"],
      ["svc/unrouted", "outside", "external-ip-unrouted", "externalIPs"],
      ["svc/at-home", "node/control-plane", "internal-policy-local", "Cluster"],
      ["svc/datagrams", inside, "nothing-listens", "kubectl logs"],
      ["http://datagrams/", inside, "wrong-protocol", "TCP"],
      [`http://${address}:32111/`, "outside", "no-such-node-port", "kubectl get services"],
      ["10.244.77.77:80", inside, "no-pod-at-address", "kubectl get pods -A"],
      ["10.96.77.77:80", inside, "no-service-at-address", "kubectl get services -A"],
      [`pod/${pod}:81`, inside, "wrong-pod-port", "use port 8080"],
      ["pod/lonely", inside, "no-such-pod", "kubectl get pods"],
      [
        "svc/lone",
        "node/control-plane",
        "dropped-by-rule",
        `pinnace-${cluster.name}.${node} nft list table ip pnt-drop`,
      ],
      ["pod/tainted", undefined, "taint", "toleration"],
      ["pod/unbound", undefined, "unbound-claim", "storageclass"],
      ["pod/crashes", undefined, "crash-loop", "kubectl logs crashes"],
      ["pod/initial", undefined, "init-container-fails", "kubectl logs initial"],
      ["pod/keyless", undefined, "missing-key", "configmap settings"],
      ["pod/gated", undefined, "scheduling-gate", "schedulingGates"],
      ["pod/held", undefined, "finalizer", "finalizers"],
      ["pod/unscheduled", undefined, "unknown-scheduler", "schedulerName"],
      ["deployment/zero", undefined, "scaled-to-zero", "--replicas=1"],
      ["deployment/refused", undefined, "pod-security", "strict"],
      ["deployment/nameless", undefined, "missing-service-account", "serviceaccount"],
    ];
    const seen: unknown[] = [];
    for (const [target, from, code, remedy] of cases) {
      const namespace = target === "deployment/refused" ? "strict" : "broken";
      const said = await eventually(
        () => whyHere(target, { namespace, ...(from ? { from } : {}) }),
        ({ fault }) => expect({ target, code: fault?.code }).toEqual({ target, code }),
      ).catch((error: Error) => seen.push(error.message));
      if (typeof said === "object") {
        const remedies = said.fault!.remedies.join("\n");
        if (!remedies.toLowerCase().includes(remedy.toLowerCase())) seen.push({ target, remedy, remedies });
      }
    }
    expect(seen).toEqual([]);
    await nft(node!, `delete table ip pnt-drop; delete element ip kube-proxy hairpin-connections { ${ip} . ${ip} }`);
    const { fault: hairpin } = await whyHere("svc/lone", { namespace: "broken", from: `pod/${pod}` });
    expect(hairpin).toMatchObject({ code: "hairpin", step: "rule" });
    // A question to cluster DNS is answered, over UDP.
    expect(await whyHere("svc/kube-dns:53", { namespace: "kube-system", from: "node/worker-1" })).toMatchObject({
      verdict: "works",
    });
  });

  test("what is no target is refused with how to write one", async () => {
    await expect(why("ingress/web")).rejects.toThrow(/is no target: write svc\/NAME/);
    await expect(why("svc/web", "--from", "pod/nobody")).rejects.toThrow("there is no pod nobody in namespace default");
  });
});
