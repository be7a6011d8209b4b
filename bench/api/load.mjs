// Drives an API server with many requests at once, over HTTP/2 connections that stay open.
import { openSession } from "../api-client.mjs";

/** One connection that sends requests and drops the answers' bodies, unless they are wanted. */
export class Connection {
  static async open(kubeconfig) {
    return new Connection(await openSession(kubeconfig));
  }

  constructor(session) {
    this.session = session;
  }

  /** Resolves with `{ status, bytes, body }`; the body is a Buffer with `keep`, else undefined. `body` to send is text. */
  send(method, path, body, { type = "application/json", headers = {}, keep = false } = {}) {
    return new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) };
      const stream = this.session.request(
        { ":method": method, ":path": path, accept: "application/json", ...length, ...headers },
        { endStream: body === undefined },
      );
      let status = 0;
      let bytes = 0;
      const chunks = [];
      stream.on("response", (answer) => (status = answer[":status"]));
      stream.on("data", (chunk) => {
        bytes += chunk.length;
        if (keep) chunks.push(chunk);
      });
      stream.on("error", reject);
      stream.on("end", () => resolve({ status, bytes, body: keep ? Buffer.concat(chunks) : undefined }));
      if (body !== undefined) stream.end(body);
    });
  }

  /** As `send`, but an answer of 400 and above throws; resolves with the parsed body. */
  async json(method, path, object) {
    const { status, body } = await this.send(method, path, object && JSON.stringify(object), { keep: true });
    const answer = body.length > 0 ? JSON.parse(body.toString()) : undefined;
    if (status >= 400) throw Object.assign(new Error(`${method} ${path}: ${status} ${answer?.message}`), { status });
    return answer;
  }

  close() {
    this.session.close();
  }
}

export function openConnections(kubeconfig, count) {
  return Promise.all(Array.from({ length: count }, () => Connection.open(kubeconfig)));
}

/**
 * Keeps `streams` requests under way on each connection until `count` were sent or `seconds` have passed.
 * `one(connection, slot, index)` sends one. Resolves with the rate and all latencies; any refusal throws.
 */
export async function drive(connections, streams, { count = Infinity, seconds = Infinity }, one) {
  const latencies = [];
  let sent = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  const slot = async (connection, number) => {
    while (sent < count && performance.now() < end) {
      const index = sent++;
      const since = performance.now();
      const { status } = await one(connection, number, index);
      if (status >= 300) throw new Error(`request ${index} was answered with ${status}`);
      latencies.push(performance.now() - since);
    }
  };
  await Promise.all(
    connections.flatMap((connection, c) =>
      Array.from({ length: streams }, (_, s) => slot(connection, c * streams + s)),
    ),
  );
  return { rate: latencies.length / ((performance.now() - start) / 1000), latencies };
}

export function configMap(name, bytes = 2048) {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, labels: { app: "bench" } },
    data: { payload: "x".repeat(bytes) },
  });
}

/** As people write them: an application with probes, volumes, resources. No scheduler takes it. */
export function pod(name, index) {
  const port = (containerPort, portName) => ({ name: portName, containerPort });
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels: { app: "bench", "app.kubernetes.io/name": `service-${index % 100}`, "pod-template-hash": "5d8f9c7b6d" },
      annotations: { "prometheus.io/scrape": "true", "prometheus.io/port": "9090" },
    },
    spec: {
      schedulerName: "none",
      volumes: [
        { name: "config", configMap: { name: "settings" } },
        { name: "data", emptyDir: {} },
      ],
      containers: [
        {
          name: "app",
          image: "registry.example/team/app:1.2.3",
          ports: [port(8080, "http"), port(9090, "metrics")],
          env: [
            { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
            { name: "MODE", value: "production" },
          ],
          resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
          livenessProbe: { httpGet: { path: "/healthz", port: 8080 } },
          readinessProbe: { httpGet: { path: "/ready", port: 8080 } },
          volumeMounts: [
            { name: "config", mountPath: "/etc/app" },
            { name: "data", mountPath: "/data" },
          ],
        },
      ],
    },
  });
}

export async function ensureNamespace(connection, name) {
  const body = JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const { status } = await connection.send("POST", "/api/v1/namespaces", body);
  if (status !== 201 && status !== 409) throw new Error(`namespace ${name}: ${status}`);
}
