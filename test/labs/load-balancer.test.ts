/** The LoadBalancer labs: an address that stays pending, then MetalLB, its packets and its fail-over; and the headless Service beside it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../../src/testing/cluster-fixture.ts";

const application = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: dep-nginx
spec:
  replicas: 3
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      containers:
      - name: nginx
        image: nginx:1.14
        ports:
        - containerPort: 80
---
apiVersion: v1
kind: Service
metadata:
  name: service-loadbalancer
spec:
  type: LoadBalancer
  selector:
    app: nginx
  ports:
  - protocol: TCP
    port: 80
    targetPort: 80
`;

const metallbConfig = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata:
  name: default-pool
  namespace: metallb-system
spec:
  addresses:
  - 192.168.108.100-192.168.108.110
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata:
  name: default-l2
  namespace: metallb-system
spec:
  ipAddressPools:
  - default-pool
`;

const headless = `
apiVersion: v1
kind: Service
metadata:
  name: headless-service
spec:
  clusterIP: None
  selector:
    app: nginx
  ports:
  - protocol: TCP
    port: 80
    targetPort: 80
`;

const config = `
loadBalancer: metallb
nodes:
- { name: master, role: control-plane, address: 192.168.108.4 }
- { name: node1, address: 192.168.108.5 }
- { name: node2, address: 192.168.108.6 }
`;

describeCluster("the LoadBalancer and MetalLB labs", { config }, (cluster) => {
  const netns = (node: string) => `pinnace-${cluster.name}.${node}`;
  const onNode = (node: string, ...command: string[]) => cluster.host("ip", "netns", "exec", netns(node), ...command);
  const page = (address: string) => cluster.host("curl", "-s", "--max-time", "5", `http://${address}`);

  /** The hardware address that this machine knows for an address on the LAN. */
  const ownerOf = async (address: string) => {
    const neighbours = await cluster.host("ip", "neigh", "show", address);
    return /lladdr (\S+)/.exec(neighbours)?.[1];
  };
  const macOfNode = async (node: string) => (await onNode(node, "cat", "/sys/class/net/eth0/address")).trim();
  const announcer = async () => {
    const events = await cluster.kubectl`get events --field-selector reason=nodeAssigned -o json`;
    const { items } = JSON.parse(events) as { items: { message: string; lastTimestamp: string }[] };
    const names = items.map(({ message }) => /from node "(\S+)"/.exec(message)?.[1]);
    const macs = await Promise.all(["master", "node1", "node2"].map(macOfNode));
    const owner = await ownerOf("192.168.108.100");
    const node = ["master", "node1", "node2"][macs.indexOf(owner ?? "")];
    expect(names).toContain(node);
    return node!;
  };

  test("without a pool the external address stays pending", async () => {
    await cluster.apply(application);
    await cluster.kubectl`rollout status deployment/dep-nginx --timeout=60s`;
    expect(await cluster.kubectl`get service service-loadbalancer`).toMatch(
      /service-loadbalancer +LoadBalancer +10\.96\.\d+\.\d+ +<pending> +80:3\d{4}\/TCP/,
    );
    await expect(cluster.pinnace("why", "svc/service-loadbalancer")).rejects.toMatchObject({
      stdout: expect.stringContaining("MetalLB runs, but has no IPAddressPool"),
    });
  });

  test("kubectl get -w shows the address when the pool has come", async () => {
    const watch = spawn("kubectl", ["get", "svc", "service-loadbalancer", "-w"], {
      env: { ...process.env, KUBECONFIG: cluster.kubeconfig },
    });
    let shown = "";
    watch.stdout.on("data", (chunk) => (shown += chunk));
    try {
      await expect.poll(() => shown, { timeout: 20_000 }).toContain("<pending>");
      await cluster.apply(metallbConfig);
      await expect.poll(() => shown, { timeout: 20_000 }).toMatch(/LoadBalancer +\S+ +192\.168\.108\.100 +80:3/);
    } finally {
      watch.kill();
      await once(watch, "close");
    }
    expect(await cluster.kubectl`get ipaddresspools -n metallb-system`).toMatch(
      /default-pool +true +false +\["192\.168\.108\.100-192\.168\.108\.110"\]/,
    );
  });

  test("the strictARP step works on kube-proxy's ConfigMap", async () => {
    const before = await cluster.kubectl`get configmap kube-proxy -n kube-system -o yaml`;
    expect(before).toContain("strictARP: false");
    const changed = before.replace("strictARP: false", "strictARP: true");
    const { stdout } = await cluster.kubectlRaw(["apply", "-f", "-", "-n", "kube-system"], changed);
    expect(stdout).toBe("configmap/kube-proxy configured\n");
    expect(await cluster.kubectl`get configmap kube-proxy -n kube-system -o yaml`).toContain("strictARP: true");
  });

  test("the address answers outside, and its node's ARP reply is on the LAN", async () => {
    const host = `pn-${cluster.name}`;
    const capture = spawn("tcpdump", ["-nli", host, "-c", "1", "arp[6:2] == 2 and arp[14:4] == 0xc0a86c64"]);
    let seen = "";
    capture.stdout.on("data", (chunk) => (seen += chunk));
    const closed = once(capture, "close");
    await new Promise<void>((resolve) => {
      capture.stderr.on("data", (chunk) => String(chunk).includes("listening on") && resolve());
    });
    execFileSync("ip", ["neigh", "flush", "to", "192.168.108.100"]);
    await eventually(
      () => page("192.168.108.100"),
      (text) => expect(text).toContain("Welcome to nginx!"),
    );
    await closed;
    expect(seen).toContain(`192.168.108.100 is-at ${await macOfNode(await announcer())}`);
    const description = await cluster.kubectl`describe svc service-loadbalancer`;
    expect(description).toMatch(/IPAllocated .*metallb-controller +Assigned IP \["192\.168\.108\.100"\]/);
    expect(description).toMatch(/nodeAssigned .*metallb-speaker +announcing from node "\w+" with protocol "layer2"/);
  });

  test("on the announcing node the destination is rewritten to each of the pods", async () => {
    const node = await announcer();
    const ips = (await cluster.kubectl`get pods -l app=nginx -o ${"jsonpath={.items[*].status.podIP}"}`).split(" ");
    const capture = spawn("ip", ["netns", "exec", netns(node), "tcpdump", "-nli", "any", "tcp dst port 80"]);
    let seen = "";
    capture.stdout.on("data", (chunk) => (seen += chunk));
    const closed = once(capture, "close");
    try {
      await new Promise<void>((resolve) => {
        capture.stderr.on("data", (chunk) => String(chunk).includes("listening on") && resolve());
      });
      await eventually(
        () => page("192.168.108.100"),
        () => {
          expect(seen).toContain("> 192.168.108.100.80");
          for (const ip of ips) expect(seen).toContain(`> ${ip}.80`);
        },
      );
    } finally {
      capture.kill();
      await closed;
    }
  });

  test("another node takes the address over when its own is cut off from the LAN", async () => {
    const node = await announcer();
    const lan = `pinnace-${cluster.name}_switch`;
    const port = `to-${node}`;
    await cluster.host("ip", "-n", lan, "link", "set", port, "down");
    try {
      const lost = await macOfNode(node);
      await eventually(
        () => ownerOf("192.168.108.100"),
        (owner) => expect(owner).not.toBe(lost),
      );
    } finally {
      await cluster.host("ip", "-n", lan, "link", "set", port, "up");
    }
    await eventually(
      () => page("192.168.108.100"),
      (text) => expect(text).toContain("Welcome to nginx!"),
    );
  });

  test("an address outside every pool or of another Service, and a pool that overlaps, are refused in events; others are not touched", async () => {
    await cluster.apply(`
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: { name: over, namespace: metallb-system }
spec: { addresses: [192.168.108.90-192.168.108.105] }
---
apiVersion: v1
kind: Service
metadata: { name: second, annotations: { metallb.io/loadBalancerIPs: 192.168.108.100 } }
spec: { type: LoadBalancer, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: third, annotations: { metallb.io/address-pool: over } }
spec: { type: LoadBalancer, ports: [{ port: 80 }] }
`);
    await eventually(
      () => cluster.kubectl`describe ipaddresspool over -n metallb-system`,
      (text) =>
        expect(text).toMatch(
          /Warning +ConfigError .*192\.168\.108\.90-192\.168\.108\.105.* overlaps with already defined/,
        ),
    );
    await eventually(
      () => cluster.kubectl`get events --field-selector reason=AllocationFailed`,
      (text) => {
        expect(text).toMatch(/service\/second +Failed to allocate IP for "default\/second"/);
        expect(text).toMatch(/service\/third +Failed to allocate IP for "default\/third"/);
      },
    );
    await cluster.kubectl`create service loadbalancer elsewhere --tcp=80`;
    await cluster.kubectl`annotate svc elsewhere metallb.io/loadBalancerIPs=10.1.1.1`;
    await eventually(
      () => cluster.kubectl`describe svc elsewhere`,
      (text) =>
        expect(text).toMatch(
          /AllocationFailed .*Failed to allocate IP for "default\/elsewhere": \["10\.1\.1\.1"\] is not allowed in config/,
        ),
    );
    expect(await cluster.kubectl`get svc elsewhere`).toContain("<pending>");
    expect(await cluster.kubectl`get svc service-loadbalancer`).toContain("192.168.108.100");
    await cluster.kubectl`delete svc elsewhere second third`;
    await cluster.kubectl`delete ipaddresspool over -n metallb-system`;
  });

  test("a headless Service names the pods' own addresses", async () => {
    await cluster.apply(headless);
    expect(await cluster.kubectl`get svc headless-service`).toMatch(
      /headless-service +ClusterIP +None +<none> +80\/TCP/,
    );
    const ips = (await cluster.kubectl`get pods -l app=nginx -o ${"jsonpath={.items[*].status.podIP}"}`).split(" ");
    await eventually(
      () => onNode("node1", "dig", "+short", "@10.96.0.10", "headless-service.default.svc.cluster.local"),
      (answer) => expect(answer.trim().split("\n").sort()).toEqual([...ips].sort()),
    );
  });

  test("when the pool goes the address is pending again, and nobody answers for it", async () => {
    await cluster.kubectl`delete ipaddresspool default-pool -n metallb-system`;
    await eventually(
      () => cluster.kubectl`get svc service-loadbalancer`,
      (text) => expect(text).toContain("<pending>"),
    );
    for (const node of ["master", "node1", "node2"]) {
      await eventually(
        () => onNode(node, "ip", "neigh", "show", "proxy"),
        (proxies) => expect(proxies).toBe(""),
      );
    }
  });
});
