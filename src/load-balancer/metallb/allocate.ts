/** Which addresses a Service of type LoadBalancer gets (MetalLB's allocator). Pure: same inputs, same addresses. */
import type { Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { familyOf, formatIp, parseIp } from "../../base/ip.ts";
import { addressesOf, type Family, isFor, type Pool, poolOf } from "./pools.ts";

export interface AllocationView {
  pools: readonly Pool[];
  /** The Services that hold an address now, whoever gave it to them. */
  holdersOf(address: string): readonly DeepReadonly<Service>[];
  namespaceLabels: Readonly<Record<string, string>> | undefined;
}

/** Thrown with what the Service's event says. */
export class AllocationError extends Error {
  override name = "AllocationError";
}

const annotations = ["metallb.io/", "metallb.universe.tf/"];

/** A Service's annotation, under today's prefix or the old one. */
export function metallbAnnotation(service: DeepReadonly<Service>, name: string): string {
  const values = annotations.map((prefix) => service.metadata.annotations?.[prefix + name]);
  return values.find((value) => value !== undefined) ?? "";
}

export function heldAddresses(service: DeepReadonly<Service>): string[] {
  return (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip ? [ip] : []));
}

/** Undefined when what the Service holds is what it should hold; else why it is taken away. Throws AllocationError for a request that nobody can read. */
export function whyNoLonger(service: DeepReadonly<Service>, view: AllocationView): string | undefined {
  const held = heldAddresses(service);
  const requested = requestedAddresses(service);
  try {
    for (const address of held) mayHold(service, address, view);
  } catch (error) {
    return (error as Error).message;
  }
  const pools = new Set(held.map((address) => poolOf(view.pools, address)?.name));
  const requestedPool = metallbAnnotation(service, "address-pool");
  if (requestedPool && !pools.has(requestedPool)) return "a different pool was requested";
  if (requested.length > 0 && [...requested].sort().join() !== [...held].sort().join())
    return "a different IP was requested";
  const families = familiesOf(service);
  const isWhole = held.length === families.length || service.spec.ipFamilyPolicy === "PreferDualStack";
  if (!isWhole || held.some((address) => !families.includes(familyOf(address)))) return "its IP families changed";
  return undefined;
}

/** Addresses that are free for the Service, one a family, all of one pool. Throws AllocationError. */
export function allocate(service: DeepReadonly<Service>, view: AllocationView): { addresses: string[]; pool: string } {
  const families = familiesOf(service);
  const requested = requestedAddresses(service);
  const requestedPool = metallbAnnotation(service, "address-pool");
  if (requested.length > 0) {
    const wanted = requested.map(familyOf);
    if (wanted.length !== families.length || !families.every((family) => wanted.includes(family)))
      throw new AllocationError(
        `requested loadBalancer IP(s) ${quoted(requested)} does not match the ipFamily of the service`,
      );
    const pools = requested.map((address) => mayHold(service, address, view));
    const [pool] = pools;
    if (pools.some((other) => other !== pool))
      throw new AllocationError(`requested loadBalancer IP(s) ${quoted(requested)} are of different pools`);
    if (requestedPool && pool!.name !== requestedPool)
      throw new AllocationError(
        `requested loadBalancer IP(s) ${quoted(requested)} is not compatible with requested address pool ${requestedPool}`,
      );
    return { addresses: requested, pool: pool!.name };
  }
  const facts = factsOf(service, view);
  if (requestedPool) {
    const pool = view.pools.find(({ name }) => name === requestedPool);
    if (!pool) throw new AllocationError(`unknown pool "${requestedPool}"`);
    if (!isFor(pool, facts)) throw new AllocationError(`pool ${requestedPool} not compatible for ip assignment`);
    const addresses = fromPool(service, pool, families, view);
    if (!addresses) throw new AllocationError(`no available IPs in pool "${requestedPool}"`);
    return { addresses, pool: pool.name };
  }
  // Pools kept for some Services come before those for all; of them those with a priority, 1 first.
  const priority = ({ serviceAllocation }: Pool) => serviceAllocation?.priority || Number.MAX_SAFE_INTEGER;
  const kept = view.pools.filter((pool) => pool.serviceAllocation).sort((a, b) => priority(a) - priority(b));
  for (const pool of [...kept, ...view.pools.filter((each) => !each.serviceAllocation)]) {
    if (!pool.autoAssign || !isFor(pool, facts)) continue;
    const addresses = fromPool(service, pool, families, view);
    if (addresses) return { addresses, pool: pool.name };
  }
  throw new AllocationError("no available IPs");
}

