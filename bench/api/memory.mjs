// Memory with many objects, and after heavy use.
import { pssMiB } from "../process-usage.mjs";
import { configMap, drive, ensureNamespace, openConnections, pod } from "./load.mjs";
import { serviceAccountIn } from "./reads.mjs";

const namespace = "bench-memory";

export async function benchMemory({ kubeconfig, pid, results }) {
  const connections = await openConnections(kubeconfig, 4);
  const [first] = connections;
  await ensureNamespace(first, namespace);
  await serviceAccountIn(first, namespace);
  const path = `/api/v1/namespaces/${namespace}`;
  const note = async (what) => {
    results.add(`memory ${what}, PSS`, pssMiB(pid), { unit: "MiB", target: "< 350" });
    await new Promise((done) => setTimeout(done, 10_000));
    results.add(`memory ${what}, ten seconds later, PSS`, pssMiB(pid), { unit: "MiB", target: "< 350" });
  };
  await drive(connections, 16, { count: 3000 }, (connection, _, index) =>
    connection.send("POST", `${path}/configmaps`, configMap(`c-${index}`)),
  );
  await drive(connections, 16, { count: 5000 }, (connection, _, index) =>
    connection.send("POST", `${path}/pods`, pod(`p-${index}`, index)),
  );
  await note("with 3,000 ConfigMaps and 5,000 pods");
  for (let i = 0; i < 10; i++) await first.send("GET", "/api/v1/pods");
  await drive(connections, 16, { count: 20_000 }, (connection, slot, index) =>
    connection.send("PATCH", `${path}/configmaps/c-${slot}`, `{"data":{"n":"${index}"}}`, {
      type: "application/merge-patch+json",
    }),
  );
  await note("after 20,000 patches and ten lists more");
  for (const connection of connections) connection.close();
}
