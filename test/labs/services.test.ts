/** The Service lab of three machines on 10.0.2.4 to 6: a client pod, the endpoints, and a node port through two nodes. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../../src/testing/cluster-fixture.ts";

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: deploy-test01
spec:
  replicas: 3
  selector:
    matchLabels:
      app.kubernetes.io/name: web-deploy
  template:
    metadata:
      labels:
        app.kubernetes.io/name: web-deploy
    spec:
      containers:
        - name: nginx
          image: nginx:latest
`;

const clusterIp = `
apiVersion: v1
kind: Service
metadata:
  name: web-service
spec:
  type: ClusterIP
  selector:
    app.kubernetes.io/name: web-deploy
  ports:
    - protocol: TCP
      port: 80
`;

const nodePort = `
apiVersion: v1
kind: Service
metadata:
  name: web-service-nodeport
spec:
  selector:
    app.kubernetes.io/name: web-deploy
  type: NodePort
  ports:
    - protocol: TCP
      nodePort: 31001
      port: 80
      targetPort: 80
`;

const client = `
apiVersion: v1
kind: Pod
metadata:
  name: nginx01
spec:
  containers:
    - name: nginx-test01
      image: nginx:latest
`;

const config = `
nodes:
- { name: myserver01, role: control-plane, address: 10.0.2.4 }
- { name: myserver02, address: 10.0.2.5 }
- { name: myserver03, address: 10.0.2.6 }
`;

describeCluster("the Service lab on three machines", { config }, (cluster) => {
  test("the Service, its Deployment and its client come up as kubectl get all shows them", async () => {
    await cluster.apply(`${deployment}---${clusterIp}---${client}`);
    await cluster.kubectl`rollout status deployment/deploy-test01 --timeout=60s`;
    await cluster.kubectl`wait --for=condition=Ready pod/nginx01 --timeout=60s`;
    const all = await cluster.kubectl`get all`;
    expect(all.match(/pod\/deploy-test01-\S+ +1\/1 +Running/g)).toHaveLength(3);
    expect(all).toMatch(/service\/kubernetes +ClusterIP +10\.96\.0\.1 +<none> +443\/TCP/);
    expect(all).toMatch(/service\/web-service +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP/);
    expect(all).toMatch(/deployment\.apps\/deploy-test01 +3\/3 +3 +3/);
    expect(all).toMatch(/replicaset\.apps\/deploy-test01-\S+ +3 +3 +3/);
  });

  test("the client pod reaches the Service with curl", async () => {
    const address = await cluster.kubectl`get svc web-service -o ${"jsonpath={.spec.clusterIP}"}`;
    const output = await cluster.kubectlRaw(["exec", "nginx01", "--", "/bin/bash", "-c", `curl -v ${address}`]);
    expect(output.stderr).toContain("< HTTP/1.1 200 OK");
    expect(output.stdout).toContain("Welcome to nginx!");
  });

  test("the endpoints are the pods' addresses", async () => {
    const ips = (
      await cluster.kubectl`get pods -l app.kubernetes.io/name=web-deploy -o ${"jsonpath={.items[*].status.podIP}"}`
    ).split(" ");
    const endpoints = await cluster.kubectl`get endpoints web-service`;
    for (const ip of ips) expect(endpoints).toContain(`${ip}:80`);
  });

  test("a node port answers through two nodes", async () => {
    await cluster.kubectl`delete svc web-service`;
    await cluster.apply(nodePort);
    expect(await cluster.kubectl`get svc web-service-nodeport`).toContain("80:31001/TCP");
    for (const node of ["10.0.2.5", "10.0.2.6"]) {
      await eventually(
        () => cluster.host("curl", "-s", "--max-time", "5", `http://${node}:31001`),
        (page) => expect(page).toContain("Welcome to nginx!"),
      );
    }
  });

  test("a taken node port is refused in Kubernetes' words", async () => {
    const answer = await cluster.kubectlRaw([
      "create",
      "service",
      "nodeport",
      "second",
      "--tcp=80",
      "--node-port=31001",
    ]);
    expect(answer.exitCode).toBe(1);
    expect(answer.stderr).toContain("provided port is already allocated");
  });

  test("a LoadBalancer Service with an external address of a node answers there and on its node port", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Service
metadata:
  name: web-service-loadbalancer
spec:
  selector:
    app.kubernetes.io/name: web-deploy
  type: LoadBalancer
  externalIPs:
    - 10.0.2.4
  ports:
    - protocol: TCP
      nodePort: 31002
      port: 80
      targetPort: 80
`);
    expect(await cluster.kubectl`get svc web-service-loadbalancer`).toMatch(
      /web-service-loadbalancer +LoadBalancer +10\.96\.\d+\.\d+ +10\.0\.2\.4 +80:31002\/TCP/,
    );
    for (const door of ["10.0.2.4", "10.0.2.4:31002", "10.0.2.6:31002"]) {
      await eventually(
        () => cluster.host("curl", "-s", "--max-time", "5", `http://${door}`),
        (page) => expect(page).toContain("Welcome to nginx!"),
      );
    }
  });

  test("an ExternalName Service is an alias in DNS", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Service
metadata:
  name: web-service-externalname
spec:
  type: ExternalName
  externalName: www.google.com
`);
    expect(await cluster.kubectl`get svc web-service-externalname`).toMatch(
      /web-service-externalname +ExternalName +<none> +www\.google\.com +<none>/,
    );
    const dns = await cluster.kubectl`get svc kube-dns -n kube-system -o ${"jsonpath={.spec.clusterIP}"}`;
    const name = "web-service-externalname.default.svc.cluster.local";
    await eventually(
      () =>
        cluster.host(
          "ip",
          "netns",
          "exec",
          `pinnace-${cluster.name}.myserver02`,
          "dig",
          "+short",
          `@${dns}`,
          name,
          "CNAME",
        ),
      (answer) => expect(answer).toBe("www.google.com.\n"),
    );
  });

  test("kubectl expose makes a Service for a pod and for a Deployment", async () => {
    await cluster.kubectl`run myapp --image=nginx:latest --port=80`;
    expect(await cluster.kubectl`expose pod myapp --name=myapp-svc --port=8080 --target-port=80 --type=NodePort`).toBe(
      "service/myapp-svc exposed\n",
    );
    await cluster.kubectl`expose deployment deploy-test01 --type=LoadBalancer --name=myapp-lb --port=80`;
    expect(await cluster.kubectl`get svc myapp-lb`).toMatch(/myapp-lb +LoadBalancer +\S+ +<pending> +80:3\d{4}\/TCP/);
    const port = await cluster.kubectl`get svc myapp-svc -o ${"jsonpath={.spec.ports[0].nodePort}"}`;
    await eventually(
      () => cluster.host("curl", "-s", "--max-time", "5", `http://10.0.2.6:${port}`),
      (page) => expect(page).toContain("Welcome to nginx!"),
    );
  });

  test("a Service changes from any type to any other, and what a type does not have goes", async () => {
    const change = async (spec: object) => {
      await cluster.kubectl`patch svc myapp-lb --type=merge -p ${JSON.stringify({ spec })}`;
      return cluster.kubectl`get svc myapp-lb`;
    };
    expect(await change({ type: "NodePort" })).toMatch(/myapp-lb +NodePort +10\.96\S+ +<none> +80:3\d{4}\/TCP/);
    expect(await change({ type: "ClusterIP" })).toMatch(/myapp-lb +ClusterIP +10\.96\S+ +<none> +80\/TCP/);
    expect(
      await change({ type: "ExternalName", externalName: "example.org", clusterIP: null, clusterIPs: null }),
    ).toMatch(/myapp-lb +ExternalName +<none> +example\.org +80\/TCP/);
    expect(await change({ type: "LoadBalancer", externalName: null })).toMatch(
      /myapp-lb +LoadBalancer +10\.96\S+ +<pending> +80:3\d{4}\/TCP/,
    );
  });
});
