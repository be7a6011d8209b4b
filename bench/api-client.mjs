// A small client for measuring: HTTP/2 with the kubeconfig's certificate, JSON in and out, watches as callbacks.

import { readFile } from "node:fs/promises";
import { connect } from "node:http2";
import { parse } from "yaml";

/** An HTTP/2 connection with the kubeconfig's certificate. Its errors are told by the requests on it. */
export async function openSession(kubeconfigFile) {
  const kubeconfig = parse(await readFile(kubeconfigFile, "utf8"));
  const { cluster } = kubeconfig.clusters[0];
  const { user } = kubeconfig.users[0];
  const pem = (data) => Buffer.from(data, "base64");
  const session = connect(cluster.server, {
    ca: pem(cluster["certificate-authority-data"]),
    cert: pem(user["client-certificate-data"]),
    key: pem(user["client-key-data"]),
    settings: { initialWindowSize: 4 << 20 },
  });
  await new Promise((resolve, reject) => {
    session.once("connect", resolve);
    session.once("error", reject);
  });
  session.on("error", () => {});
  // As much at once as clients in other languages take: the window of 64 KB that stands at first makes watchers wait for each other.
  session.setLocalWindowSize(16 << 20);
  return session;
}

export async function connectApi(kubeconfigFile) {
  const session = await openSession(kubeconfigFile);

  function request(method, path, body, contentType = "application/json") {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const stream = session.request({
        ":method": method,
        ":path": path,
        accept: "application/json",
        ...(payload ? { "content-type": contentType } : {}),
      });
      let status = 0;
      const chunks = [];
      stream.on("response", (headers) => (status = headers[":status"]));
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("error", reject);
      stream.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        if (status >= 400)
          reject(Object.assign(new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`), { status }));
        else resolve(text ? JSON.parse(text) : undefined);
      });
      stream.end(payload);
    });
  }

  /** Keeps `objects` current with the collection at `path`, and calls listeners on each change. */
  async function follow(path) {
    const list = await request("GET", path);
    const objects = new Map(list.items.map((item) => [item.metadata.name, item]));
    const listeners = new Set();
    const stream = session.request({
      ":method": "GET",
      ":path": `${path}?watch=1&resourceVersion=${list.metadata.resourceVersion}`,
    });
    stream.setEncoding("utf8");
    let rest = "";
    stream.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const { type, object } = JSON.parse(line);
        if (type === "DELETED") objects.delete(object.metadata.name);
        else objects.set(object.metadata.name, object);
      }
      for (const listener of [...listeners]) listener();
    });
    stream.on("error", () => {});
    return {
      objects,
      /** Resolves with the time at which `condition(objects)` was first seen to hold. */
      until(condition, what, timeoutMs = 60_000) {
        return new Promise((resolve, reject) => {
          const check = () => {
            if (!condition(objects)) return;
            listeners.delete(check);
            clearTimeout(timer);
            resolve(performance.now());
          };
          const timer = setTimeout(() => reject(new Error(`not seen within ${timeoutMs} ms: ${what}`)), timeoutMs);
          listeners.add(check);
          check();
        });
      },
      stop: () => stream.close(),
    };
  }

  return { request, follow, close: () => session.close() };
}
