/** What the labs have their readers see with tcpdump and curl: on a node's interface, on the LAN, from pods, nodes and this machine. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { listenIn, netnsPath } from "../../src/base/node/netns.ts";
import { describeCluster, eventually } from "../../src/testing/cluster-fixture.ts";
import { capturing, podNetns } from "../../src/testing/packets.ts";

const config = `
nodes:
- { name: myserver01, role: control-plane, address: 10.0.2.4 }
- { name: myserver02, address: 10.0.2.5 }
- { name: myserver03, address: 10.0.2.6 }
network: { lan: 10.0.2.0/24 }
`;

const deployment = `
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
`;

const service = (name: string, spec: string) => `
apiVersion: v1
kind: Service
metadata:
  name: ${name}
spec:
  selector:
    app: nginx
${spec}
---
`;

describeCluster("the labs' packets", { config }, (cluster) => {
  const netns = (node: string) => `pinnace-${cluster.name}.${node}`;
  const onNode = (node: string, script: string) => cluster.host("ip", "netns", "exec", netns(node), "sh", "-c", script);
  const clusterIPOf = (name: string) => cluster.kubectl`get service ${name} -o ${"jsonpath={.spec.clusterIP}"}`;
  const podIPs = async () =>
    (await cluster.kubectl`get pods -l app=nginx -o ${"jsonpath={.items[*].status.podIP}"}`).split(" ");
  const welcome = "<h1>Welcome to nginx!</h1>";
  const macOf = async (node: string) => (await onNode(node, "cat /sys/class/net/eth0/address")).trim();

  test("ClusterIP: on the node's interface the destination is the pods' addresses in turn, never the Service's", async () => {
    await cluster.apply(
      deployment + service("clusterip-service", "  ports:\n  - protocol: TCP\n    port: 80\n    targetPort: 80"),
    );
    await cluster.kubectl`rollout status deployment/dep-nginx --timeout=60s`;
    expect(await cluster.kubectl`get pods -l app=nginx -o wide`).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n(dep-nginx-\S+ +1\/1 +Running +0 +\S+ +10\.244\.\d+\.\d+ +myserver0[23] +<none> +<none>\n){3}$/,
    );
    const address = await clusterIPOf("clusterip-service");
    const ips = await podIPs();
    const description = await cluster.kubectl`describe svc clusterip-service`;
    for (const ip of ips) expect(description).toMatch(new RegExp(`Endpoints:.*\\b${ip}:80`));
    // sudo tcpdump -i eth0 -n tcp dst port 80
    await capturing({ netns: netns("myserver01"), link: "eth0", filter: "tcp dst port 80" }, async (seen) => {
      await eventually(
        () => onNode("myserver01", `for i in 1 2 3 4 5 6 7 8 9 10; do curl -s ${address}; done`),
        (pages) => {
          expect(pages.split(welcome).length).toBe(11);
          for (const ip of ips) expect(seen()).toContain(`> ${ip}.80: Flags [S]`);
        },
      );
      expect(seen()).not.toContain(`> ${address}.80`);
    });
  });

  test("a name leads to the Service from a pod, and not from a node", async () => {
    const url = "http://clusterip-service";
    await cluster.apply(
      "apiVersion: v1\nkind: Pod\nmetadata: { name: nginx01 }\nspec: { containers: [{ name: nginx-test01, image: 'nginx:latest' }] }\n",
    );
    await cluster.kubectl`wait --for=condition=Ready pod/nginx01 --timeout=60s`;
    expect(await cluster.kubectl`exec nginx01 -- curl -s ${url}`).toContain(welcome);
    await expect(onNode("myserver02", `curl -s -m 2 ${url}`)).rejects.toThrow();
    expect(await cluster.kubectl`get service kube-dns -n kube-system`).toMatch(
      /kube-dns +ClusterIP +10\.96\.0\.10 +<none> +53\/UDP,53\/TCP,9153\/TCP /,
    );
    expect(await onNode("myserver02", "curl -s -m 5 http://10.96.0.10:9153/metrics")).toMatch(
      /^coredns_dns_requests_total\{family="1",proto="udp",server="dns:\/\/:53",type="A",view="",zone="\."\} [1-9]/m,
    );
    expect(await onNode("myserver02", `curl -s -m 2 ${await clusterIPOf("clusterip-service")}`)).toContain(welcome);
  });

  test("a pod reaches what lies beyond the nodes' LAN, and is seen there as this machine", async () => {
    const outside = `pnt-outside-${process.pid}`;
    const link = `pnt-o${process.pid}`;
    const [ours, theirs] = [1, 2].map((last) => `198.18.77.${(process.pid % 60) * 4 + last}`) as [string, string];
    const server = createServer((socket) => socket.end(`HTTP/1.0 200 OK\r\n\r\n${socket.remoteAddress}\n`));
    await cluster.host("ip", "netns", "add", outside);
    try {
      const cable = ["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", outside];
      await cluster.host("ip", ...cable);
      await cluster.host("ip", "address", "add", `${ours}/30`, "dev", link);
      await cluster.host("ip", "link", "set", link, "up");
      await cluster.host("ip", "-n", outside, "address", "add", `${theirs}/30`, "dev", "eth0");
      await cluster.host("ip", "-n", outside, "link", "set", "eth0", "up");
      await listenIn(server, netnsPath(outside), theirs, 8080);
      await eventually(
        () => cluster.kubectl`exec nginx01 -- curl -s -m 5 ${`http://${theirs}:8080/`}`,
        (seen) => expect(seen).toBe(`${ours}\n`),
      );
    } finally {
      server.close();
      await cluster.host("ip", "netns", "delete", outside);
    }
  });

  test("NodePort: packets for the node's port come in from outside, and go on to the pods' port 80", async () => {
    await cluster.apply(
      service(
        "service-nodeport",
        "  type: NodePort\n  ports:\n  - protocol: TCP\n    port: 80\n    targetPort: 80\n    nodePort: 30000",
      ),
    );
    expect(await cluster.kubectl`get service service-nodeport -o wide`).toMatch(
      /^NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\) +AGE +SELECTOR\nservice-nodeport +NodePort +10\.96\.\S+ +<none> +80:30000\/TCP +\S+ +app=nginx\n$/,
    );
    const ips = await podIPs();
    // sudo tcpdump -i any -n tcp port 30000, and what becomes of them
    const filter = "tcp port 30000 or tcp dst port 80";
    await capturing({ netns: netns("myserver01"), link: "any", filter }, async (seen) => {
      await eventually(
        () => cluster.host("sh", "-c", "for i in 4 5 6; do curl -s -m 5 http://10.0.2.$i:30000; done"),
        (pages) => {
          expect(pages.split(welcome).length).toBe(4);
          expect(seen()).toMatch(/IP 10\.0\.2\.1\.\d+ > 10\.0\.2\.4\.30000: Flags \[S\]/);
          // The node asks in its own name, so that answers come back by it.
          for (const ip of ips)
            expect(seen()).toMatch(new RegExp(`IP 10\\.0\\.2\\.4\\.\\d+ > ${ip}\\.80: Flags \\[S\\]`));
        },
      );
    });
  });

  test("port forwarding: a port of the reader's own machine leads to a node's port, as a virtual machine's host has it", async () => {
    const forward = createServer((socket) => {
      const onward = connect(30000, "10.0.2.5");
      socket.pipe(onward).pipe(socket);
      for (const end of [socket, onward]) end.on("error", () => socket.destroy());
    });
    await once(forward.listen(0, "127.0.0.1"), "listening");
    const { port } = forward.address() as { port: number };
    expect(await cluster.host("curl", "-s", "-m", "5", `http://127.0.0.1:${port}`)).toContain(welcome);
    forward.close();
  });

  test("externalIPs: the node that has the address answers ARP for it, and its port 80 leads to the pods", async () => {
    await cluster.apply(
      service(
        "web-service-loadbalancer",
        "  type: LoadBalancer\n  externalIPs:\n  - 10.0.2.4\n  ports:\n  - protocol: TCP\n    nodePort: 31002\n    port: 80\n    targetPort: 80",
      ),
    );
    expect(await cluster.kubectl`get svc web-service-loadbalancer`).toMatch(
      /^NAME .*\nweb-service-loadbalancer +LoadBalancer +10\.96\.\S+ +10\.0\.2\.4 +80:31002\/TCP +\S+\n$/,
    );
    const link = `pn-${cluster.name}`;
    await cluster.host("ip", "neigh", "flush", "to", "10.0.2.4");
    await capturing({ link, filter: "arp or tcp dst port 80" }, async (seen) => {
      await eventually(
        () => cluster.host("curl", "-s", "-m", "5", "http://10.0.2.4"),
        (page) => {
          expect(page).toContain(welcome);
          expect(seen()).toMatch(/> 10\.0\.2\.4\.80: Flags \[S\]/);
        },
      );
      expect(seen()).toContain(`ARP, Reply 10.0.2.4 is-at ${await macOf("myserver01")}`);
    });
    const ips = await podIPs();
    await capturing({ netns: netns("myserver01"), link: "any", filter: "tcp dst port 80" }, (seen) =>
      eventually(
        () => cluster.host("curl", "-s", "-m", "5", "http://10.0.2.4"),
        () => {
          for (const ip of ips) expect(seen()).toContain(`> ${ip}.80: Flags [S]`);
        },
      ),
    );
    await expect(cluster.host("curl", "-s", "-m", "2", "http://10.0.2.5")).rejects.toThrow();
    expect(await cluster.host("curl", "-s", "-m", "5", "http://10.0.2.6:31002")).toContain(welcome);
  });

  test("headless: packets go straight to a pod's own address, which the name gives", async () => {
    await cluster.apply(
      service("headless-service", "  clusterIP: None\n  ports:\n  - protocol: TCP\n    port: 80\n    targetPort: 80"),
    );
    const pod = await podNetns(cluster, "nginx01");
    const ips = await podIPs();
    const named = await cluster.host(
      "ip",
      "netns",
      "exec",
      pod,
      "dig",
      "+short",
      "@10.96.0.10",
      "headless-service.default.svc.cluster.local",
    );
    expect(named.trim().split("\n").sort()).toEqual([...ips].sort());
    await capturing({ netns: pod, link: "eth0", filter: "tcp dst port 80" }, (seen) =>
      eventually(
        () => cluster.kubectl`exec nginx01 -- curl -s http://headless-service`,
        (page) => {
          expect(page).toContain(welcome);
          // Which one is the client's choice.
          expect(ips.some((ip) => seen().includes(`> ${ip}.80: Flags [S]`))).toBe(true);
          expect(seen()).not.toContain("> 10.96.");
        },
      ),
    );
  });

  test("sessionAffinity by kubectl edit: the capture shows one pod for one client", async () => {
    const edit = "sed -i s/sessionAffinity:.None/sessionAffinity:\\ ClientIP/";
    const command = `KUBECONFIG=${cluster.kubeconfig} KUBE_EDITOR='${edit}' kubectl edit svc service-nodeport`;
    expect(await cluster.host("sh", "-c", command)).toBe("service/service-nodeport edited\n");
    const ips = await podIPs();
    // Connections that were met before the edit may still be seen: asked until only one pod is.
    await eventually(
      () =>
        capturing({ netns: netns("myserver01"), link: "any", filter: "tcp dst port 80" }, async (seen) => {
          await cluster.host(
            "sh",
            "-c",
            "for i in $(seq 12); do curl -s -o /dev/null -m 5 http://10.0.2.4:30000; done",
          );
          await eventually(
            async () => seen(),
            (text) => expect(text).toContain("Flags [S]"),
            3000,
          );
          return ips.filter((ip) => seen().includes(`> ${ip}.80: Flags [S]`));
        }),
      (met) => expect(met).toHaveLength(1),
    );
  });

  test("the range of node ports is an option of the API server", async () => {
    const create = () =>
      cluster.kubectlRaw(["create", "service", "nodeport", "high", "--tcp=80:80", "--node-port=34567"]);
    expect((await create()).stderr).toContain(
      "provided port is not in the valid range. The range of valid ports is 30000-32767",
    );
    const { server } = JSON.parse(await cluster.pinnace("status", "-o", "json"));
    process.kill(server.pid, "SIGKILL");
    await cluster.pinnace("up", "--service-node-port-range=30000-35000");
    expect((await create()).stdout).toBe("service/high created\n");
    await cluster.kubectl`set selector service high app=nginx`;
    await eventually(
      () => cluster.host("curl", "-s", "-m", "5", "http://10.0.2.6:34567"),
      (page) => expect(page).toContain(welcome),
    );
  });
});
