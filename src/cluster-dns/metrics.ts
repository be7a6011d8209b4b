/** What cluster DNS counts, in Prometheus' text format and under CoreDNS' names. */
import type { Server } from "node:http";
import { createServer } from "node:http";
import { Rcode, RecordType } from "./message.ts";

export type Transport = "udp" | "tcp";

/** Hears of every question and its answer. On the path of every packet: it must not wait. */
export type Listener = (question: Buffer, answer: Buffer, transport: Transport) => void;

export class DnsMetrics {
  /** By `transport type`, and by response code. */
  readonly #requests = new Map<string, number>();
  readonly #responses = new Map<number, number>();
  readonly cache = { hits: 0, misses: 0, entries: 0 };

  readonly answered: Listener = (question, answer, transport) => {
    const request = `${transport} ${typeNames.get(typeOf(question)) ?? "other"}`;
    this.#requests.set(request, (this.#requests.get(request) ?? 0) + 1);
    const rcode = answer[3]! & 15;
    this.#responses.set(rcode, (this.#responses.get(rcode) ?? 0) + 1);
  };

  text(): string {
    const requests = [...this.#requests].map(([key, count]) => {
      const [transport = "", type = ""] = key.split(" ");
      return `coredns_dns_requests_total{family="1",proto="${transport}",${server},type="${type}",view="",zone="."} ${count}`;
    });
    const responses = [...this.#responses].map(
      ([rcode, count]) =>
        `coredns_dns_responses_total{plugin="",rcode="${rcodeNames.get(rcode) ?? rcode}",${server},view="",zone="."} ${count}`,
    );
    const ofCache = (name: string) => `${name}{${server},view="",zones="."}`;
    const metrics: [name: string, type: string, help: string, samples: string[]][] = [
      [
        "coredns_dns_requests_total",
        "counter",
        "Counter of DNS requests made per zone, protocol and family.",
        requests,
      ],
      ["coredns_dns_responses_total", "counter", "Counter of response status codes.", responses],
      ...(
        [
          ["coredns_cache_hits_total", "counter", "The count of cache hits.", this.cache.hits],
          ["coredns_cache_misses_total", "counter", "The count of cache misses.", this.cache.misses],
          ["coredns_cache_entries", "gauge", "The number of elements in the cache.", this.cache.entries],
        ] as const
      ).map(([name, type, help, value]): [string, string, string, string[]] => [
        name,
        type,
        help,
        [`${ofCache(name)} ${value}`],
      ]),
    ];
    return metrics
      .filter(([, , , samples]) => samples.length > 0)
      .map(([name, type, help, samples]) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.join("\n")}\n`)
      .join("");
  }
}

/** Answers `/metrics`; not yet listening. */
export function metricsServer(metrics: DnsMetrics): Server {
  return createServer((request, response) => {
    const plain = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };
    if (request.url?.split("?")[0] === "/metrics") response.writeHead(200, plain).end(metrics.text());
    else response.writeHead(404, plain).end("404 page not found\n");
  });
}

const server = 'server="dns://:53"';
const typeNames = new Map(Object.entries(RecordType).map(([name, number]) => [number as number, name]));
const rcodeNames = new Map(Object.entries(Rcode).map(([name, number]) => [number as number, name]));

/** The type in the first question; 0 where there is none. */
function typeOf(packet: Buffer): number {
  let at = 12;
  while (at < packet.length && packet[at] !== 0) at += packet[at]! + 1;
  return at + 2 < packet.length ? packet.readUInt16BE(at + 1) : 0;
}
