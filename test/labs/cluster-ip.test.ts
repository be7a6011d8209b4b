/** The ClusterIP lab: three nginx pods behind one address, seen from a temporary pod. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../../src/testing/cluster-fixture.ts";

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
`;

const service = `
apiVersion: v1
kind: Service
metadata:
  name: clusterip-service
spec:
  selector:
    app: nginx
  ports:
  - protocol: TCP
    port: 80
    targetPort: 80
`;

const nodePortService = `
apiVersion: v1
kind: Service
metadata:
  name: service-nodeport
spec:
  type: NodePort
  selector:
    app: nginx
  ports:
  - protocol: TCP
    port: 80
    targetPort: 80
    nodePort: 30000
`;

const config = `
nodes:
- name: k8s-master
  role: control-plane
  address: 10.10.8.104
- name: k8s-worker1
  address: 10.10.8.105
- name: k8s-worker2
  address: 10.10.8.106
`;

describeCluster("the ClusterIP and NodePort labs", { config }, (cluster) => {
  test("a Deployment of three nginx pods becomes ready", async () => {
    expect(await cluster.apply(deployment)).toBe("deployment.apps/dep-nginx created\n");
    await cluster.kubectl`rollout status deployment/dep-nginx --timeout=60s`;
    const pods = await cluster.kubectl`get pods -l app=nginx -o wide`;
    expect(pods.match(/1\/1 +Running/g)).toHaveLength(3);
  });

  test("the Service lists the three pods as its endpoints", async () => {
    expect(await cluster.apply(service)).toBe("service/clusterip-service created\n");
    const ips = (await cluster.kubectl`get pods -l app=nginx -o ${"jsonpath={.items[*].status.podIP}"}`).split(" ");
    const description = await eventually(
      () => cluster.kubectl`describe svc clusterip-service`,
      (text) => expect(text).toMatch(/Endpoints: +\S+:80,\S+:80,\S+:80/),
    );
    for (const ip of ips) expect(description).toContain(`${ip}:80`);
    expect(description).toMatch(/Type: +ClusterIP/);
  });

  test("a temporary pod fetches the page through the cluster address and through the name", async () => {
    const address = await cluster.kubectl`get svc clusterip-service -o ${"jsonpath={.spec.clusterIP}"}`;
    const script = `curl -s ${address} && wget -q -O - http://clusterip-service`;
    const output = await cluster.kubectlRaw([
      "run",
      "tmp",
      "--rm",
      "-i",
      "--image=busybox",
      "--restart=Never",
      "--",
      "sh",
      "-c",
      script,
    ]);
    expect(output.stdout.match(/Welcome to nginx!<\/h1>/g)).toHaveLength(2);
  });

  test("requests spread over all three pods", async () => {
    const pods = (await cluster.kubectl`get pods -l app=nginx -o ${"jsonpath={.items[*].metadata.name}"}`).split(" ");
    for (const pod of pods) {
      await cluster.kubectl`exec ${pod} -- sh -c ${"hostname > /usr/share/nginx/html/name.txt || hostname > /var/www/html/name.txt"}`;
    }
    const script = "for i in $(seq 60); do wget -q -O - http://clusterip-service/name.txt; done";
    const output = await cluster.kubectlRaw([
      "run",
      "count",
      "--rm",
      "-i",
      "--image=busybox",
      "--restart=Never",
      "--",
      "sh",
      "-c",
      script,
    ]);
    const answers = output.stdout.split("\n").filter((line) => pods.includes(line));
    expect(answers).toHaveLength(60);
    expect(new Set(answers)).toEqual(new Set(pods));
  });

  test("every node's address answers on the node port, from outside the cluster", async () => {
    expect(await cluster.apply(nodePortService)).toBe("service/service-nodeport created\n");
    expect(await cluster.kubectl`get service service-nodeport`).toContain("80:30000/TCP");
    for (const node of ["10.10.8.104", "10.10.8.105", "10.10.8.106"]) {
      await eventually(
        () => cluster.host("curl", "-s", "--max-time", "5", `http://${node}:30000`),
        (page) => expect(page).toContain("Welcome to nginx!"),
      );
    }
  });

  test("what was made can be cleaned up", async () => {
    await cluster.kubectl`delete svc clusterip-service service-nodeport`;
    await cluster.kubectl`delete deploy dep-nginx`;
    await eventually(
      () => cluster.kubectl`get pods -l app=nginx`,
      (text) => expect(text).toBe(""),
    );
  });
});
