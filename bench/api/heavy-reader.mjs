// Reads one long answer, drops it, and says so.
import { parentPort, workerData } from "node:worker_threads";
import { Connection } from "./load.mjs";

const { kubeconfig, path, headers } = workerData;
const connection = await Connection.open(kubeconfig);
const { status, bytes } = await connection.send("GET", path, undefined, { headers });
if (status !== 200) throw new Error(`${path} was answered with ${status}`);
connection.close();
parentPort.postMessage(bytes);
