/** NetworkPolicies on real pods: what a cluster's users try first. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const pods = `
apiVersion: v1
kind: Namespace
metadata:
  name: shop
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: { app: web }
  template:
    metadata:
      labels: { app: web }
    spec:
      containers:
      - name: echo
        image: pinnace.local/echo:1
        ports:
        - { name: http, containerPort: 8080 }
        readinessProbe:
          httpGet: { path: /, port: http }
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
spec:
  selector: { app: web }
  ports:
  - port: 80
    targetPort: http
---
apiVersion: v1
kind: Pod
metadata:
  name: client
  namespace: shop
  labels: { role: client }
spec:
  containers:
  - name: sh
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, "3600"]
`;

const policy = (name: string, spec: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ${name}
  namespace: shop
spec: ${spec}
`;

describeCluster("network policies", { nodes: 2 }, (cluster) => {
  const ask = async (host: string) => {
    const { stdout, exitCode } = await cluster.kubectlRaw(
      `exec -n shop client -- timeout 1 wget -q -O - http://${host}`.split(" "),
    );
    return exitCode === 0 && stdout.length > 0 ? "answered" : "silence";
  };
  const becomes = (host: string, outcome: string) =>
    eventually(
      () => ask(host),
      (is) => expect(is).toBe(outcome),
    );

  test("deny all, then allow step by step", async () => {
    await cluster.apply(pods);
    await cluster.kubectl`rollout status -n shop deployment/web --timeout=60s`;
    await cluster.kubectl`wait -n shop --for=condition=Ready pod/client --timeout=60s`;
    await becomes("web", "answered");
    await cluster.apply(policy("default-deny-ingress", "{ podSelector: {}, policyTypes: [Ingress] }"));
    await becomes("web", "silence");
    await cluster.apply(
      policy(
        "web-from-client",
        "{ podSelector: { matchLabels: { app: web } }, ingress: [{ from: [{ podSelector: { matchLabels: { role: client } } }], ports: [{ port: http }] }] }",
      ),
    );
    await becomes("web", "answered");
    await cluster.kubectl`label pod -n shop client role=stranger --overwrite`;
    await becomes("web", "silence");
    await cluster.kubectl`label pod -n shop client role=client --overwrite`;
    await becomes("web", "answered");
    // The kubelet's probes are from the node: nobody became unready.
    expect(await cluster.kubectl`get deployment -n shop web -o jsonpath={.status.readyReplicas}`).toBe("2");
  });

  test("names are asked for only where a policy lets pods ask kube-dns", async () => {
    const address = await cluster.kubectl`get service -n shop web -o jsonpath={.spec.clusterIP}`;
    await cluster.apply(
      policy(
        "egress",
        "{ podSelector: { matchLabels: { role: client } }, policyTypes: [Egress], egress: [{ to: [{ podSelector: { matchLabels: { app: web } } }] }] }",
      ),
    );
    await becomes("web", "silence");
    await becomes(address, "answered");
    await cluster.apply(
      policy(
        "dns",
        "{ podSelector: {}, policyTypes: [Egress], egress: [{ to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } }, podSelector: { matchLabels: { k8s-app: kube-dns } } }], ports: [{ port: 53, protocol: UDP }, { port: 53 }] }] }",
      ),
    );
    await becomes("web", "answered");
  });

  test("a pod that is isolated never gets a packet out, not in its first moment either", async () => {
    await cluster.apply(policy("sealed", '{ podSelector: { matchLabels: { sealed: "yes" } }, policyTypes: [Egress] }'));
    const address = await cluster.kubectl`get pods -n shop -l app=web -o jsonpath={.items[0].status.podIP}`;
    await cluster.kubectl`delete networkpolicy -n shop default-deny-ingress web-from-client dns`;
    const command = `nc -w 1 ${address} 8080 </dev/null 2>/dev/null && echo open || echo shut`;
    const run = (name: string, labels: string) =>
      cluster.kubectl`run ${name} -n shop --image=busybox --image-pull-policy=IfNotPresent --restart=Never --labels=${labels} --command -- sh -c ${command}`;
    await run("open", "a=b");
    await run("sealed", "sealed=yes");
    for (const name of ["open", "sealed"])
      await cluster.kubectl`wait -n shop --for=jsonpath={.status.phase}=Succeeded pod/${name} --timeout=60s`;
    expect((await cluster.kubectl`logs -n shop open`).trim()).toBe("open");
    expect((await cluster.kubectl`logs -n shop sealed`).trim()).toBe("shut");
  });
});
