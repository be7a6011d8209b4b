/** CNI plugins in place of the built-in pod network: Debian's, by a configuration as upstream's nodes have it. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { podNetns } from "../src/testing/packets.ts";

const plugins = ["/opt/cni/bin", "/usr/lib/cni"].find((folder) => existsSync(join(folder, "bridge")));
const confDir = mkdtempSync(join(tmpdir(), "pinnace-cni-"));
afterAll(() => rmSync(confDir, { recursive: true, force: true }));

const conflist = (more: object = {}) =>
  JSON.stringify({
    cniVersion: "0.4.0",
    name: "lab",
    plugins: [
      {
        type: "bridge",
        bridge: "lab0",
        isGateway: true,
        hairpinMode: true,
        ipam: { type: "host-local", ranges: [[{ subnet: "{{.PodCIDR}}" }]], routes: [{ dst: "0.0.0.0/0" }] },
        ...more,
      },
      { type: "tuning", sysctl: { "net.core.somaxconn": "512" } },
    ],
  });

const config = `
network: { cni: { confDir: ${confDir} } }
nodes:
- { name: master, role: control-plane, address: 192.168.118.4 }
- { name: node1, address: 192.168.118.5 }
- { name: node2, address: 192.168.118.6 }
`;

const pod = (name: string, node: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: web } }
spec:
  nodeName: ${node}
  terminationGracePeriodSeconds: 1
  containers: [{ name: echo, image: "pinnace.local/echo:1" }]
---`;

const service = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`;

describe.skipIf(!plugins)("with CNI plugins (skipped where containernetworking-plugins is not installed)", () => {
  describeCluster("a network made by CNI plugins", { config }, (cluster) => {
    const curl = ["curl", "-s", "-m", "2", "--noproxy", "*"];
    const from = async (name: string, url: string) =>
      cluster.host("ip", "netns", "exec", await podNetns(cluster, name), ...curl, url);
    const ipOf = (name: string) => cluster.kubectl`get pod ${name} -o ${"jsonpath={.status.podIP}"}`;

    test("a pod waits, with an event that says why, until there is a configuration", async () => {
      const ready = "jsonpath={.status.conditions[?(@.type=='Ready')]['status','reason','message']}";
      expect(await cluster.kubectl`get node node1 -o ${ready}`).toBe(
        "False KubeletNotReady container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized",
      );
      await cluster.apply(pod("a", "node1"));
      await eventually(
        () => cluster.kubectl`describe pod a`,
        (text) => expect(text).toContain("cni plugin not initialized: no networks found in"),
      );
      writeFileSync(join(confDir, "10-lab.conflist"), conflist({ type: "no-such-plugin" }));
      await eventually(
        () => cluster.kubectl`describe pod a`,
        (text) => expect(text).toContain('failed to find plugin "no-such-plugin" in path ['),
      );
      writeFileSync(join(confDir, "10-lab.conflist"), conflist());
      await cluster.kubectl`wait --for=condition=Ready node/master node/node1 node/node2 pod/a --timeout=60s`;
    });

    test("pods have addresses of the plugin's, and reach each other on one node and across nodes", async () => {
      await cluster.apply([pod("b", "node1"), pod("c", "node2"), service].join(""));
      await cluster.kubectl`wait --for=condition=Ready pod --all --timeout=60s`;
      const [a, b, c] = await Promise.all(["a", "b", "c"].map(ipOf));
      expect([a, b, c].map((ip) => ip?.replace(/\d+$/, ""))).toEqual(["10.244.1.", "10.244.1.", "10.244.2."]);
      const links = await cluster.host("ip", "-n", `pinnace-${cluster.name}.node1`, "-br", "link");
      expect(links).toContain("lab0");
      expect(links).not.toContain("cni0");
      for (const [asker, ip, name] of [
        ["a", b, "b"],
        ["a", c, "c"],
        ["c", a, "a"],
      ] as const)
        expect(await from(asker, `http://${ip}:8080/`)).toBe(`Hello, ${name}\n`);
      // The second plugin of the list had its turn too.
      const tuned = await cluster.host(
        "ip",
        "netns",
        "exec",
        await podNetns(cluster, "a"),
        "sysctl",
        "-n",
        "net.core.somaxconn",
      );
      expect(tuned.trim()).toBe("512");
    });

    test("Services lead to all of them, to oneself too, from pods and from outside", async () => {
      const { clusterIP, ports } = JSON.parse(await cluster.kubectl`get service web -o json`).spec;
      const seen = new Set<string>();
      await eventually(
        async () => {
          seen.add(await from("a", `http://${clusterIP}/`));
          return seen;
        },
        (answers) => expect([...answers].sort()).toEqual(["Hello, a\n", "Hello, b\n", "Hello, c\n"]),
      );
      const [program, ...args] = curl as [string, ...string[]];
      expect(await cluster.host(program, ...args, `http://192.168.118.4:${ports[0].nodePort}/`)).toContain("Hello");
    });

    test("pods outlive the server, and give their addresses back when they go", async () => {
      const { server } = JSON.parse(await cluster.pinnace("status", "-o", "json"));
      const before = await ipOf("b");
      process.kill(server.pid, "SIGKILL");
      await cluster.pinnace("up");
      expect(await from("a", `http://${before}:8080/`)).toBe("Hello, b\n");
      const given = join(cluster.home, "clusters", cluster.name, "nodes", "node1", "cni", "networks", "lab");
      const addresses = () => readdirSync(given).filter((name) => /^\d/.test(name));
      expect(addresses()).toContain(before);
      await cluster.kubectl`delete pod b`;
      await eventually(
        async () => addresses(),
        (names) => expect(names).not.toContain(before),
      );
      expect(await from("c", `http://${await ipOf("a")}:8080/`)).toBe("Hello, a\n");
    });

    test("a node's own folder comes before the common one", async () => {
      mkdirSync(join(confDir, "node2"));
      writeFileSync(join(confDir, "node2", "05-own.conflist"), conflist({ bridge: "own0" }).replace('"lab"', '"own"'));
      await cluster.apply(pod("d", "node2"));
      await cluster.kubectl`wait --for=condition=Ready pod/d --timeout=60s`;
      expect(await cluster.host("ip", "-n", `pinnace-${cluster.name}.node2`, "-br", "link")).toContain("own0");
    });
  });
});
