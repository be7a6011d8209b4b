/** NetworkPolicies on real pods: what a cluster's users try first. */
import { describe, expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

/** Two pods behind a Service, and a client, in a namespace of their own. */
const pods = (namespace: string) => `
apiVersion: v1
kind: Namespace
metadata:
  name: ${namespace}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: ${namespace}
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
          periodSeconds: 1
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: ${namespace}
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
  namespace: ${namespace}
  labels: { role: client }
spec:
  containers:
  - name: sh
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, "3600"]
`;

const policy = (namespace: string, name: string, spec: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ${name}
  namespace: ${namespace}
spec: ${spec}
`;

describeCluster("network policies", { nodes: 2 }, (cluster) => {
  const ask = async (namespace: string, host: string) => {
    const { stdout, exitCode } = await cluster.kubectlRaw(
      `exec -n ${namespace} client -- timeout 1 wget -q -O - http://${host}`.split(" "),
    );
    return exitCode === 0 && stdout.length > 0 ? "answered" : "silence";
  };
  const becomes = (namespace: string, host: string, outcome: string) =>
    eventually(
      () => ask(namespace, host),
      (is) => expect(is).toBe(outcome),
    );
  const start = async (namespace: string) => {
    await cluster.apply(pods(namespace));
    await cluster.kubectl`rollout status -n ${namespace} deployment/web --timeout=60s`;
    await cluster.kubectl`wait -n ${namespace} --for=condition=Ready pod/client --timeout=60s`;
    await becomes(namespace, "web", "answered");
  };

  // Mostly waiting for packets that must not come.
  describe.concurrent("each in a namespace of its own", () => {
    test("deny all, then allow step by step", async () => {
      await start("shop");
      await cluster.apply(policy("shop", "default-deny-ingress", "{ podSelector: {}, policyTypes: [Ingress] }"));
      await becomes("shop", "web", "silence");
      await cluster.apply(
        policy(
          "shop",
          "web-from-client",
          "{ podSelector: { matchLabels: { app: web } }, ingress: [{ from: [{ podSelector: { matchLabels: { role: client } } }], ports: [{ port: http }] }] }",
        ),
      );
      await becomes("shop", "web", "answered");
      await cluster.kubectl`label pod -n shop client role=stranger --overwrite`;
      await becomes("shop", "web", "silence");
      await cluster.kubectl`label pod -n shop client role=client --overwrite`;
      await becomes("shop", "web", "answered");
      // The kubelet's probes are from the node: nobody became unready.
      expect(await cluster.kubectl`get deployment -n shop web -o jsonpath={.status.readyReplicas}`).toBe("2");
    });

    test("names are asked for only where a policy lets pods ask kube-dns", async () => {
      await start("names");
      const address = await cluster.kubectl`get service -n names web -o jsonpath={.spec.clusterIP}`;
      await cluster.apply(
        policy(
          "names",
          "egress",
          "{ podSelector: { matchLabels: { role: client } }, policyTypes: [Egress], egress: [{ to: [{ podSelector: { matchLabels: { app: web } } }] }] }",
        ),
      );
      await becomes("names", "web", "silence");
      await becomes("names", address, "answered");
      await cluster.apply(
        policy(
          "names",
          "dns",
          "{ podSelector: {}, policyTypes: [Egress], egress: [{ to: [{ namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: kube-system } }, podSelector: { matchLabels: { k8s-app: kube-dns } } }], ports: [{ port: 53, protocol: UDP }, { port: 53 }] }] }",
        ),
      );
      await becomes("names", "web", "answered");
    });

    test("a pod that is isolated never gets a packet out, not in its first moment either", async () => {
      await start("dark");
      await cluster.apply(
        policy("dark", "sealed", '{ podSelector: { matchLabels: { sealed: "yes" } }, policyTypes: [Egress] }'),
      );
      const address = await cluster.kubectl`get pods -n dark -l app=web -o jsonpath={.items[0].status.podIP}`;
      const command = `nc -w 1 ${address} 8080 </dev/null 2>/dev/null && echo open || echo shut`;
      const run = (name: string, labels: string) =>
        cluster.kubectl`run ${name} -n dark --image=busybox --image-pull-policy=IfNotPresent --restart=Never --labels=${labels} --command -- sh -c ${command}`;
      await Promise.all([run("open", "a=b"), run("sealed", "sealed=yes")]);
      await cluster.kubectl`wait -n dark --for=jsonpath={.status.phase}=Succeeded pod/open pod/sealed --timeout=60s`;
      expect((await cluster.kubectl`logs -n dark open`).trim()).toBe("open");
      expect((await cluster.kubectl`logs -n dark sealed`).trim()).toBe("shut");
    });
  });
});
