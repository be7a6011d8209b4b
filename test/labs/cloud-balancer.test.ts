/** A cloud's load balancer in front of the nodes: an address outside them, healthy nodes only, and nothing left of it afterwards. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../../src/testing/cluster-fixture.ts";
import { whyReport } from "../../src/testing/why-report.ts";

const application = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hostname
spec:
  replicas: 2
  selector:
    matchLabels:
      app: hostname
  template:
    metadata:
      labels:
        app: hostname
    spec:
      containers:
      - name: nginx
        image: nginx:latest
---
apiVersion: v1
kind: Service
metadata:
  name: hostname-svc-lb
spec:
  type: LoadBalancer
  selector:
    app: hostname
  ports:
  - port: 80
    targetPort: 80
`;

const config = `
loadBalancer: cloud
nodes:
- { name: master, role: control-plane, address: 172.30.77.2 }
- { name: node1, address: 172.30.77.3 }
- { name: node2, address: 172.30.77.4 }
`;

describeCluster("a cloud's load balancer", { config }, (cluster) => {
  const page = (address: string) => cluster.host("curl", "-s", "--max-time", "5", `http://${address}`);
  const rules = () =>
    cluster.host("ip", "netns", "exec", `pinnace-${cluster.name}_balancer`, "nft", "list", "table", "ip", "balancer");

  test("the Service gets an address that is no node's, and answers there", async () => {
    await cluster.apply(application);
    await cluster.kubectl`rollout status deployment/hostname --timeout=60s`;
    await eventually(
      () => cluster.kubectl`get svc hostname-svc-lb`,
      (text) => expect(text).toMatch(/hostname-svc-lb +LoadBalancer +10\.96\S+ +172\.30\.77\.254 +80:3\d{4}\/TCP/),
    );
    await eventually(
      () => page("172.30.77.254"),
      (text) => expect(text).toContain("Welcome to nginx!"),
    );
    expect(await cluster.kubectl`describe svc hostname-svc-lb`).toMatch(
      /EnsuredLoadBalancer .*service-controller +Ensured load balancer/,
    );
    for (const node of ["172.30.77.2", "172.30.77.3", "172.30.77.4"]) expect(await rules()).toContain(node);
  });

  test("why follows a request through it to the node's rule and the pod", async () => {
    const { steps, verdict } = await whyReport(cluster, "svc/hostname-svc-lb");
    expect(verdict).toBe("works");
    expect(steps.find(({ name }) => name === "rule")?.text).toMatch(
      /^172\.30\.77\.\d:3\d{4} is rewritten to 10\.244\./,
    );
  });

  test("pods reach it too", async () => {
    const pods = await cluster.kubectl`get pods -l app=hostname -o name`;
    const pod = pods.split("\n")[0]!.replace("pod/", "");
    const answer = await cluster.kubectl`exec ${pod} -- curl -s --max-time 5 http://172.30.77.254`;
    expect(answer).toContain("Welcome to nginx!");
  });

  test("with policy Local only nodes that have a pod get traffic", async () => {
    await cluster.kubectl`scale deployment hostname --replicas=1`;
    await cluster.kubectl`rollout status deployment/hostname --timeout=60s`;
    await cluster.kubectl`patch svc hostname-svc-lb -p ${JSON.stringify({ spec: { externalTrafficPolicy: "Local" } })}`;
    const address = await eventually(
      () =>
        cluster.kubectl`get pods -l app=hostname --field-selector status.phase=Running -o ${"jsonpath={.items[*].status.hostIP}"}`,
      (text) => expect(text).toMatch(/^172\.30\.77\.\d$/),
    );
    await eventually(rules, (text) => {
      const targets = text.match(/172\.30\.77\.[234] \. 3\d{4}/g) ?? [];
      expect(targets.map((target) => target.split(" ")[0])).toEqual([address]);
    });
    await eventually(
      () => page("172.30.77.254"),
      (text) => expect(text).toContain("Welcome to nginx!"),
    );
  });

  test("a balancer that AWS' annotations ask for has a host name, which pods resolve", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Service
metadata:
  name: named
  annotations: { service.beta.kubernetes.io/aws-load-balancer-type: nlb }
spec:
  type: LoadBalancer
  sessionAffinity: ClientIP
  selector: { app: hostname }
  ports: [{ port: 80 }]
`);
    const text = await eventually(
      () => cluster.kubectl`get svc named`,
      (text) =>
        expect(text).toMatch(/named +LoadBalancer +10\.96\S+ +a[0-9a-f]{31}-[0-9a-f]{16}\.elb\.pinnace\.local +80:3/),
    );
    const [hostname] = /a[0-9a-f]{31}-\S+/.exec(text)!;
    const pod = (await cluster.kubectl`get pods -l app=hostname -o name`).split("\n")[0]!.replace("pod/", "");
    await eventually(
      () => cluster.kubectl`exec ${pod} -- curl -s --max-time 5 http://${hostname}`,
      (answer) => expect(answer).toContain("Welcome to nginx!"),
    );
    const address = (await cluster.host("dig", "+short", "@172.30.77.2", hostname)).trim();
    expect(address).toMatch(/^172\.30\.77\.\d+$/);
    expect(await page(address)).toContain("Welcome to nginx!");
    await cluster.kubectl`delete svc named --timeout=20s`;
    expect((await cluster.host("dig", "+short", "@172.30.77.2", hostname)).trim()).toBe("");
  });

  test("an address outside the LAN, and a Service without node ports, are refused in events", async () => {
    const balanced = (name: string, spec: string) =>
      `apiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { type: LoadBalancer, ${spec}, ports: [{ port: 80 }] }\n---\n`;
    await cluster.apply(
      balanced("far", "loadBalancerIP: 10.1.1.1") + balanced("bare", "allocateLoadBalancerNodePorts: false"),
    );
    await eventually(
      () => cluster.kubectl`describe svc far`,
      (text) =>
        expect(text).toContain("failed to ensure load balancer: requested address 10.1.1.1 is not in 172.30.77.0/24"),
    );
    await eventually(
      () => cluster.kubectl`describe svc bare`,
      (text) => expect(text).toContain("load balancers send to node ports, and the Service has none"),
    );
    await cluster.kubectl`delete svc far bare`;
  });

  test("a deleted Service goes with its balancer", async () => {
    await cluster.kubectl`delete svc hostname-svc-lb --timeout=20s`;
    await eventually(rules, (text) => expect(text).not.toContain("172.30.77.254"));
    await expect(cluster.host("curl", "-s", "--max-time", "0.7", "http://172.30.77.254")).rejects.toThrow();
  });
});
