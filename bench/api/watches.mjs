// Watches: how fast changes reach a hundred watchers, at full speed and at an even pace.
import { cpuSeconds } from "../process-usage.mjs";
import { configMap, ensureNamespace, openConnections } from "./load.mjs";

const namespace = "bench-watches";
const collection = `/api/v1/namespaces/${namespace}/configmaps`;
const watchers = 100;

/** 1,000 small ConfigMaps by 16 writers, seen by 100 watchers on four connections. */
export async function benchFanOut(context) {
  await watchRun(context, { events: 1000, run: "warm" });
  for (let run = 0; run < context.runs; run++) {
    const { deliveries, elapsedMs, cpuS } = await watchRun(context, { events: 1000, run: `f${run}` });
    const name = "fan-out of 1,000 events to 100 watchers: deliveries";
    context.results.add(name, (deliveries / elapsedMs) * 1000, { unit: "/s", target: "> 300000" });
    context.results.add(`${name}, server CPU each`, (cpuS / deliveries) * 1e6, { unit: "µs" });
  }
}

/** From a write, at 100 a second, to the last of 100 watchers. */
export async function benchPacedWatch(context) {
  for (let run = 0; run < Math.min(context.runs, 3); run++) {
    const { delaysMs } = await watchRun(context, { events: 300, everyMs: 10, run: `p${run}` });
    for (const delay of delaysMs)
      context.results.add("write to the last of 100 watchers, 100/s", delay, { target: "p50 < 3, p99 < 15" });
  }
}

async function watchRun({ kubeconfig, pid }, { events, everyMs, run }) {
  const [writer, ...readers] = await openConnections(kubeconfig, 5);
  await ensureNamespace(writer, namespace);
  const { metadata } = await writer.json("GET", `${collection}?limit=1`);
  const sentAt = new Float64Array(events);
  const lastSeenAt = new Float64Array(events);
  const tag = `"name":"${run}-`;
  let seen = 0;
  let finish;
  const finished = new Promise((resolve) => (finish = resolve));
  const onLine = (line) => {
    const at = line.indexOf(tag);
    if (at < 0 || !line.startsWith('{"type":"ADDED"')) return;
    lastSeenAt[Number.parseInt(line.slice(at + tag.length, at + tag.length + 6), 10)] = performance.now();
    if (++seen === events * watchers) finish();
  };
  const path = `${collection}?watch=1&resourceVersion=${metadata.resourceVersion}`;
  const streams = Array.from({ length: watchers }, (_, i) => openWatch(readers[i % readers.length], path, onLine));
  await Promise.all(streams.map(({ open }) => open));
  const cpuBefore = cpuSeconds(pid);
  const start = performance.now();
  let written = 0;
  const write = async () => {
    const index = written++;
    sentAt[index] = performance.now();
    await writer.send("POST", collection, configMap(`${run}-${index}`, 100));
  };
  if (everyMs === undefined) {
    const writeOn = async () => {
      while (written < events) await write();
    };
    await Promise.all(Array.from({ length: 16 }, writeOn));
  } else {
    const writes = [];
    for (let i = 0; i < events; i++) {
      await until(start + i * everyMs);
      writes.push(write());
    }
    await Promise.all(writes);
  }
  await finished;
  const elapsedMs = performance.now() - start;
  const cpuS = cpuSeconds(pid) - cpuBefore;
  for (const { stop } of streams) stop();
  for (const reader of readers) reader.session.destroy();
  await writer.send("DELETE", `${collection}?labelSelector=app%3Dbench`);
  writer.close();
  return {
    deliveries: seen,
    elapsedMs,
    cpuS,
    delaysMs: Array.from(lastSeenAt, (at, i) => at - sentAt[i]),
  };
}

function openWatch({ session }, path, onLine) {
  const stream = session.request({ ":method": "GET", ":path": path, accept: "application/json" });
  // What is looked for is ASCII, and this decoding costs this process least.
  stream.setEncoding("latin1");
  let rest = "";
  stream.on("data", (chunk) => {
    let from = 0;
    for (let end = chunk.indexOf("\n"); end >= 0; end = chunk.indexOf("\n", from)) {
      onLine(from === 0 ? rest + chunk.slice(0, end) : chunk.slice(from, end));
      if (from === 0) rest = "";
      from = end + 1;
    }
    rest += chunk.slice(from);
  });
  stream.on("error", () => {});
  return { open: new Promise((resolve) => stream.once("response", resolve)), stop: () => stream.close() };
}

async function until(moment) {
  const waitMs = moment - performance.now();
  if (waitMs > 0) await new Promise((done) => setTimeout(done, waitMs));
}
