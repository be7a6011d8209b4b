/** MetalLB's BGP mode against a real router: BIRD in a namespace of its own on the nodes' LAN. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findProgram } from "../src/base/node/find-program.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const address = "203.0.113.10";

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - { name: echo, image: "pinnace.local/echo:1", ports: [{ containerPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { metallb.io/loadBalancerIPs: ${address} } }
spec: { type: LoadBalancer, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`;

const metallb = (router: string) => `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: { name: public, namespace: metallb-system }
spec: { addresses: [203.0.113.0/24] }
---
apiVersion: metallb.io/v1beta1
kind: Community
metadata: { name: ours, namespace: metallb-system }
spec: { communities: [{ name: vpn, value: "64512:77" }] }
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: { name: public, namespace: metallb-system }
spec: { ipAddressPools: [public], communities: [vpn, "large:4200000000:1:2"] }
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: { name: fast, namespace: metallb-system }
spec: { receiveInterval: 300 }
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: { name: router, namespace: metallb-system }
spec: { myASN: 4200000000, peerASN: 64513, peerAddress: ${router}, holdTime: 9s, password: shared, bfdProfile: fast }
`;

const hasBird = findProgram("bird") !== undefined;

describeCluster("MetalLB's BGP mode", { nodes: 2, config: "loadBalancer: metallb\n" }, (cluster) => {
  const netns = `pnt-bgp-${process.pid}`;
  let bird: ChildProcess | undefined;
  const birdc = (...words: string[]) => cluster.host("birdc", "-s", join(cluster.home, "bird.ctl"), ...words);
  const inRouter = (...command: string[]) => cluster.host("ip", "netns", "exec", netns, ...command);
  const ask = () => inRouter("curl", "-s", "-m", "5", "--noproxy", "*", `http://${address}/`);

  afterAll(async () => {
    if (bird && bird.exitCode === null) {
      const ended = new Promise((resolve) => bird!.once("exit", resolve));
      bird.kill();
      await ended;
    }
    if (hasBird) execFileSync("ip", ["netns", "delete", netns]);
  });

  test.skipIf(!hasBird)(
    "nodes announce a Service's address, a router learns it, and its clients reach pods",
    async () => {
      const nodes = (
        await cluster.kubectl`get nodes -o ${"jsonpath={range .items[*]}{.status.addresses[0].address}{' '}{end}"}`
      )
        .trim()
        .split(" ");
      const router = nodes[0]!.replace(/\d+$/, "250");
      const switchNetns = `pinnace-${cluster.name}_switch`;
      const [{ ifname: bridge }] = JSON.parse(
        await cluster.host("ip", "-n", switchNetns, "-j", "link", "show", "type", "bridge"),
      );
      await cluster.host("ip", "netns", "add", netns);
      const cable = ["link", "add", "router", "type", "veth", "peer", "name", "eth0", "netns", netns];
      await cluster.host("ip", "-n", switchNetns, ...cable);
      await cluster.host("ip", "-n", switchNetns, "link", "set", "router", "master", bridge, "up");
      await cluster.host("ip", "-n", netns, "address", "add", `${router}/24`, "dev", "eth0");
      for (const link of ["lo", "eth0"]) await cluster.host("ip", "-n", netns, "link", "set", link, "up");
      const sessions = nodes.map(
        (node, i) =>
          `protocol bgp node${i} { local ${router} as 64513; neighbor ${node} as 4200000000; password "shared"; ipv4 { import all; export none; }; error wait time 1, 2; }`,
      );
      const config = join(cluster.home, "bird.conf");
      writeFileSync(
        config,
        `router id ${router};\nprotocol device {}\nprotocol kernel { merge paths on; ipv4 { export all; }; }\n${sessions.join("\n")}\n`,
      );
      const args = [
        "netns",
        "exec",
        netns,
        findProgram("bird")!,
        "-f",
        "-c",
        config,
        "-s",
        join(cluster.home, "bird.ctl"),
      ];
      bird = spawn("ip", args, { stdio: "ignore" });

      await cluster.apply(web);
      await cluster.kubectl`rollout status deployment/web --timeout=60s`;
      await cluster.apply(metallb(router));
      const routes = () => birdc("show", "route", "all");
      const text = await eventually(routes, (routes) => {
        for (const node of nodes) expect(routes).toContain(`via ${node} on eth0`);
      });
      expect(text).toContain(`${address}/32`);
      expect(text).toContain("BGP.as_path: 4200000000");
      expect(text).toContain("BGP.community: (64512,77)");
      expect(text).toContain("BGP.large_community: (4200000000, 1, 2)");
      expect(await inRouter("ip", "route", "show", address)).toContain("nexthop");
      expect(await ask()).toContain("Hello, web-");
      expect(await cluster.kubectl`get events -n metallb-system`).toContain("SessionUp");
    },
  );

  test.skipIf(!hasBird)("a Service without endpoints is withdrawn, and so is one that is gone", async () => {
    const routes = () => birdc("show", "route");
    await cluster.kubectl`scale deployment web --replicas=0`;
    await eventually(routes, (text) => expect(text).not.toContain(address));
    await cluster.kubectl`scale deployment web --replicas=1`;
    await eventually(routes, (text) => expect(text).toContain(address));
    expect(await ask()).toContain("Hello, web-");
    await cluster.kubectl`delete service web`;
    await eventually(routes, (text) => expect(text).not.toContain(address));
  });

  test.skipIf(!hasBird)("external policy Local is announced by the nodes with endpoints only", async () => {
    await cluster.apply(web);
    await cluster.kubectl`patch service web --patch ${'{"spec":{"externalTrafficPolicy":"Local"}}'}`;
    await cluster.kubectl`scale deployment web --replicas=1`;
    await cluster.kubectl`rollout status deployment/web --timeout=60s`;
    const on = await cluster.kubectl`get pods -l app=web -o jsonpath={.items[0].status.hostIP}`;
    await eventually(
      () => birdc("show", "route"),
      (text) => expect(text.match(/via [\d.]+/g)).toEqual([`via ${on}`]),
    );
    expect(await ask()).toContain("Hello, web-");
  });

  test.skipIf(!hasBird)(
    "a peer that is taken away hears so; another AS number is refused with an event, and another password with silence",
    async () => {
      const change = (spec: object) =>
        cluster.kubectl`patch bgppeer router -n metallb-system --type=merge -p ${JSON.stringify({ spec })}`;
      const hasRoute = (is: boolean) =>
        eventually(
          () => birdc("show", "route"),
          (text) => expect(text.includes(address)).toBe(is),
        );
      await change({ password: "wrong" });
      await hasRoute(false);
      const says = (words: string) =>
        eventually(
          () => cluster.kubectl`describe bgppeer router -n metallb-system`,
          (text) => expect(text).toContain(words),
        );
      await change({ password: null, passwordSecret: { name: "bgp" } });
      await says('secret ref not found for peer config "router": metallb-system/bgp');
      await cluster.kubectl`create secret generic bgp -n metallb-system --type=kubernetes.io/basic-auth --from-literal=username= --from-literal=password=shared`;
      await hasRoute(true);
      await cluster.kubectl`patch bgppeer router -n metallb-system --type=merge -p ${'{"spec":{"peerASN":64999}}'}`;
      await eventually(
        () => birdc("show", "route"),
        (text) => expect(text).not.toContain(address),
      );
      await says("the peer is AS 64513, not 64999");
      await cluster.kubectl`patch bgppeer router -n metallb-system --type=merge -p ${'{"spec":{"peerASN":64513}}'}`;
      await eventually(
        () => birdc("show", "route"),
        (text) => expect(text).toContain(address),
      );
      await change({ bfdProfile: "slow" });
      await says('peer "router" referencing non existing bfd profile "slow"');
      await hasRoute(false);
      await change({ bfdProfile: "fast" });
      await hasRoute(true);
      await cluster.kubectl`delete bgppeer router -n metallb-system`;
      await eventually(
        () => birdc("show", "route"),
        (text) => expect(text).not.toContain(address),
      );
    },
  );
});
