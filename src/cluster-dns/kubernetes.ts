/** Answers for the cluster's own names and addresses (CoreDNS' kubernetes plugin, `pods insecure`). */
import { formatIp, parseIp } from "../base/ip.ts";
import type { Random } from "../base/random.ts";
import {
  type Answer,
  addressRecord,
  classInternet,
  nameRecord,
  Rcode,
  RecordType,
  type ResourceRecord,
} from "./message.ts";
import type { Next, Plugin, Query } from "./plugin.ts";
import type { Entry, Zone } from "./zone.ts";

export interface KubernetesOptions {
  zone: Zone;
  /** Answers in a new order each time, so that clients that take the first spread (CoreDNS' loadbalance). */
  random: Random;
  /** The kube-dns Service's addresses: the zone's name server. */
  serverAddresses: readonly string[];
  /** Default 30 seconds, as kubeadm configures it. */
  ttl?: number;
  /** How long a name may be remembered as absent. Default 5 seconds. */
  negativeTtl?: number;
}

/** How long an ExternalName is followed from alias to alias. */
const longestAliasChain = 8;

export class KubernetesPlugin implements Plugin {
  readonly name = "kubernetes";
  readonly #options: Required<KubernetesOptions>;
  readonly #suffix: string;
  readonly #soa: ResourceRecord;
  readonly #serverName: string;

