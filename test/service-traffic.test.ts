/** Which of a Service's pods answer whom: zones, nodes, pods that are not ready. Seen by who answers. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const config = `
nodes:
- { name: master, role: control-plane }
- { name: a1, labels: { topology.kubernetes.io/zone: a } }
- { name: a2, labels: { topology.kubernetes.io/zone: a } }
- { name: b1, labels: { topology.kubernetes.io/zone: b } }
`;

const pod = (node: string, more = "") => `
apiVersion: v1
kind: Pod
metadata: { name: on-${node}, labels: { app: web } }
spec:
  nodeName: ${node}
  containers:
  - name: echo
    image: "pinnace.local/echo:1"
    ports: [{ containerPort: 8080 }]
    ${more}
---`;

const service = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: unready }
spec: { selector: { app: unready }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: unready, labels: { app: unready } }
spec:
  nodeName: b1
  containers:
  - name: echo
    image: "pinnace.local/echo:1"
    readinessProbe: { exec: { command: ["false"] } }
---
`;

describeCluster("a Service's traffic", { config }, (cluster) => {
  /** Who answers the node in a number of requests, each a connection of its own. */
  const answering = async (node: string, service = "web", times = 10) => {
    const address = await cluster.kubectl`get service ${service} -o jsonpath={.spec.clusterIP}`;
    const script = `for i in $(seq ${times}); do curl -s -m 2 --noproxy '*' http://${address}/; echo; done`;
    const text = await cluster.host("ip", "netns", "exec", `pinnace-${cluster.name}.${node}`, "sh", "-c", script);
    return [...new Set([...text.matchAll(/Hello, (\S+)/g)].map(([, name]) => name))].sort();
  };
  const becomes = (node: string, names: string[]) =>
    eventually(
      () => answering(node),
      (is) => expect(is).toEqual(names),
    );
  const patch = (spec: string) => cluster.kubectl`patch service web --type=merge -p ${`{"spec":${spec}}`}`;

  test("every pod answers, wherever the client is", async () => {
    await cluster.apply(`${pod("a1")}${pod("a2")}${pod("b1")}${service}`);
    for (const name of ["on-a1", "on-a2", "on-b1"])
      await cluster.kubectl`wait --for=condition=Ready pod/${name} --timeout=60s`;
    await becomes("a1", ["on-a1", "on-a2", "on-b1"]);
  });

  test("trafficDistribution prefers the client's zone, and follows the node's label", async () => {
    await patch('{"trafficDistribution":"PreferSameZone"}');
    await becomes("a1", ["on-a1", "on-a2"]);
    await becomes("b1", ["on-b1"]);
    // No zone of its own: any will do.
    await becomes("master", ["on-a1", "on-a2", "on-b1"]);
    await cluster.kubectl`label node master topology.kubernetes.io/zone=b`;
    await becomes("master", ["on-b1"]);
  });

  test("trafficDistribution prefers the client's node, then its zone", async () => {
    await patch('{"trafficDistribution":"PreferSameNode"}');
    await becomes("a1", ["on-a1"]);
    await becomes("a2", ["on-a2"]);
    await becomes("master", ["on-b1"]);
  });

  test("topology-mode Auto goes before it, gives each zone its share of the endpoints, and says so", async () => {
    const events = (reason: string) =>
      eventually(
        () => cluster.kubectl`get events --field-selector ${`reason=${reason},involvedObject.name=web`}`,
        (text) => expect(text).toContain("addressType: IPv4"),
      );
    await cluster.kubectl`annotate service web service.kubernetes.io/topology-mode=Auto`;
    await becomes("a1", ["on-a1", "on-a2"]);
    await becomes("b1", ["on-b1"]);
    await events("TopologyAwareHintsEnabled");
    // One of three is less than a zone needs when it has two thirds of the CPUs.
    await cluster.kubectl`label pod on-a2 app=other --overwrite`;
    await becomes("a1", ["on-a1", "on-b1"]);
    await events("TopologyAwareHintsDisabled");
  });

  test("a pod that is not ready answers only where its Service publishes it", async () => {
    expect(await answering("a1", "unready", 1)).toEqual([]);
    await cluster.kubectl`patch service unready --type=merge -p ${'{"spec":{"publishNotReadyAddresses":true}}'}`;
    await eventually(
      () => answering("a1", "unready", 2),
      (is) => expect(is).toEqual(["unready"]),
    );
  });
});
