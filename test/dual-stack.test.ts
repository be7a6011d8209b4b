/** A cluster of both families: nodes, pods, Services, names, policies and announced addresses, seen by who answers and on the wire. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findProgram } from "../src/base/node/find-program.ts";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";
import { capturing, podNetns } from "../src/testing/packets.ts";
import { whyReport } from "../src/testing/why-report.ts";

const config = `
loadBalancer: metallb
nodes:
- { name: master, role: control-plane, address: 192.168.116.4 }
- { name: node1, address: 192.168.116.5 }
- { name: node2, address: 192.168.116.6 }
network: { ipFamilies: [IPv4, IPv6] }
`;

const lan = "fd00:c0a8:7400:";

const pod = (name: string, node: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: web, name: ${name} } }
spec:
  nodeName: ${node}
  containers: [{ name: echo, image: "pinnace.local/echo:1", ports: [{ containerPort: 8080 }] }]
---`;

const service = (name: string, spec: string) => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }], ${spec} }
---`;

const pool = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: { name: pool, namespace: metallb-system }
spec: { addresses: [192.168.116.100-192.168.116.110, "${lan}:100-${lan}:110"] }
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: { name: l2, namespace: metallb-system }
---`;

const ingress = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: web }
spec: { defaultBackend: { service: { name: both, port: { number: 80 } } } }
`;

const policy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: only-a }
spec:
  podSelector: { matchLabels: { name: c } }
  ingress: [{ from: [{ podSelector: { matchLabels: { name: a } } }] }]
`;

/** Says the addresses of each name of its first argument, by the C library's own resolver. */
const resolveProgram = `
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int compare(const void *a, const void *b) { return strcmp(a, b); }
int main(int argc, char **argv) {
  for (char *name = strtok(argv[1], " "); name; name = strtok(NULL, " ")) {
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
    static char texts[64][INET6_ADDRSTRLEN];
    int count = 0;
    if (getaddrinfo(name, "80", &hints, &found) != 0) { printf("%s: none\\n", name); continue; }
    for (struct addrinfo *each = found; each && count < 64; each = each->ai_next) {
      void *address = each->ai_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)each->ai_addr)->sin6_addr
                                                  : (void *)&((struct sockaddr_in *)each->ai_addr)->sin_addr;
      inet_ntop(each->ai_family, address, texts[count++], INET6_ADDRSTRLEN);
    }
    qsort(texts, count, sizeof texts[0], compare);
    printf("%s:", name);
    for (int i = 0; i < count; i++) printf(" %s", texts[i]);
    printf("\\n");
  }
  return 0;
}
`;

/** With this machine's glibc, for the program that is linked to it. */
const resolverPod = (folder: string) => {
  const libraries = ["/lib", "/lib64"].filter((path) => existsSync(path));
  const mounts = [["/resolvers", folder], ...libraries.map((path) => [path, path])];
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "resolver" },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "sh",
          image: "busybox",
          imagePullPolicy: "IfNotPresent",
          command: ["sleep", "3600"],
          volumeMounts: mounts.map(([mountPath], i) => ({ name: `v${i}`, mountPath, readOnly: true })),
        },
      ],
      volumes: mounts.map(([, path], i) => ({ name: `v${i}`, hostPath: { path } })),
    },
  });
};

const hasCompilers = ["gcc", "musl-gcc"].every((compiler) => findProgram(compiler) !== undefined);

