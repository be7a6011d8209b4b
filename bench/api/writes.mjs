// Durable writes: creates, patches, applies, and deleting many at once.
import { configMap, drive, ensureNamespace, openConnections } from "./load.mjs";

const namespace = "bench-writes";
const collection = `/api/v1/namespaces/${namespace}/configmaps`;

/** Creates of 2 KB ConfigMaps by one client and by 64, and what it takes to delete them together. */
export async function benchCreates({ kubeconfig, runs, results, rate }) {
  const connections = await openConnections(kubeconfig, 4);
  await ensureNamespace(connections[0], namespace);
  let made = 0;
  const create = (connection) => connection.send("POST", collection, configMap(`c-${made++}`));
  await drive(connections, 16, { count: 2000 }, create);
  await deleteAll(connections[0]);
  for (let run = 0; run < runs; run++) {
    await rate("create 2 KB, 64 clients", "> 6000", () => drive(connections, 16, { count: 5000 }, create));
    const since = performance.now();
    await deleteAll(connections[0]);
    const seconds = (performance.now() - since) / 1000;
    results.add("deletecollection of 5,000: objects", 5000 / seconds, { unit: "/s", target: "> 5000" });
    await rate("create 2 KB, 1 client", "> 600", () => drive(connections.slice(0, 1), 1, { count: 1000 }, create));
    await deleteAll(connections[0]);
  }
  for (const connection of connections) connection.close();
}

/** 64 clients, each changing an object of its own. */
export async function benchPatches({ kubeconfig, runs, rate }) {
  const connections = await openConnections(kubeconfig, 4);
  await ensureNamespace(connections[0], namespace);
  for (let i = 0; i < 64; i++) await connections[0].send("POST", collection, configMap(`p-${i}`));
  const type = "application/merge-patch+json";
  const patch = (connection, slot, index) =>
    connection.send("PATCH", `${collection}/p-${slot}`, `{"data":{"n":"${index}"}}`, { type });
  await drive(connections, 16, { seconds: 2 }, patch);
  for (let run = 0; run < runs; run++)
    await rate("merge patch, 64 clients", "> 4000", () => drive(connections, 16, { seconds: 3 }, patch));
  for (const connection of connections) connection.close();
}

export async function benchApplies({ kubeconfig, runs, rate }) {
  const connections = await openConnections(kubeconfig, 4);
  await ensureNamespace(connections[0], namespace);
  const payload = "x".repeat(2048);
  const apply = (connection, slot, index) => {
    const name = `a-${slot}`;
    const metadata = { name, labels: { app: "bench" } };
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { payload, n: String(index) } };
    const path = `${collection}/${name}?fieldManager=bench&force=true`;
    return connection.send("PATCH", path, JSON.stringify(body), { type: "application/apply-patch+yaml" });
  };
  await drive(connections, 16, { seconds: 2 }, apply);
  for (let run = 0; run < runs; run++)
    await rate("server-side apply, 64 clients", "> 2500", () => drive(connections, 16, { seconds: 3 }, apply));
  for (const connection of connections) connection.close();
}

async function deleteAll(connection) {
  const { status } = await connection.send("DELETE", `${collection}?labelSelector=app%3Dbench`);
  if (status !== 200) throw new Error(`deletecollection was answered with ${status}`);
}
