/** Address pools as ranges of numbers, and which Service may use which pool. Pure. */
import type { DeepReadonly } from "../../api/object.ts";
import {
  addressAt,
  cidr,
  cidrSize,
  familyOf,
  formatIp,
  networkOf,
  offsetIn,
  parseCidr,
  parseIp,
} from "../../base/ip.ts";
import { selectorOf } from "../../controller-runtime/compiled-selector.ts";
import type { IPAddressPool } from "./kinds.ts";

export type Family = "ipv4" | "ipv6";

/** Both ends included. */
export interface AddressRange {
  family: Family;
  first: bigint;
  last: bigint;
}

export interface Pool {
  name: string;
  ranges: readonly AddressRange[];
  autoAssign: boolean;
  /** Leaves out addresses that end in .0 and .255. */
  avoidBuggyIPs: boolean;
  serviceAllocation: DeepReadonly<IPAddressPool["spec"]["serviceAllocation"]>;
}

export interface PoolMistake {
  pool: DeepReadonly<IPAddressPool>;
  message: string;
}

/** The usable pools, the oldest first. One with a bad address, or that overlaps an older one, is none at all. */
export function readPools(objects: readonly DeepReadonly<IPAddressPool>[]): { pools: Pool[]; mistakes: PoolMistake[] } {
  const pools: Pool[] = [];
  const mistakes: PoolMistake[] = [];
  for (const object of [...objects].sort(byAge)) {
    const { name } = object.metadata;
    const { addresses, autoAssign = true, avoidBuggyIPs = false, serviceAllocation } = object.spec;
    try {
      const ranges: AddressRange[] = [];
      for (const text of addresses) {
        const range = parseRange(text);
        for (const [owner, other] of [
          ...pools.flatMap((pool) => pool.ranges.map((each) => [pool.name, each] as const)),
          ...ranges.map((each) => [name, each] as const),
        ]) {
          if (overlap(range, other))
            throw new Error(`CIDR "${text}" in pool "${name}" overlaps with already defined CIDR in pool "${owner}"`);
        }
        ranges.push(range);
      }
      pools.push({ name, ranges, autoAssign, avoidBuggyIPs, serviceAllocation });
    } catch (error) {
      mistakes.push({ pool: object, message: (error as Error).message });
    }
  }
  return { pools, mistakes };
}

/** `192.168.1.0/24` or `192.168.1.10-192.168.1.20`. Throws what is wrong with it. */
export function parseRange(text: string): AddressRange {
  const trimmed = text.trim();
  if (!trimmed.includes("-")) {
    const block = parseCidr(trimmed);
    if (!block) throw new Error(`invalid CIDR "${text}"`);
    const first = numberOf(formatIp(networkOf(block).address));
    return { family: block.address.length === 4 ? "ipv4" : "ipv6", first, last: first + cidrSize(block) - 1n };
  }
  const ends = trimmed.split("-").map((end) => end.trim());
  const [first, last] = ends;
  if (ends.length !== 2 || !first || !last || !parseIp(first) || !parseIp(last))
    throw new Error(`invalid IP range "${text}"`);
  if (familyOf(first) !== familyOf(last)) throw new Error(`invalid IP range "${text}": its ends are of two families`);
  if (numberOf(first) > numberOf(last))
    throw new Error(`invalid IP range "${text}": start IP "${first}" is after the end IP "${last}"`);
  return { family: familyOf(first), first: numberOf(first), last: numberOf(last) };
}

export function poolOf(pools: readonly Pool[], address: string): Pool | undefined {
  const number = numberOf(address);
  const family = familyOf(address);
  return pools.find(
    (pool) =>
      !(pool.avoidBuggyIPs && isBuggy(address)) &&
      pool.ranges.some((range) => range.family === family && range.first <= number && number <= range.last),
  );
}

/** The pool's addresses of a family, in order. */
export function* addressesOf({ ranges, avoidBuggyIPs }: Pool, family: Family): Iterable<string> {
  for (const range of ranges) {
    if (range.family !== family) continue;
    for (let number = range.first; number <= range.last; number++) {
      const address = formatIp(addressAt(everything[family], number));
      if (!avoidBuggyIPs || !isBuggy(address)) yield address;
    }
  }
}

interface ServiceFacts {
  namespace: string;
  labels: Readonly<Record<string, string>> | undefined;
  /** Of the Service's namespace. */
  namespaceLabels: Readonly<Record<string, string>> | undefined;
}

/** False when the pool is kept for others. */
export function isFor(pool: Pool, { namespace, labels, namespaceLabels }: ServiceFacts): boolean {
  const allocation = pool.serviceAllocation;
  if (!allocation) return true;
  const { namespaces = [], namespaceSelectors = [], serviceSelectors = [] } = allocation;
  if (namespaces.length > 0 || namespaceSelectors.length > 0) {
    const isNamed =
      namespaces.includes(namespace) ||
      namespaceSelectors.some((selector) => selectorOf(selector).matches(namespaceLabels));
    if (!isNamed) return false;
  }
  return serviceSelectors.length === 0 || serviceSelectors.some((selector) => selectorOf(selector).matches(labels));
}

function isBuggy(address: string): boolean {
  return /\.(0|255)$/.test(address);
}

function overlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

function byAge(a: DeepReadonly<IPAddressPool>, b: DeepReadonly<IPAddressPool>): number {
  const key = ({ metadata }: DeepReadonly<IPAddressPool>) => `${metadata.creationTimestamp} ${metadata.name}`;
  return key(a) < key(b) ? -1 : 1;
}

const everything = { ipv4: cidr("0.0.0.0/0"), ipv6: cidr("::/0") };

function numberOf(address: string): bigint {
  return offsetIn(everything[familyOf(address)], parseIp(address)!);
}