describeCluster("a dual-stack cluster", { config }, (cluster) => {
  const netns = (node: string) => `pinnace-${cluster.name}.${node}`;
  const json = async (what: string) => JSON.parse(await cluster.kubectl`get ${what} -o json`);
  const ipsOf = async (name: string): Promise<string[]> =>
    (await json(`pod/${name}`)).status.podIPs.map(({ ip }: { ip: string }) => ip);
  const clusterIPsOf = async (name: string): Promise<string[]> => (await json(`service/${name}`)).spec.clusterIPs;
  const url = (address: string, port = 80) => `http://${address.includes(":") ? `[${address}]` : address}:${port}/`;
  const get = ["curl", "-sg", "-m", "2", "--noproxy", "*"];
  const ask = (address: string, port?: number) => cluster.host(get[0]!, ...get.slice(1), url(address, port));
  const askFrom = async (name: string, address: string, port?: number, patience = "2") =>
    cluster.host("ip", "netns", "exec", await podNetns(cluster, name), ...get, "-m", patience, url(address, port));
  const answerers = async (from: string, address: string, times = 12) => {
    const script = `for i in $(seq ${times}); do curl -sg -m 2 --noproxy '*' '${url(address)}'; done`;
    const text = await cluster.host("ip", "netns", "exec", await podNetns(cluster, from), "sh", "-c", script);
    return [...new Set([...text.matchAll(/Hello, (\S+)/g)].map(([, who]) => who))].sort();
  };

  test("nodes and pods have an address of each family, IPv4 first", async () => {
    await cluster.apply(
      [
        pod("a", "node1"),
        pod("b", "node1"),
        pod("c", "node2"),
        service("both", "type: NodePort, ipFamilyPolicy: PreferDualStack"),
        service("six", "ipFamilies: [IPv6]"),
        service("changing", "ipFamilyPolicy: PreferDualStack"),
        service("headless", "clusterIP: None, ipFamilyPolicy: RequireDualStack"),
        pool,
        service("lb", "type: LoadBalancer, ipFamilyPolicy: RequireDualStack"),
      ].join(""),
    );
    await cluster.kubectl`wait --for=condition=Ready pod --all --timeout=60s`;
    const { status, spec } = await json("node/node2");
    expect(status.addresses.slice(0, 2)).toEqual([
      { type: "InternalIP", address: "192.168.116.6" },
      { type: "InternalIP", address: `${lan}:6` },
    ]);
    expect(spec.podCIDRs).toEqual(["10.244.2.0/24", "fd00:10:244:2::/64"]);
    const [four, six] = await ipsOf("c");
    expect(four).toMatch(/^10\.244\.2\./);
    expect(six).toMatch(/^fd00:10:244:2::/);
  });

  describe.concurrent("with its pods ready", () => {
    test("a pod reaches pods on its own node and on others by IPv6, and is seen with its own address", async () => {
      const [, own] = await ipsOf("a");
      for (const to of ["b", "c"]) {
        const [, six] = await ipsOf(to);
        const wanted = `IP6 ${own}.`;
        await capturing(
          { netns: netns(to === "b" ? "node1" : "node2"), link: "cni0", filter: "ip6 and tcp" },
          async (seen) => {
            await eventually(
              () => askFrom("a", six!, 8080),
              (answer) => {
                expect(answer).toBe(`Hello, ${to}\n`);
                expect(seen()).toContain(wanted);
              },
            );
          },
        );
      }
    });

    test("Services have addresses of the families that they ask for, with endpoints of each", async () => {
      const both = (await json("service/both")).spec;
      expect(both.ipFamilies).toEqual(["IPv4", "IPv6"]);
      expect(both.clusterIPs[1]).toMatch(/^fd00:10:96::/);
      const six = (await json("service/six")).spec;
      expect([six.ipFamilies, six.ipFamilyPolicy]).toEqual([["IPv6"], "SingleStack"]);
      for (const address of [...both.clusterIPs, ...six.clusterIPs]) {
        await eventually(
          () => answerers("a", address),
          (names) => expect(names).toEqual(["a", "b", "c"]),
        );
      }
      const slices = (await cluster.kubectl`get endpointslices -l kubernetes.io/service-name=both`).split("\n");
      expect(slices.filter((line) => /IPv[46] +8080 +\S+,\S+,\S+/.test(line)).length).toBe(2);
    });

    test("a Service gains and loses its second address, and packets with it", async () => {
      const patch = (spec: object) =>
        cluster.kubectl`patch service changing --type=merge -p ${JSON.stringify({ spec })}`;
      const [, second] = await clusterIPsOf("changing");
      await patch({ ipFamilyPolicy: "SingleStack" });
      expect(await clusterIPsOf("changing")).toHaveLength(1);
      await expect(askFrom("a", second!, 80, "0.7")).rejects.toThrow();
      await patch({ ipFamilyPolicy: "RequireDualStack" });
      const [, third] = await clusterIPsOf("changing");
      await eventually(
        () => askFrom("a", third!),
        (answer) => expect(answer).toContain("Hello"),
      );
      await expect(patch({ ipFamilies: ["IPv6", "IPv4"] })).rejects.toThrow(
        "expected an IPv6 value as indicated by `ipFamilies[0]`",
      );
    });

    test("every node answers on its node port by both families; the destination is rewritten to pods' IPv6 addresses", async () => {
      const { nodePort } = (await json("service/both")).spec.ports[0];
      for (const node of ["192.168.116.5", `${lan}:4`, `${lan}:5`, `${lan}:6`]) {
        await eventually(
          () => ask(node, nodePort),
          (answer) => expect(answer).toContain("Hello"),
        );
      }
      const targets = await Promise.all(["a", "b", "c"].map(async (name) => (await ipsOf(name))[1]!));
      await capturing({ netns: netns("master"), link: "any", filter: "ip6 and tcp" }, (seen) =>
        eventually(
          () => ask(`${lan}:4`, nodePort),
          () => {
            expect(seen()).toContain(`> ${lan}:4.${nodePort}: Flags [S]`);
            for (const target of targets) expect(seen()).toContain(`> ${target}.8080: Flags [S]`);
          },
        ),
      );
    });

    test("why follows a request over IPv6 by the kernel's own trace, and finds where it is lost", async () => {
      const [, address = ""] = await clusterIPsOf("both");
      const found = await whyReport(cluster, url(address), { from: "pod/a" });
      expect(found).toMatchObject({ verdict: "works" });
      expect(found.steps.find(({ name }) => name === "rule")?.text).toMatch(
        /\]:80 is rewritten to \[fd.*\]:8080 \([abc] on /,
      );
      await cluster.apply(service("lost", "ipFamilies: [IPv6]").replace("targetPort: 8080", "targetPort: 81"));
      await eventually(
        () => whyReport(cluster, "svc/lost", { from: "pod/a" }),
        ({ fault }) => expect(fault?.code).toBe("wrong-target-port"),
      );
    });

    test("names have AAAA records, and addresses their names", async () => {
      const dig = async (...words: string[]) =>
        (await cluster.host("ip", "netns", "exec", netns("node1"), "dig", "+short", "@10.96.0.10", ...words)).trim();
      const [four, six] = await clusterIPsOf("both");
      expect(await dig("A", "both.default.svc.cluster.local")).toBe(four);
      expect(await dig("AAAA", "both.default.svc.cluster.local")).toBe(six);
      expect(await dig("-x", six!)).toBe("both.default.svc.cluster.local.");
      expect(await dig("A", "six.default.svc.cluster.local")).toBe("");
      const pods = await Promise.all(["a", "b", "c"].map(async (name) => (await ipsOf(name))[1]!));
      expect((await dig("AAAA", "headless.default.svc.cluster.local")).split("\n").sort()).toEqual(pods.sort());
    });

    test.skipIf(!hasCompilers)(
      "the resolvers of glibc and of musl, in pods, find names short and long, in both families (needs gcc and musl-tools)",
      async () => {
        const folder = join(cluster.home, "resolvers");
        mkdirSync(folder, { mode: 0o755 });
        writeFileSync(join(folder, "resolve.c"), resolveProgram);
        const compile = (compiler: string, ...more: string[]) =>
          cluster.host(compiler, ...more, "-o", join(folder, compiler), join(folder, "resolve.c"));
        await Promise.all([compile("gcc"), compile("musl-gcc", "-static")]);
        await cluster.apply(resolverPod(folder));
        await cluster.kubectl`wait --for=condition=Ready pod/resolver --timeout=60s`;
        const names = ["both", "both.default", "both.default.svc.cluster.local.", "headless", "kubernetes", "absent"];
        const resolve = (compiler: string) =>
          cluster.kubectl`exec resolver -- /resolvers/${compiler} ${names.join(" ")}`;
        const both = [...(await clusterIPsOf("both"))].sort().join(" ");
        const pods = (await Promise.all(["a", "b", "c"].map(ipsOf))).flat().sort().join(" ");
        const [kubernetes] = await clusterIPsOf("kubernetes");
        const wanted = [both, both, both, pods, kubernetes, "none"].map(
          (addresses, i) => `${names[i]}: ${addresses}\n`,
        );
        for (const compiler of ["gcc", "musl-gcc"]) {
          await eventually(
            () => resolve(compiler),
            (answers) => expect(answers, compiler).toBe(wanted.join("")),
          );
        }
      },
    );

    test("a policy isolates a pod in both families", async () => {
      await cluster.apply(policy);
      const addresses = await ipsOf("c");
      for (const address of addresses) {
        await eventually(
          () => askFrom("b", address, 8080, "0.7").catch(() => "refused"),
          (answer) => expect(answer).toBe("refused"),
        );
        expect(await askFrom("a", address, 8080)).toBe("Hello, c\n");
      }
      await cluster.kubectl`delete networkpolicy only-a`;
      for (const address of addresses) {
        await eventually(
          () => askFrom("b", address, 8080),
          (answer) => expect(answer).toBe("Hello, c\n"),
        );
      }
    });

    test("an Ingress answers by both families", async () => {
      await cluster.apply(ingress);
      for (const node of ["192.168.116.5", `${lan}:5`]) {
        await eventually(
          () => ask(node),
          (answer) => expect(answer).toContain("Hello"),
        );
      }
      await cluster.kubectl`delete ingress web`;
    });
  });

  test("MetalLB gives a Service both addresses; one node answers NDP, and another when it is cut off", async () => {
    const address = `${lan}:100`;
    await eventually(
      () => cluster.kubectl`get service lb`,
      (text) => expect(text).toContain(`192.168.116.100,${address}`),
    );
    const owner = async () =>
      /lladdr (\S+)/.exec(await cluster.host("ip", "-6", "neigh", "show", address))?.[1] ?? "nobody";
    const macs = new Map<string, string>();
    for (const node of ["master", "node1", "node2"])
      macs.set(
        (await cluster.host("ip", "netns", "exec", netns(node), "cat", "/sys/class/net/eth0/address")).trim(),
        node,
      );
    const link = `pn-${cluster.name}`;
    await cluster.host("ip", "-6", "neigh", "flush", "dev", link);
    await capturing({ link, filter: "icmp6" }, async (seen) => {
      await eventually(
        () => ask(address),
        (answer) => {
          expect(answer).toContain("Hello");
          expect(seen()).toMatch(new RegExp(`neighbor advertisement, tgt is ${address}`));
        },
      );
    });
    const before = await owner();
    const node = macs.get(before);
    expect(node).toBeDefined();
    const network = `pinnace-${cluster.name}_switch`;
    await capturing({ link, filter: "icmp6" }, async (seen) => {
      await cluster.host("ip", "-n", network, "link", "set", `to-${node}`, "down");
      try {
        // Unasked: those who know the old owner must hear of the new one.
        await eventually(
          async () => seen(),
          (text) => expect(text).toMatch(new RegExp(`> ff02::1: ICMP6, neighbor advertisement, tgt is ${address}`)),
        );
        await eventually(owner, (mac) => {
          expect(mac).not.toBe(before);
          expect(macs.has(mac)).toBe(true);
        });
      } finally {
        await cluster.host("ip", "-n", network, "link", "set", `to-${node}`, "up");
      }
    });
    await eventually(
      () => ask(address),
      (answer) => expect(answer).toContain("Hello"),
    );
  });
});
