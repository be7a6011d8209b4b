/** Every kind of Service and every change between them, seen by who answers: through the real kubectl, from pods, nodes and this machine. */
import { spawn } from "node:child_process";
import { beforeAll, describe, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { podNetns } from "../src/testing/packets.ts";

const config = `
nodes:
- { name: master, role: control-plane }
- { name: node1 }
- { name: node2 }
`;

const pod = (name: string, { node = "node1", port = 8080, app = "web" } = {}) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${app}, echo: here } }
spec:
  nodeName: ${node}
  terminationGracePeriodSeconds: 5
  containers:
  - name: echo
    image: "pinnace.local/echo:1"
    env: [{ name: PORT, value: "${port}" }]
    ports: [{ name: http, containerPort: ${port} }]
---`;

const service = (name: string, spec: string) => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { ${spec} }
---`;

describeCluster("Services of every kind", { config }, (cluster) => {
  const curl = ["curl", "-s", "-m", "2", "--noproxy", "*"] as const;
  const onNode = (node: string, ...command: string[]) =>
    cluster.host("ip", "netns", "exec", `pinnace-${cluster.name}.${node}`, ...command);
  const fromNode = (url: string, node = "node2") => onNode(node, ...curl, url);
  const fromHere = (url: string) => cluster.host(...(curl as unknown as [string, ...string[]]), url);
  const answerers = async (url: string, times = 12) => {
    const text = await onNode(
      "node2",
      "sh",
      "-c",
      `for i in $(seq ${times}); do ${curl.slice(0, 4).join(" ")} ${url}; done`,
    );
    return [...new Set([...text.matchAll(/Hello, (\S+)/g)].map(([, name]) => name))].sort();
  };
  /** curl's own words for it: 7 is refused at once, 28 is no answer in time. */
  const failure = (url: string, node = "node2", patience = "2") =>
    onNode(node, "curl", "-s", "-m", patience, "--noproxy", "*", url).then(
      () => "answered",
      (error) => (error.code === 7 ? "refused" : error.code === 28 ? "silence" : String(error)),
    );
  const becomes = (url: string, names: string[]) =>
    eventually(
      () => answerers(url),
      (is) => expect(is).toEqual(names),
    );
  const specOf = async (name: string) => JSON.parse(await cluster.kubectl`get service ${name} -o json`).spec;
  const patch = (name: string, body: object, ...options: string[]) =>
    cluster.kubectlRaw(["patch", "service", name, "--type=merge", "-p", JSON.stringify(body), ...options]);
  const dig = async (...words: string[]) => (await onNode("node1", "dig", "+short", "@10.96.0.10", ...words)).trim();

  /** Asks again and again, a new connection each time, until it is stopped. */
  let loads = 0;
  const asking = (url: string, node = "node2") => {
    const enough = `${cluster.home}/enough-${loads++}`;
    const once = `curl -s -m 10 --noproxy '*' -o /dev/null ${url} && echo answered || echo lost $?`;
    const outcomes = onNode(node, "sh", "-c", `while [ ! -e "$0" ]; do ${once}; done`, enough);
    return {
      async stop(): Promise<string[]> {
        await cluster.host("touch", enough);
        return (await outcomes).trim().split("\n");
      },
    };
  };

  /** The nodes' own addresses, by name. */
  let addressOf: Readonly<Record<string, string>> = {};

  beforeAll(async () => {
    const { items } = JSON.parse(await cluster.kubectl`get nodes -o json`);
    addressOf = Object.fromEntries(
      items.map(
        ({ metadata, status }: { metadata: { name: string }; status: { addresses: { address: string }[] } }) => [
          metadata.name,
          status.addresses[0]!.address,
        ],
      ),
    );
    await cluster.apply([pod("a"), pod("b", { node: "node2", port: 9090, app: "other" })].join(""));
    await cluster.kubectl`wait --for=condition=Ready pod --all --timeout=60s`;
  });

  // Mostly waiting for packets that must not come: together they take as long as the longest.
  describe.concurrent("by type, address and endpoints", () => {
    test("a named target port leads to each pod's own number", async () => {
      await cluster.apply(
        service("named", "selector: { echo: here }, ports: [{ name: web, port: 80, targetPort: http }]"),
      );
      const { clusterIP } = await specOf("named");
      await becomes(`http://${clusterIP}/`, ["a", "b"]);
      const slices =
        await cluster.kubectl`get endpointslices -l kubernetes.io/service-name=named -o ${"jsonpath={.items[*].ports[*].port}"}`;
      expect(slices.split(" ").sort()).toEqual(["8080", "9090"]);
    });

    test("a Service changes from any type to any other, and packets with it", async () => {
      const wishes = {
        ClusterIP: { type: "ClusterIP", externalName: null },
        NodePort: { type: "NodePort", externalName: null },
        LoadBalancer: { type: "LoadBalancer", externalName: null },
        ExternalName: { type: "ExternalName", externalName: "elsewhere.example" },
      };
      type Type = keyof typeof wishes;
      await cluster.apply(service("changing", "selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }]"));
      // Every one of the twelve changes, in one walk.
      const walk: Type[] = ["NodePort", "ClusterIP", "LoadBalancer", "ClusterIP", "ExternalName", "NodePort"];
      walk.push("LoadBalancer", "NodePort", "ExternalName", "LoadBalancer", "ExternalName", "ClusterIP");
      const givenBack: [address: string, outcome: string][] = [];
      let before: { type: Type; clusterIP?: string; nodePort?: number } = { type: "ClusterIP" };
      for (const type of walk) {
        const story = `${before.type} to ${type}`;
        const { exitCode, stdout, stderr } = await patch("changing", { spec: wishes[type] }, "-o", "json");
        expect(exitCode, `${story}: ${stderr}`).toBe(0);
        const { spec } = JSON.parse(stdout);
        const nodePort: number | undefined = spec.ports[0].nodePort;
        expect([spec.type, nodePort !== undefined, spec.clusterIP !== undefined], story).toEqual([
          type,
          type === "NodePort" || type === "LoadBalancer",
          type !== "ExternalName",
        ]);
        const name = "changing.default.svc.cluster.local";
        if (type === "ExternalName") {
          await eventually(
            () => dig("CNAME", name),
            (answer) => expect(answer).toBe("elsewhere.example."),
          );
        } else {
          await eventually(
            () => fromNode(`http://${spec.clusterIP}/`),
            (answer) => expect(answer, story).toBe("Hello, a\n"),
          );
          expect(await dig(name), story).toBe(spec.clusterIP);
        }
        if (nodePort) {
          await eventually(
            () => fromHere(`http://${addressOf["node2"]}:${nodePort}/`),
            (answer) => expect(answer, story).toBe("Hello, a\n"),
          );
        }
        if (before.clusterIP && before.clusterIP !== spec.clusterIP) givenBack.push([before.clusterIP, "silence"]);
        if (before.nodePort && before.nodePort !== nodePort)
          givenBack.push([`${addressOf["node1"]}:${before.nodePort}`, "refused"]);
        before = { type, clusterIP: spec.clusterIP, ...(nodePort ? { nodePort } : {}) };
      }
      // What it gave back answers no more, unless it was given out again.
      const taken =
        await cluster.kubectl`get services -o ${"jsonpath={.items[*].spec.clusterIP} {.items[*].spec.ports[*].nodePort}"}`;
      const free = givenBack.filter(([address]) => !taken.split(" ").includes(address.split(":").at(-1)!));
      expect(free.length).toBeGreaterThan(4);
      await Promise.all(
        free.map(([address, outcome]) =>
          eventually(
            () => failure(`http://${address}/`, "node1", "0.7"),
            (is) => expect(is, address).toBe(outcome),
          ),
        ),
      );
      await cluster.kubectl`delete service changing`;
    });

    test("a Service without selector goes where its EndpointSlices by hand say, or its mirrored Endpoints", async () => {
      const ip = await cluster.kubectl`get pod a -o ${"jsonpath={.status.podIP}"}`;
      await cluster.apply(
        [
          service("sliced", "ports: [{ name: web, port: 80 }]"),
          `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: sliced-by-hand, labels: { kubernetes.io/service-name: sliced } }
addressType: IPv4
ports: [{ name: web, port: 8080 }]
endpoints: [{ addresses: ["${ip}"] }]
---`,
          service("mirrored", "ports: [{ port: 80 }]"),
          `
apiVersion: v1
kind: Endpoints
metadata: { name: mirrored }
subsets: [{ addresses: [{ ip: "${ip}" }], ports: [{ port: 8080 }] }]
---`,
        ].join(""),
      );
      for (const name of ["sliced", "mirrored"]) await becomes(`http://${(await specOf(name)).clusterIP}/`, ["a"]);
      const managers = await cluster.kubectl`get endpointslices -l kubernetes.io/service-name=mirrored --show-labels`;
      expect(managers).toContain("endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io");
      await cluster.kubectl`delete endpointslice sliced-by-hand`;
      await cluster.kubectl`delete endpoints mirrored`;
      for (const name of ["sliced", "mirrored"]) {
        await eventually(
          async () => failure(`http://${(await specOf(name)).clusterIP}/`),
          (is) => expect(is).toBe("refused"),
        );
      }
      await cluster.kubectl`delete service sliced mirrored`;
    });

    test("a selector that matches nothing is refused at once, not met by silence, by every way in", async () => {
      await cluster.apply(
        service(
          "empty",
          'type: NodePort, selector: { app: nobody }, externalIPs: ["192.0.2.9"], ports: [{ port: 80 }]',
        ),
      );
      const { clusterIP, ports } = await specOf("empty");
      for (const url of [
        `http://${clusterIP}/`,
        "http://192.0.2.9/",
        `http://${addressOf["node1"]}:${ports[0].nodePort}/`,
      ]) {
        await eventually(
          () => failure(url, "node1"),
          (is) => expect(is, url).toBe("refused"),
        );
      }
      const inside = await podNetns(cluster, "a");
      const refused = await cluster
        .host("ip", "netns", "exec", inside, ...curl, `http://${clusterIP}/`)
        .catch((e) => e);
      expect(refused.code).toBe(7);
      await cluster.kubectl`delete service empty`;
    });

    test("a load balancer's address is the node's own business by ipMode VIP, within the source ranges; node ports may be left out", async () => {
      const spec =
        "allocateLoadBalancerNodePorts: false, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }]";
      await cluster.apply(service("balanced", `type: LoadBalancer, ${spec}`));
      expect((await specOf("balanced")).ports[0]).not.toHaveProperty("nodePort");
      expect(await cluster.kubectl`get service balanced`).toMatch(/LoadBalancer +10\.96\S+ +<pending> +80\/TCP/);
      const setStatus = (ingress: object) =>
        patch("balanced", { status: { loadBalancer: { ingress: [ingress] } } }, "--subresource=status");
      await setStatus({ ip: "192.0.2.20", ipMode: "VIP" });
      await becomes("http://192.0.2.20/", ["a"]);
      expect(await cluster.kubectl`get service balanced`).toMatch(/LoadBalancer +10\.96\S+ +192\.0\.2\.20 +80\/TCP/);

      await patch("balanced", { spec: { loadBalancerSourceRanges: [`${addressOf["node2"]}/32`] } });
      await eventually(
        () => failure("http://192.0.2.20/", "node1", "0.7"),
        (is) => expect(is).toBe("silence"),
      );
      expect(await failure("http://192.0.2.20/", "node2")).toBe("answered");
      expect(await failure(`http://${(await specOf("balanced")).clusterIP}/`, "node1")).toBe("answered");

      // By ipMode Proxy packets go to the balancer itself; nobody is there.
      await setStatus({ ip: "192.0.2.20", ipMode: "Proxy" });
      await eventually(
        () => failure("http://192.0.2.20/", "node2", "0.7"),
        (is) => expect(is).not.toBe("answered"),
      );
      await cluster.kubectl`delete service balanced`;
    });

    test("of two Services that want one external address and port the older has it, until it goes", async () => {
      const wanting = (name: string, app: string) =>
        service(
          name,
          `selector: { app: ${app} }, externalIPs: ["192.0.2.30"], ports: [{ port: 80, targetPort: http }]`,
        );
      await cluster.apply(wanting("older", "web"));
      await becomes("http://192.0.2.30/", ["a"]);
      // Times of creation are told in seconds.
      const born = await cluster.kubectl`get service older -o ${"jsonpath={.metadata.creationTimestamp}"}`;
      await eventually(
        async () => Date.now(),
        (now) => expect(now).toBeGreaterThan(Date.parse(born) + 1000),
      );
      await cluster.apply(wanting("younger", "other"));
      await becomes(`http://${(await specOf("younger")).clusterIP}/`, ["b"]);
      expect(await answerers("http://192.0.2.30/")).toEqual(["a"]);
      await cluster.kubectl`delete service older`;
      await becomes("http://192.0.2.30/", ["b"]);
      await cluster.kubectl`delete service younger`;
    });

    test("each address has its IPAddress, a user's own keeps an address away, and a further ServiceCIDR gives more", async () => {
      const create = async (name: string, spec: string) =>
        (await cluster.kubectlRaw(["create", "-f", "-"], service(name, spec))).stderr.trim();
      await create("counted", "clusterIP: 10.96.7.7, ports: [{ port: 80 }]");
      await eventually(
        () => cluster.kubectl`get ipaddress 10.96.7.7 --show-labels`,
        (text) =>
          expect(text).toMatch(
            /10\.96\.7\.7 +services\/default\/counted +ipaddress\.kubernetes\.io\/ip-family=IPv4,ipaddress\.kubernetes\.io\/managed-by=ipallocator\.k8s\.io/,
          ),
      );
      // Taken away by hand it comes back; with its Service it goes.
      await cluster.kubectl`delete ipaddress 10.96.7.7`;
      await eventually(
        () => cluster.kubectlRaw(["get", "ipaddress", "10.96.7.7"]),
        ({ exitCode }) => expect(exitCode).toBe(0),
      );
      await cluster.kubectl`delete service counted`;
      await eventually(
        () => cluster.kubectlRaw(["get", "ipaddress", "10.96.7.7"]),
        ({ stderr }) => expect(stderr).toContain("NotFound"),
      );
      await cluster.apply(`
apiVersion: networking.k8s.io/v1
kind: IPAddress
metadata: { name: 10.96.7.8 }
spec: { parentRef: { resource: things, name: mine } }
---
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: { name: more }
spec: { cidrs: [10.97.0.0/24] }
`);
      await eventually(
        () =>
          cluster.kubectlRaw(
            ["create", "--dry-run=server", "-f", "-"],
            service("kept-away", "clusterIP: 10.96.7.8, ports: [{ port: 80 }]"),
          ),
        ({ stderr }) => expect(stderr).toContain("provided IP is already allocated"),
      );
      await eventually(
        () =>
          create("further", "clusterIP: 10.97.0.9, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }]"),
        (text) => expect(text).toMatch(/^$|AlreadyExists/),
      );
      await becomes("http://10.97.0.9/", ["a"]);
      await eventually(
        () => cluster.kubectl`get ipaddresses`,
        (text) => expect(text).toMatch(/10\.97\.0\.9 +services\/default\/further/),
      );
      await cluster.kubectl`delete servicecidr more --wait=false`;
      await eventually(
        () =>
          cluster.kubectlRaw(
            ["create", "--dry-run=server", "-f", "-"],
            service("late", "clusterIP: 10.97.0.10, ports: [{ port: 80 }]"),
          ),
        ({ stderr }) => expect(stderr).toContain("the provided network does not match the current range"),
      );
      await eventually(
        () => cluster.kubectl`get servicecidr more -o ${"jsonpath={.status.conditions[0].status}"}`,
        (status) => expect(status).toBe("False"),
      );
      expect(await answerers("http://10.97.0.9/", 2)).toEqual(["a"]);
      await cluster.kubectl`delete service further`;
      await cluster.kubectl`wait --for=delete servicecidr/more --timeout=20s`;
      await cluster.kubectl`delete ipaddress 10.96.7.8`;
    });

    test("no request is lost while pods with a preStop hook are taken out and replaced", async () => {
      await cluster.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: { name: graceful }
spec:
  replicas: 2
  selector: { matchLabels: { app: graceful } }
  strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 2 } }
  template:
    metadata: { labels: { app: graceful } }
    spec:
      containers:
      - name: echo
        image: "pinnace.local/echo:1"
        readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 }
        lifecycle: { preStop: { sleep: { seconds: 3 } } }
---${service("graceful", "selector: { app: graceful }, ports: [{ port: 80, targetPort: 8080 }]")}`);
      await cluster.kubectl`rollout status deployment/graceful --timeout=60s`;
      const { clusterIP } = await specOf("graceful");
      await becomes(`http://${clusterIP}/`, (await podsOf("graceful")).sort());
      const load = asking(`http://${clusterIP}/`);
      const before = await podsOf("graceful");
      await cluster.kubectl`rollout restart deployment/graceful`;
      await cluster.kubectl`rollout status deployment/graceful --timeout=60s`;
      await eventually(
        () => podsOf("graceful"),
        (names) => {
          expect(names).toHaveLength(2);
          expect(names.filter((name) => before.includes(name))).toEqual([]);
        },
      );
      const outcomes = await load.stop();
      expect(outcomes.filter((outcome) => outcome !== "answered")).toEqual([]);
      expect(outcomes.length).toBeGreaterThan(10);
    });
  });

  test("addresses and ports that are taken, doubled or out of range are refused in upstream's words", async () => {
    await cluster.apply(
      service("first", "type: NodePort, clusterIP: 10.96.5.5, ports: [{ port: 80, nodePort: 30555 }]"),
    );
    const refusal = async (spec: string) =>
      (await cluster.kubectlRaw(["create", "-f", "-"], service("second", spec))).stderr.trim();
    expect(await refusal("clusterIP: 10.96.5.5, ports: [{ port: 80 }]")).toBe(
      'The Service "second" is invalid: spec.clusterIPs: Invalid value: ["10.96.5.5"]: failed to allocate IP 10.96.5.5: provided IP is already allocated',
    );
    expect(await refusal("clusterIP: 10.9.5.5, ports: [{ port: 80 }]")).toContain(
      "failed to allocate IP 10.9.5.5: the provided network does not match the current range",
    );
    expect(await refusal("type: NodePort, ports: [{ port: 80, nodePort: 30555 }]")).toBe(
      'The Service "second" is invalid: spec.ports[0].nodePort: Invalid value: 30555: provided port is already allocated',
    );
    expect(await refusal("type: NodePort, ports: [{ port: 80, nodePort: 80 }]")).toContain(
      "provided port is not in the valid range. The range of valid ports is 30000-32767",
    );
    expect(await refusal("ports: [{ name: one, port: 80 }, { name: two, port: 80 }]")).toContain(
      "spec.ports[1]: Duplicate value",
    );
  });

  // `npm run outage` leaves the server away for a minute.
  const outageSeconds = Number(process.env["PINNACE_OUTAGE_SECONDS"] ?? 0.5);
  test(
    "no request is lost while the server, killed amid its work on rules, is away; what is taken stays taken",
    async () => {
      const want = async (name: string, spec: string) =>
        (await cluster.kubectlRaw(["create", "-f", "-"], service(name, spec))).stderr.trim();
      await cluster.apply(
        service(
          "steady",
          "type: NodePort, selector: { app: web }, ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }]",
        ),
      );
      const { clusterIP } = await specOf("steady");
      await becomes(`http://${clusterIP}/`, ["a"]);
      const loads = [asking(`http://${clusterIP}/`), asking(`http://${addressOf["node1"]}:30080/`, "node1")];
      const { server } = JSON.parse(await cluster.pinnace("status", "-o", "json"));
      const crowd = Array.from({ length: 60 }, (_, i) =>
        service(`crowd-${i}`, "selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }]"),
      );
      const env = { ...process.env, KUBECONFIG: cluster.kubeconfig };
      const crowding = spawn("kubectl", ["create", "-f", "-"], { env, stdio: ["pipe", "ignore", "ignore"] });
      crowding.stdin.end(crowd.join(""));
      await eventually(
        () => cluster.kubectl`get services -o name`,
        (names) => expect(names).toContain("crowd-10"),
      );
      process.kill(server.pid, "SIGKILL");
      crowding.kill();
      await new Promise((done) => setTimeout(done, outageSeconds * 1000));
      await cluster.pinnace("up");

      const spec = "type: NodePort, clusterIP: 10.96.5.5, ports: [{ port: 80, nodePort: 30555 }]";
      expect(await want("second", spec)).toContain("provided IP is already allocated");
      expect(await want("second", spec.replace("5.5,", "5.6,"))).toContain("provided port is already allocated");
      // The refused ones took nothing.
      await cluster.kubectl`delete service first`;
      expect(await want("second", spec)).toBe("");
      expect(await want("third", spec.replace("5.5,", "5.6,").replace("30555", "30556"))).toBe("");

      // Whatever of the crowd was there when the server died has its rules, on every node.
      const { items } = JSON.parse(await cluster.kubectl`get services -o json`);
      const addresses: string[] = items
        .filter(({ metadata }: { metadata: { name: string } }) => metadata.name.startsWith("crowd-"))
        .map(({ spec }: { spec: { clusterIP: string } }) => spec.clusterIP);
      expect(addresses.length).toBeGreaterThan(10);
      for (const node of ["node1", "node2"]) {
        await eventually(
          () => onNode(node, ...curl, ...addresses.map((address) => `http://${address}/`)),
          (answers) => expect(answers).toBe("Hello, a\n".repeat(addresses.length)),
        );
      }
      for (const load of loads) {
        const outcomes = await load.stop();
        expect(outcomes.filter((outcome) => outcome !== "answered")).toEqual([]);
        expect(outcomes.length).toBeGreaterThan(10);
      }
    },
    120_000 + outageSeconds * 1000,
  );

  async function podsOf(app: string): Promise<string[]> {
    return (await cluster.kubectl`get pods -l ${`app=${app}`} -o ${"jsonpath={.items[*].metadata.name}"}`).split(" ");
  }
});
