/** Real load, told by kubectl top and followed by a HorizontalPodAutoscaler. */
import { expect, test } from "vitest";
import { describeCluster, eventually } from "../src/testing/cluster-fixture.ts";

const burner = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: burner }
spec:
  selector: { matchLabels: { app: burner } }
  template:
    metadata: { labels: { app: burner } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: burner
        image: busybox
        command: [sh, -c, "while :; do :; done"]
        resources: { requests: { cpu: 20m }, limits: { cpu: 60m, memory: 64Mi } }
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: custom }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: burner }
  maxReplicas: 2
  metrics:
  - type: Pods
    pods: { metric: { name: requests_per_second }, target: { type: AverageValue, averageValue: "10" } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: holder }
spec:
  selector: { matchLabels: { app: holder } }
  template:
    metadata: { labels: { app: holder } }
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{ name: holder, image: busybox, command: [sleep, infinity] }]
`;

const holder = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: holder }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: holder }
  maxReplicas: 2
  metrics:
  - type: Resource
    resource: { name: memory, target: { type: AverageValue, averageValue: 1Ki } }
`;

const upOptions = ["--horizontal-pod-autoscaler-sync-period", "1s"];

describeCluster("load", { nodes: 1, upOptions }, (cluster) => {
  const { kubectl } = cluster;

  test("kubectl top tells what pods and nodes use", async () => {
    await cluster.apply(burner);
    await kubectl`rollout status deployment/burner --timeout=60s`;
    await eventually(
      () => kubectl`top pod -l app=burner --no-headers`,
      (top) => expect(top).toMatch(/^burner-\S+ +[1-9]\d*m +\d+Mi/),
    );
    expect(await kubectl`top node --no-headers`).toMatch(/^\S+ +\d+m +\d+% +\d+Mi +\d+%/);
    expect(await kubectl`top pod --containers --no-headers`).toMatch(/ burner +\d+m/);
  }, 120_000);

  test("an autoscaler without its metrics says so", async () => {
    await eventually(
      () => kubectl`describe hpa custom`,
      (text) => {
        expect(text).toMatch(/ScalingActive +False +FailedGetPodsMetric/);
        expect(text).toContain("no custom metrics API (custom.metrics.k8s.io) registered");
      },
    );
    await kubectl`delete hpa custom`;
  }, 60_000);

  test("load above the target brings more replicas", async () => {
    await kubectl`autoscale deployment burner --cpu-percent=50 --min=1 --max=3`;
    await eventually(
      () => kubectl`get deployment burner -o jsonpath={.spec.replicas}`,
      (replicas) => expect(replicas).toBe("3"),
      90_000,
    );
    const text = await kubectl`describe hpa burner`;
    expect(text).toMatch(/resource cpu on pods +\(as a percentage of request\): +\d+% \(\d+m\) \/ 50%/);
    expect(text).toMatch(
      /SuccessfulRescale .*New size: 3; reason: cpu resource utilization \(percentage of request\) above target/,
    );
    expect(text).toMatch(/ScalingActive +True +ValidMetricFound/);
  }, 120_000);

  test("so does memory", async () => {
    await cluster.apply(holder);
    await eventually(
      () => kubectl`describe hpa holder`,
      (text) => expect(text).toMatch(/SuccessfulRescale .*New size: 2; reason: memory resource above target/),
      60_000,
    );
    expect(await kubectl`get hpa holder --no-headers`).toMatch(/^holder +Deployment\/holder +memory: [1-9]\d*\/1Ki /);
  }, 90_000);
});
