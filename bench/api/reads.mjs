// Reads: single objects, long lists, and what others wait while a very long list is answered.
import { Worker } from "node:worker_threads";
import { configMap, drive, ensureNamespace, openConnections, pod } from "./load.mjs";

const namespace = "bench-reads";
const collection = `/api/v1/namespaces/${namespace}/configmaps`;

export async function benchGets({ kubeconfig, runs, rate }) {
  const connections = await openConnections(kubeconfig, 4);
  await ensureNamespace(connections[0], namespace);
  await connections[0].send("POST", collection, configMap("one"));
  const get = (connection) => connection.send("GET", `${collection}/one`);
  await drive(connections, 16, { seconds: 2 }, get);
  for (let run = 0; run < runs; run++) {
    await rate("get 2 KB, 64 clients", "> 10000", () => drive(connections, 16, { seconds: 3 }, get));
    await rate("get 2 KB, 1 client", "> 2500", () => drive(connections.slice(0, 1), 1, { seconds: 2 }, get));
  }
  for (const connection of connections) connection.close();
}

/** Lists of 1,000 ConfigMaps of 2 KB, plain and compressed, by 8 clients. */
export async function benchLists({ kubeconfig, runs, rate }) {
  const connections = await openConnections(kubeconfig, 2);
  await ensureNamespace(connections[0], namespace);
  await drive(connections, 16, { count: 1000 }, (connection, _, index) =>
    connection.send("POST", collection, configMap(`l-${index}`)),
  );
  const plain = (connection) => connection.send("GET", collection);
  const headers = { "accept-encoding": "gzip" };
  const gzip = (connection) => connection.send("GET", collection, undefined, { headers });
  await drive(connections, 4, { seconds: 1 }, plain);
  await drive(connections, 4, { seconds: 1 }, gzip);
  for (let run = 0; run < runs; run++) {
    await rate("list of 1,000", "> 150", () => drive(connections, 4, { seconds: 3 }, plain));
    await rate("list of 1,000, gzip", "> 300", () => drive(connections, 4, { seconds: 3 }, gzip));
  }
  for (const connection of connections) connection.close();
}

/**
 * The latency of small requests, one a millisecond on a connection of their own, while lists and initial watches of 10,000 pods are
 * answered on others. With a request always under way, this process, the reader and the server would wait for each other's cores.
 */
export async function benchNeighbours({ kubeconfig, runs, results }) {
  const [reader, ...others] = await openConnections(kubeconfig, 3);
  await ensureNamespace(reader, namespace);
  await serviceAccountIn(reader, namespace);
  await drive(others, 32, { count: 10_000 }, (connection, _, index) =>
    connection.send("POST", `/api/v1/namespaces/${namespace}/pods`, pod(`p-${index}`, index)),
  );
  const paths = {
    "a list of 10,000 pods": "/api/v1/pods",
    "a list of 10,000 pods as a table": "/api/v1/pods",
    "a watch that begins with 10,000 pods":
      "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1",
  };
  await drive([reader], 1, { count: 500 }, (connection) => connection.send("GET", "/api/v1/namespaces/default"));
  for (const [what, path] of Object.entries(paths)) {
    const accept = what.includes("table") ? "application/json;as=Table;v=v1;g=meta.k8s.io" : "application/json";
    const headers = { accept };
    for (let run = 0; run < runs; run++) {
      let isOver = false;
      const heavy = readElsewhere(kubeconfig, path, headers).then(() => (isOver = true));
      let longest = 0;
      while (!isOver) {
        const since = performance.now();
        await reader.send("GET", "/api/v1/namespaces/default");
        longest = Math.max(longest, performance.now() - since);
        await new Promise((done) => setTimeout(done, 1));
      }
      results.add(`longest wait of a get beside ${what}`, longest, { target: "< 20" });
      await heavy;
    }
  }
  for (const connection of [reader, ...others]) connection.close();
}

/** In a thread of its own: taking in so much would delay the clock of this one. */
function readElsewhere(kubeconfig, path, headers) {
  const worker = new Worker(new URL("./heavy-reader.mjs", import.meta.url), {
    workerData: { kubeconfig, path, headers },
  });
  return new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
}

export async function serviceAccountIn(connection, name) {
  for (let i = 0; i < 500; i++) {
    const { status } = await connection.send("GET", `/api/v1/namespaces/${name}/serviceaccounts/default`);
    if (status === 200) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`namespace ${name} has no ServiceAccount`);
}