  constructor(options: KubernetesOptions) {
    this.#options = { ttl: 30, negativeTtl: 5, ...options };
    const { domain } = options.zone;
    this.#suffix = `.${domain}`;
    this.#serverName = `ns.dns.${domain}`;
    this.#soa = {
      name: domain,
      type: RecordType.SOA,
      class: classInternet,
      ttl: this.#options.negativeTtl,
      data: {
        kind: "soa",
        primary: this.#serverName,
        mailbox: `hostmaster.${domain}`,
        serial: 1,
        refresh: 7200,
        retry: 1800,
        expire: 86_400,
        minimum: this.#options.negativeTtl,
      },
    };
  }

  answer(query: Query, next: Next): Answer | Promise<Answer> {
    const { name } = query;
    if (name.endsWith(this.#suffix) || name === this.#options.zone.domain) return this.#inZone(query, next);
    if (name.endsWith(".arpa")) return this.#reverse(query) ?? next(query);
    return next(query);
  }

  #inZone(query: Query, next: Next): Answer | Promise<Answer> {
    const { zone, ttl } = this.#options;
    const entry = zone.find(query.name);
    if (!entry) return this.#special(query);
    if (entry.alias !== undefined) return this.#follow(query, entry.alias, next);
    switch (query.type) {
      case RecordType.A:
        return this.#found(this.#addresses(query.name, entry.ipv4), [], entry.ipv4.length <= 1);
      case RecordType.AAAA:
        return this.#found(this.#addresses(query.name, entry.ipv6), [], entry.ipv6.length <= 1);
      case RecordType.SRV: {
        const answers = entry.services.map(({ port, weight, target }): ResourceRecord => {
          const data = { kind: "srv", priority: 0, weight, port, target } as const;
          return { name: query.name, type: RecordType.SRV, class: classInternet, ttl, data };
        });
        return this.#found(answers, this.#addressesOfTargets(entry));
      }
      default:
        return this.#found([]);
    }
  }

  /** Names that exist without a Service: the zone itself, its branches, pods by their address. */
  #special({ name, type }: Query): Answer {
    const { zone, ttl, serverAddresses } = this.#options;
    if (name === zone.domain) {
      if (type === RecordType.SOA) return this.#found([this.#soa]);
      if (type !== RecordType.NS) return this.#found([]);
      return this.#found([nameRecord(name, RecordType.NS, this.#serverName, ttl)], this.#serverRecords());
    }
    if (name === this.#serverName) return this.#found(this.#serverRecords().filter((record) => record.type === type));
    const labels = name.slice(0, -this.#suffix.length).split(".");
    const branch = labels.pop();
    if (branch === "dns-version" && labels.length === 0)
      return this.#found(type === RecordType.TXT ? [this.#version(name)] : []);
    if (branch === "dns" && labels.length === 0 && serverAddresses.length > 0) return this.#found([]);
    if (branch !== "svc" && branch !== "pod") return this.#absent();
    const namespace = labels.pop();
    if (namespace === undefined) return this.#found([]);
    if (!zone.hasNamespace(namespace)) return this.#absent();
    if (labels.length === 0) return this.#found([]);
    if (branch === "svc" || labels.length > 1) return this.#absent();
    return this.#pod(name, labels[0]!, type);
  }

  /** `10-244-1-7.default.pod.cluster.local`: any address that the name spells. */
  #pod(name: string, label: string, type: number): Answer {
    const isIpv4 = label.split("-").length === 4 && !label.includes("--");
    const address = parseIp(label.replaceAll("-", isIpv4 ? "." : ":"));
    if (!address) return this.#absent();
    const wanted = type === (address.length === 4 ? RecordType.A : RecordType.AAAA);
    return this.#found(wanted ? [addressRecord(name, address, this.#options.ttl)] : []);
  }

  /** Undefined when nobody in the cluster has the address. */
  #reverse({ name, type }: Query): Answer | undefined {
    const address = addressOfReverseName(name);
    const names = address ? this.#options.zone.namesOfAddress(address) : [];
    if (names.length === 0) return undefined;
    const answers =
      type === RecordType.PTR ? names.map((target) => nameRecord(name, RecordType.PTR, target, this.#options.ttl)) : [];
    return this.#found(answers);
  }

  /** An ExternalName: the alias, and what stands there for clients that ask for addresses. */
  #follow(query: Query, alias: string, next: Next): Answer | Promise<Answer> {
    const chain = [nameRecord(query.name, RecordType.CNAME, alias, this.#options.ttl)];
    if (query.type === RecordType.CNAME) return this.#found(chain);
    const seen = new Set([query.name]);
    let target = alias;
    // Aliases inside the zone are followed here, so that two that point at each other end.
    for (
      let entry = this.#options.zone.find(target);
      entry?.alias !== undefined;
      entry = this.#options.zone.find(target)
    ) {
      if (seen.has(target) || seen.size >= longestAliasChain) return this.#found(chain);
      seen.add(target);
      chain.push(nameRecord(target, RecordType.CNAME, entry.alias, this.#options.ttl));
      target = entry.alias;
    }
    const merge = (resolved: Answer): Answer => ({
      ...resolved,
      isLasting: false,
      authoritative: true,
      rcode: resolved.rcode === Rcode.NXDOMAIN ? Rcode.NXDOMAIN : Rcode.NOERROR,
      answers: [...chain, ...resolved.answers],
    });
    const resolved = this.answer({ ...query, name: target }, next);
    return resolved instanceof Promise ? resolved.then(merge) : merge(resolved);
  }

  #found(answers: readonly ResourceRecord[], additional: readonly ResourceRecord[] = [], isLasting = true): Answer {
    const authority = answers.length === 0 ? [this.#soa] : [];
    return { rcode: Rcode.NOERROR, authoritative: true, answers, authority, additional, isLasting };
  }

  #absent(): Answer {
    const authority = [this.#soa];
    return { rcode: Rcode.NXDOMAIN, authoritative: true, answers: [], authority, additional: [], isLasting: true };
  }

  #addresses(name: string, addresses: readonly Uint8Array[]): ResourceRecord[] {
    const records = addresses.map((address) => addressRecord(name, address, this.#options.ttl));
    for (let i = records.length - 1; i > 0; i--) {
      const j = this.#options.random.int(i + 1);
      [records[i], records[j]] = [records[j]!, records[i]!];
    }
    return records;
  }

  #addressesOfTargets({ services }: Entry): ResourceRecord[] {
    return [...new Set(services.map(({ target }) => target))].flatMap((target) => {
      const entry = this.#options.zone.find(target);
      return entry ? [...this.#addresses(target, entry.ipv4), ...this.#addresses(target, entry.ipv6)] : [];
    });
  }

  #serverRecords(): ResourceRecord[] {
    const addresses = this.#options.serverAddresses.flatMap((text) => parseIp(text) ?? []);
    return addresses.map((address) => addressRecord(this.#serverName, address, this.#options.ttl));
  }

  #version(name: string): ResourceRecord {
    const bytes = Buffer.from("\x051.1.0", "latin1");
    return { name, type: RecordType.TXT, class: classInternet, ttl: 28_800, data: { kind: "bytes", bytes } };
  }
}

/** The address that `4.3.2.1.in-addr.arpa` or its IPv6 counterpart spells, canonically printed. */
function addressOfReverseName(name: string): string | undefined {
  const labels = name.split(".");
  if (name.endsWith(".in-addr.arpa") && labels.length === 6) {
    const address = parseIp(labels.slice(0, 4).reverse().join("."));
    return address && formatIp(address);
  }
  if (name.endsWith(".ip6.arpa") && labels.length === 34) {
    const digits = labels.slice(0, 32).reverse();
    if (!digits.every((digit) => /^[0-9a-f]$/.test(digit))) return undefined;
    return formatIp(Buffer.from(digits.join(""), "hex"));
  }
  return undefined;
}
