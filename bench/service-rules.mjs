// What Services cost the kernel's rules: ten thousand of them with five endpoints each programmed at once, one endpoint's change
// among them, and the requests that go through them. One node, without a cluster around it.
import { bundledParts } from "./parts.mjs";

const cases = [
  { services: 100, changeTarget: 20 },
  { services: 10_000, changeTarget: 50, fullTarget: 3000 },
];

export async function benchServiceRules(results, { runs }) {
  const { parts, remove } = await bundledParts({
    "kube-proxy/proxier.ts": ["Proxier"],
    "base/node/netns.ts": ["createNetns", "deleteNetns", "netnsPath"],
    "base/node/system-clock.ts": ["systemClock"],
    "base/logger.ts": ["silentLogger"],
  });
  try {
    for (const each of cases) {
      for (let run = 0; run < Math.min(runs, 3); run++) await measure(parts, results, each);
    }
  } finally {
    remove();
  }
}

/** Three nodes, as in a cluster of one process: a change counts when the last of them has it. */
async function measure(parts, results, { services, changeTarget, fullTarget }) {
  const nodes = ["node-1", "node-2", "node-3"];
  const netnsOf = (node) => `pinnace-bench-${process.pid}-${node}`;
  for (const node of nodes) parts.createNetns(netnsOf(node), () => {});
  const stop = new AbortController();
  try {
    const source = new GeneratedServices(services);
    const proxiers = nodes.map(
      (name, i) =>
        new parts.Proxier({
          node: { name, addresses: [`198.18.90.${i + 2}`], podCIDRs: ["10.128.0.0/9"], serviceCIDRs: ["10.0.0.0/12"] },
          source,
          netnsPath: parts.netnsPath(netnsOf(name)),
          clock: parts.systemClock,
          log: parts.silentLogger,
        }),
    );
    const label = `${services.toLocaleString("en")} Services`;
    const add = (what, since, target) =>
      results.add(what, performance.now() - since, target ? { target: `< ${target}` } : {});
    let since = performance.now();
    const running = proxiers.map((proxier) => proxier.run(stop.signal));
    await Promise.all(proxiers.map((proxier) => proxier.synced));
    add(`${label} × 5 endpoints programmed on 3 nodes`, since, fullTarget);
    for (let change = 0; change < 30; change++) {
      since = performance.now();
      source.replaceEndpoint((change * 7919) % services, change);
      await Promise.all(proxiers.map((proxier) => proxier.settled()));
      add(`an endpoint's change among ${label}, on 3 nodes`, since, changeTarget);
    }
    stop.abort();
    await Promise.all(running);
  } finally {
    for (const node of nodes) parts.deleteNetns(netnsOf(node));
  }
}

class GeneratedServices {
  #services = new Map();
  #slices = new Map();
  #listeners = [];

  constructor(count) {
    for (let i = 0; i < count; i++) {
      const key = `default/web-${i}`;
      const ip = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
      const metadata = {
        name: `web-${i}`,
        namespace: "default",
        uid: `${i}`,
        creationTimestamp: "2026-01-01T00:00:00Z",
      };
      this.#services.set(key, {
        metadata,
        spec: {
          type: "ClusterIP",
          clusterIP: ip,
          clusterIPs: [ip],
          ports: [{ name: "http", port: 80, protocol: "TCP" }],
        },
        status: {},
      });
      this.#slices.set(key, [slice(i, [0, 1, 2, 3, 4])]);
    }
  }

  async synced() {}
  get(key) {
    return this.#services.get(key);
  }
  slicesOf(key) {
    return this.#slices.get(key) ?? [];
  }
  onChange(listener) {
    this.#listeners.push(listener);
    for (const key of this.#services.keys()) listener(key, "service");
  }
  replaceEndpoint(service, change) {
    this.#slices.set(`default/web-${service}`, [slice(service, [0, 1, 2, 3, 5 + (change % 2)])]);
    for (const listener of this.#listeners) listener(`default/web-${service}`, "endpoint");
  }
}

function slice(service, pods) {
  const address = (pod) => {
    const number = service * 8 + pod + 2;
    return `10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
  };
  return {
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: pods.map((pod) => ({ addresses: [address(pod)], nodeName: "node-2", conditions: { ready: true } })),
  };
}