function fromPool(
  service: DeepReadonly<Service>,
  pool: Pool,
  families: readonly Family[],
  view: AllocationView,
): string[] | undefined {
  const found = families.map((family) => {
    for (const address of addressesOf(pool, family)) if (isFreeFor(service, address, view)) return address;
    return undefined;
  });
  const addresses = found.filter((address) => address !== undefined);
  const isEnough =
    service.spec.ipFamilyPolicy === "PreferDualStack" ? addresses.length > 0 : !found.includes(undefined);
  return isEnough ? addresses : undefined;
}

function isFreeFor(service: DeepReadonly<Service>, address: string, view: AllocationView): boolean {
  return view.holdersOf(address).length === 0 || whyNotShared(service, address, view) === undefined;
}

/** The pool of an address that the Service may have. Throws AllocationError. */
function mayHold(service: DeepReadonly<Service>, address: string, view: AllocationView): Pool {
  const pool = poolOf(view.pools, address);
  if (!pool) throw new AllocationError(`["${address}"] is not allowed in config`);
  if (!isFor(pool, factsOf(service, view)))
    throw new AllocationError(`pool ${pool.name} not compatible for ip assignment`);
  const why = whyNotShared(service, address, view);
  if (why) throw new AllocationError(why);
  return pool;
}

/** Services share an address when both allow it by one key, none has a port of the other, and both lead to the same place or keep no client's address. */
function whyNotShared(service: DeepReadonly<Service>, address: string, view: AllocationView): string | undefined {
  const others = view.holdersOf(address).filter(({ metadata }) => metadata.uid !== service.metadata.uid);
  if (others.length === 0) return undefined;
  const key = `${service.metadata.namespace}/${service.metadata.name}`;
  const names = others.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(",");
  const sharing = metallbAnnotation(service, "allow-shared-ip");
  const isShared = others.every(
    (other) =>
      sharing !== "" &&
      metallbAnnotation(other, "allow-shared-ip") === sharing &&
      backendKey(other) === backendKey(service),
  );
  if (!isShared) return `can't change sharing key for "${key}", address also in use by ${names}`;
  const taken = new Set(others.flatMap(portsOf));
  const clash = portsOf(service).find((port) => taken.has(port));
  return clash && `port ${clash} is already in use on "${address}"`;
}

function portsOf({ spec }: DeepReadonly<Service>): string[] {
  return (spec.ports ?? []).map(({ protocol = "TCP", port }) => `${protocol}/${port}`);
}

/** With policy Local an address leads to the pods of the announcing node: they must be the same for all who share it. */
function backendKey({ spec }: DeepReadonly<Service>): string {
  if (spec.externalTrafficPolicy !== "Local") return "cluster";
  return `local ${JSON.stringify(Object.entries(spec.selector ?? {}).sort())}`;
}

function requestedAddresses(service: DeepReadonly<Service>): string[] {
  const annotated = metallbAnnotation(service, "loadBalancerIPs");
  const { loadBalancerIP } = service.spec;
  if (annotated && loadBalancerIP)
    throw new AllocationError("service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP");
  const texts = annotated ? annotated.split(",").map((text) => text.trim()) : loadBalancerIP ? [loadBalancerIP] : [];
  return texts.map((text) => {
    const bytes = parseIp(text);
    if (bytes) return formatIp(bytes);
    throw new AllocationError(
      annotated
        ? `invalid metallb.io/loadBalancerIPs: "${annotated}"`
        : `invalid spec.loadBalancerIP "${loadBalancerIP}"`,
    );
  });
}

function familiesOf({ spec }: DeepReadonly<Service>): Family[] {
  return (spec.clusterIPs ?? [spec.clusterIP ?? ""]).filter((address) => parseIp(address)).map(familyOf);
}

function factsOf({ metadata }: DeepReadonly<Service>, { namespaceLabels }: AllocationView) {
  return { namespace: metadata.namespace, labels: metadata.labels, namespaceLabels };
}

/** As Go prints a list of strings with %q. */
export function quoted(addresses: readonly string[]): string {
  return `[${addresses.map((address) => `"${address}"`).join(" ")}]`;
}
