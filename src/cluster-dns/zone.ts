/**
 * The cluster's names, indexed: what each Service has in DNS by the Kubernetes DNS specification 1.1.0, computed when it
 * changes and found by one look-up when it is asked for.
 */
import type { Service } from "../api/core/v1.ts";
import type { EndpointSlice } from "../api/discovery/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { parseIp } from "../base/ip.ts";

/** What stands under one name. */
export interface Entry {
  ipv4: Uint8Array[];
  ipv6: Uint8Array[];
  /** Each with the weight that shares its traffic evenly. */
  services: { port: number; weight: number; target: string }[];
  /** The Service stands for this name outside. */
  alias?: string;
}

export class Zone {
  /** Lower case, without the final dot: `cluster.local`. */
  readonly domain: string;
  readonly #entries = new Map<string, Entry>();
  readonly #namespaces = new Set<string>();
  readonly #namesOf = new Map<string, { base: string; names: string[]; addresses: string[] }>();
  /** By address: the Service that has it, and the endpoints that have it. */
  readonly #services = new Map<string, string>();
  readonly #endpoints = new Map<string, Map<string, string[]>>();

  #revision = 1;

  constructor(domain: string) {
    this.domain = domain.toLowerCase();
  }

  /** Grows with every change. */
  get revision(): number {
    return this.#revision;
  }

  find(name: string): Entry | undefined {
    return this.#entries.get(name);
  }

  hasNamespace(namespace: string): boolean {
    return this.#namespaces.has(namespace);
  }

  /** Names of an address, as `formatIp` writes it: its Service's, else those of the endpoints that have it. */
  namesOfAddress(address: string): string[] {
    const service = this.#services.get(address);
    if (service) return [service];
    return [...(this.#endpoints.get(address)?.values() ?? [])].flat();
  }

  addNamespace(name: string): void {
    this.#revision++;
    this.#namespaces.add(name);
  }

  removeNamespace(name: string): void {
    this.#revision++;
    this.#namespaces.delete(name);
  }

  /** States anew what a Service has here; without one its names go. `key` is `namespace/name`. */
  state(key: string, service: DeepReadonly<Service> | undefined, slices: readonly DeepReadonly<EndpointSlice>[]): void {
    this.#revision++;
    this.#withdraw(key);
    if (!service) return;
    const { name, namespace } = service.metadata;
    const base = `${name}.${namespace}.svc.${this.domain}`.toLowerCase();
    const records = describeService(service, slices, base);
    const addresses: string[] = [];
    for (const [entryName, entry] of records.entries) this.#entries.set(entryName, entry);
    for (const address of records.serviceAddresses) {
      this.#services.set(address, base);
      addresses.push(address);
    }
    for (const [address, names] of records.endpointNames) {
      let owners = this.#endpoints.get(address);
      if (!owners) this.#endpoints.set(address, (owners = new Map()));
      owners.set(key, names);
      addresses.push(address);
    }
    this.#namesOf.set(key, { base, names: [...records.entries.keys()], addresses });
  }

  #withdraw(key: string): void {
    const known = this.#namesOf.get(key);
    if (!known) return;
    this.#namesOf.delete(key);
    for (const name of known.names) this.#entries.delete(name);
    for (const address of known.addresses) {
      if (this.#services.get(address) === known.base) this.#services.delete(address);
      const owners = this.#endpoints.get(address);
      owners?.delete(key);
      if (owners?.size === 0) this.#endpoints.delete(address);
    }
  }
}

/** The records of one Service, pure. */
function describeService(service: DeepReadonly<Service>, slices: readonly DeepReadonly<EndpointSlice>[], base: string) {
  const { spec } = service;
  const entries = new Map<string, Entry>();
  const serviceAddresses: string[] = [];
  const endpointNames = new Map<string, string[]>();
  const described = { entries, serviceAddresses, endpointNames };
  if (spec.type === "ExternalName") {
    const alias = spec.externalName?.toLowerCase().replace(/\.$/, "");
    if (alias && !parseIp(alias)) entries.set(base, { ...emptyEntry(), alias });
    return described;
  }

  const clusterIPs = (spec.clusterIPs ?? [spec.clusterIP ?? ""]).filter((ip) => parseIp(ip));
  const isHeadless = spec.clusterIP === "None";
  if (clusterIPs.length === 0 && !isHeadless) return described;
  if (!isHeadless) {
    const own = emptyEntry();
    entries.set(base, own);
    for (const port of spec.ports ?? []) {
      const named = port.name
        ? entryOf(entries, `_${port.name}._${(port.protocol ?? "TCP").toLowerCase()}.${base}`)
        : undefined;
      for (const ip of clusterIPs) {
        for (const entry of [own, named]) {
          if (!entry) continue;
          addAddress(entry, ip);
          entry.services.push({ port: port.port, weight: 0, target: base });
        }
      }
    }
    serviceAddresses.push(...clusterIPs);
  }

  for (const slice of slices) {
    if (slice.addressType === "FQDN") continue;
    const ports = slice.ports?.length ? slice.ports : [{}];
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      for (const ip of endpoint.addresses) {
        const target = `${endpoint.hostname?.toLowerCase() || ip.replace(/[.:]/g, "-")}.${base}`;
        const names = endpointNames.get(ip);
        if (!names) endpointNames.set(ip, [target]);
        else if (!names.includes(target)) names.push(target);
        for (const port of ports) {
          const owners = [entryOf(entries, target)];
          if (isHeadless) {
            owners.push(entryOf(entries, base));
            if (port.name && port.port) {
              owners.push(entryOf(entries, `_${port.name}._${(port.protocol ?? "TCP").toLowerCase()}.${base}`));
            }
          }
          for (const entry of owners) {
            addAddress(entry, ip);
            entry.services.push({ port: port.port ?? 0, weight: 0, target });
          }
        }
      }
    }
  }
  for (const entry of entries.values()) shareEvenly(entry);
  return described;
}

/** SRV weights add up to 100; one target and port counts once, whatever addresses it has. */
function shareEvenly(entry: Entry): void {
  const weight = Math.max(1, Math.floor(100 / entry.services.length));
  const distinct = new Map<string, Entry["services"][number]>();
  for (const { port, target } of entry.services) distinct.set(`${port} ${target}`, { port, target, weight });
  entry.services = [...distinct.values()];
}

function entryOf(entries: Map<string, Entry>, name: string): Entry {
  let entry = entries.get(name);
  if (!entry) entries.set(name, (entry = emptyEntry()));
  return entry;
}

function emptyEntry(): Entry {
  return { ipv4: [], ipv6: [], services: [] };
}

function addAddress(entry: Entry, text: string): void {
  const address = parseIp(text);
  if (!address) return;
  const addresses = address.length === 4 ? entry.ipv4 : entry.ipv6;
  if (!addresses.some((known) => known.every((byte, i) => byte === address[i]))) addresses.push(address);
}
