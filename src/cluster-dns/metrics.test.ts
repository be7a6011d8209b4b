import { expect, test } from "vitest";
import { RecordType } from "./message.ts";
import { DnsMetrics } from "./metrics.ts";

/** A question for `web.shop`, and an answer of which only the header counts. */
function question(type: number): Buffer {
  const name = Buffer.from("\u0003web\u0004shop\0", "latin1");
  return Buffer.concat([Buffer.alloc(12), name, Buffer.of(type >> 8, type & 255, 0, 1)]);
}
const answer = (rcode: number) => Buffer.of(0, 0, 0x84, 0x80 | rcode);

test("questions are counted by transport and type, answers by their code", () => {
  const metrics = new DnsMetrics();
  metrics.answered(question(RecordType.A), answer(0), "udp");
  metrics.answered(question(RecordType.A), answer(3), "udp");
  metrics.answered(question(RecordType.AAAA), answer(0), "tcp");
  metrics.answered(question(777), answer(0), "udp");
  metrics.answered(Buffer.alloc(12), answer(1), "udp"); // No question at all.
  metrics.cache.hits = 4;
  const lines = metrics
    .text()
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.replace(',server="dns://:53"', "").replace(/,view="",zones?="\."/, ""));
  expect(lines).toEqual([
    'coredns_dns_requests_total{family="1",proto="udp",type="A"} 2',
    'coredns_dns_requests_total{family="1",proto="tcp",type="AAAA"} 1',
    'coredns_dns_requests_total{family="1",proto="udp",type="other"} 2',
    'coredns_dns_responses_total{plugin="",rcode="NOERROR"} 3',
    'coredns_dns_responses_total{plugin="",rcode="NXDOMAIN"} 1',
    'coredns_dns_responses_total{plugin="",rcode="FORMERR"} 1',
    'coredns_cache_hits_total{server="dns://:53"} 4',
    'coredns_cache_misses_total{server="dns://:53"} 0',
    'coredns_cache_entries{server="dns://:53"} 0',
  ]);
});
