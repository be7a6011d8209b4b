/** Gives Services their addresses, families and node ports while they are written, and takes them back when the write fails or the Service goes. */
import type { Service, ServicePort } from "../../api/core/v1.ts";
import { type FieldError, invalid, spec as specPath } from "../../apimachinery/field-error.ts";
import type { ResourceDefinition } from "../../apimachinery/resource-definition.ts";
import { internalError, invalidError } from "../../apimachinery/status-error.ts";
import { type IpFamily, ipFamilyOf } from "../validation/ip.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { validClusterIpFields } from "./service-cluster-ips.ts";
import {
  headlessAddress,
  needsClusterIp,
  needsHealthCheckNodePort,
  needsNodePort,
  wantsNewNodePorts,
} from "./service-needs.ts";

/** A pool that things are taken from. The cluster's allocators fulfil it. */
export interface AllocationPool<T> {
  /** Undefined when that worked, else why not. */
  take(item: T): string | undefined;
  /** Undefined when nothing is left. */
  takeNext(): T | undefined;
  release(item: T): void;
}

export interface ServicePools {
  /** The cluster's families, the default one first. */
  readonly addresses: readonly (AllocationPool<string> & { readonly family: IpFamily })[];
  readonly nodePorts: AllocationPool<number>;
}

type BeginWrite = NonNullable<ResourceDefinition<Service>["beginWrite"]>;

/** The `beginWrite` of Services in a cluster with these pools. */
export function serviceAllocation(pools: ServicePools): BeginWrite {
  return (next, previous, { subresource }) => {
    if (subresource !== "") return undefined;
    const transaction = new Transaction(pools);
    try {
      if (next) allocate(next, previous, pools, transaction);
      else if (previous) transaction.releaseAll(previous);
    } catch (error) {
      transaction.finish(false);
      throw error;
    }
    return (succeeded) => transaction.finish(succeeded);
  };
}

/** What one write took and what it gives back once it is stored. */
class Transaction {
  readonly #pools: ServicePools;
  readonly #taken: (() => void)[] = [];
  readonly #released: (() => void)[] = [];

  constructor(pools: ServicePools) {
    this.#pools = pools;
  }

  takeAddress(family: IpFamily, wanted: string | undefined, service: Service): string {
    const pool = this.#addressPool(family);
    if (!pool) throw internalError(`failed to allocate a serviceIP: ${family} is not configured`);
    if (wanted) {
      const problem = pool.take(wanted);
      if (problem) {
        const detail = `failed to allocate IP ${wanted}: ${problem}`;
        throw refused(service, [invalid(specPath.child("clusterIPs"), service.spec.clusterIPs, detail)]);
      }
    }
    const address = wanted || pool.takeNext();
    if (address === undefined) throw internalError("failed to allocate a serviceIP: range is full");
    this.#taken.push(() => pool.release(address));
    return address;
  }

  releaseAddress(address: string): void {
    const family = ipFamilyOf(address);
    if (family) this.#released.push(() => this.#addressPool(family)?.release(address));
  }

  takePort(port: number): string | undefined {
    const problem = this.#pools.nodePorts.take(port);
    if (!problem) this.#taken.push(() => this.#pools.nodePorts.release(port));
    return problem;
  }

  takeNextPort(what: string): number {
    const port = this.#pools.nodePorts.takeNext();
    if (port === undefined) throw internalError(`failed to allocate a ${what}: range is full`);
    this.#taken.push(() => this.#pools.nodePorts.release(port));
    return port;
  }

  releasePort(port: number | undefined): void {
    if (port) this.#released.push(() => this.#pools.nodePorts.release(port));
  }

  releaseAll({ spec }: Service): void {
    for (const address of spec.clusterIPs ?? []) this.releaseAddress(address);
    for (const port of nodePortsOf(spec.ports)) this.releasePort(port);
    this.releasePort(spec.healthCheckNodePort);
  }

  finish(succeeded: boolean): void {
    for (const undo of succeeded ? this.#released : this.#taken) undo();
  }

  #addressPool(family: IpFamily) {
    return this.#pools.addresses.find((pool) => pool.family === family);
  }
}

function refused(service: Service, errors: FieldError[]) {
  return invalidError({ group: "", kind: "Service" }, service.metadata.name ?? "", errors);
}

function allocate(next: Service, previous: Service | undefined, pools: ServicePools, transaction: Transaction): void {
  if (previous) keepAllocated(next, previous);
  agreeOnClusterIps(next, previous);
  chooseFamilies(next, previous, pools);
  allocateAddresses(next, previous, transaction);
  allocateNodePorts(next, previous, transaction);
  allocateHealthCheckPort(next, previous, transaction);
}

/** A writer that leaves out what was allocated before keeps it: replacing a manifest must not move a Service. */
function keepAllocated(next: Service, previous: Service): void {
  const [now, before] = [next.spec, previous.spec];
  if (needsClusterIp(previous) && needsClusterIp(next)) {
    if (!now.clusterIP) setOrDelete(now, "clusterIP", before.clusterIP);
    if (!now.clusterIPs?.length && now.clusterIP === before.clusterIP)
      setOrDelete(now, "clusterIPs", before.clusterIPs);
  }
  if (needsNodePort(previous) && needsNodePort(next)) {
    const inUse = nodePortsOf(now.ports);
    const byName = new Map((before.ports ?? []).map(({ name = "", nodePort }) => [name, nodePort]));
    for (const port of now.ports ?? []) {
      const old = byName.get(port.name ?? "");
      if (!port.nodePort && old && !inUse.has(old)) port.nodePort = old;
    }
  }
  if (needsHealthCheckNodePort(previous) && needsHealthCheckNodePort(next)) {
    if (!now.healthCheckNodePort) setOrDelete(now, "healthCheckNodePort", before.healthCheckNodePort);
  }
}

function setOrDelete<K extends keyof Service["spec"]>(
  spec: Service["spec"],
  field: K,
  value: Service["spec"][K] | undefined,
): void {
  if (value === undefined) delete spec[field];
  else spec[field] = value;
}

/** Writers may know only `clusterIP`; `clusterIPs` then follows it. */
function agreeOnClusterIps({ spec }: Service, previous: Service | undefined): void {
  const given = spec.clusterIPs ?? [];
  if (!previous) {
    if (spec.clusterIP && given.length === 0) spec.clusterIPs = [spec.clusterIP];
    return;
  }
  const before = previous.spec;
  const sameList = semanticallyEqual(given, before.clusterIPs);
  if (before.clusterIPs?.length && given.length === 0 && spec.clusterIP === before.clusterIP) {
    spec.clusterIPs = [...before.clusterIPs];
  }
  if (spec.clusterIP === before.clusterIP || !sameList) return;
  if (before.clusterIP && !spec.clusterIP) delete spec.clusterIPs;
  else if (spec.clusterIP) spec.clusterIPs = [spec.clusterIP];
}

/** Fills ipFamilies and ipFamilyPolicy from what was asked for and what the cluster has. */
function chooseFamilies(service: Service, previous: Service | undefined, pools: ServicePools): void {
  const { spec } = service;
  if (spec.type === "ExternalName" || keepsPreferDualStack(service, previous)) return;
  if (spec.ipFamilyPolicy === undefined && (spec.clusterIPs?.length === 2 || spec.ipFamilies?.length === 2)) {
    spec.ipFamilyPolicy = "RequireDualStack";
  }
  const problems = validClusterIpFields(service);
  if (problems.length > 0) throw refused(service, problems);
  if (previous) dropSecondaryWhenSingle(service, previous);

  const families = inferFamilies(service, pools);
  const headless = spec.clusterIPs?.[0] === headlessAddress;
  if (headless && Object.keys(spec.selector ?? {}).length === 0) {
    // Nobody knows which families the endpoints will have: both, unless the writer says otherwise.
    spec.ipFamilyPolicy ??= "RequireDualStack";
    if (families.length === 0) families.push(pools.addresses[0]!.family);
    if (spec.ipFamilyPolicy !== "SingleStack" && families.length === 1) families.push(otherFamily(families[0]!));
    spec.ipFamilies = families;
    return;
  }
  spec.ipFamilyPolicy ??= "SingleStack";
  requireConfigured(service, families, pools);
  if (families.length === 0) families.push(pools.addresses[0]!.family);
  if (spec.ipFamilyPolicy !== "SingleStack" && families.length === 1 && pools.addresses.length > 1) {
    families.push(otherFamily(families[0]!));
  }
  spec.ipFamilies = families;
}

const otherFamily = (family: string) => (family === "IPv4" ? "IPv6" : "IPv4");

/** A PreferDualStack Service does not gain or lose an address because the cluster changed: only because its writer did. */
function keepsPreferDualStack({ spec }: Service, previous: Service | undefined): boolean {
  if (!previous || spec.type !== previous.spec.type) return false;
  if (spec.ipFamilyPolicy !== "PreferDualStack" || previous.spec.ipFamilyPolicy !== "PreferDualStack") return false;
  return (
    semanticallyEqual(spec.clusterIPs, previous.spec.clusterIPs) &&
    semanticallyEqual(spec.ipFamilies, previous.spec.ipFamilies)
  );
}

/** SingleStack is enough to give the second address back: its fields need not be cleared by hand. */
function dropSecondaryWhenSingle({ spec }: Service, previous: Service): void {
  if (spec.ipFamilyPolicy !== "SingleStack" || previous.spec.ipFamilyPolicy === "SingleStack") return;
  if (spec.clusterIPs?.length === 2 && semanticallyEqual(spec.clusterIPs, previous.spec.clusterIPs)) {
    spec.clusterIPs = spec.clusterIPs.slice(0, 1);
  }
  if (spec.ipFamilies?.length === 2 && semanticallyEqual(spec.ipFamilies, previous.spec.ipFamilies)) {
    spec.ipFamilies = spec.ipFamilies.slice(0, 1);
  }
}

function inferFamilies(service: Service, pools: ServicePools): string[] {
  const { spec } = service;
  const families = [...(spec.ipFamilies ?? [])];
  const errors: FieldError[] = [];
  for (const [index, address] of (spec.clusterIPs ?? []).entries()) {
    const family = ipFamilyOf(address);
    if (!family || index < families.length) continue;
    if (pools.addresses.some((pool) => pool.family === family)) families.push(family);
    else {
      const path = specPath.child("clusterIPs").index(index);
      errors.push(invalid(path, spec.clusterIPs, `${family} is not configured on this cluster`));
    }
  }
  if (errors.length > 0) throw refused(service, errors);
  return families;
}

function requireConfigured(service: Service, families: readonly string[], pools: ServicePools): void {
  const errors: FieldError[] = [];
  if (service.spec.ipFamilyPolicy === "RequireDualStack" && pools.addresses.length < 2) {
    const detail = "this cluster is not configured for dual-stack services";
    errors.push(invalid(specPath.child("ipFamilyPolicy"), service.spec.ipFamilyPolicy, detail));
  }
  for (const [index, family] of families.entries()) {
    if (!pools.addresses.some((pool) => pool.family === family)) {
      errors.push(invalid(specPath.child("ipFamilies").index(index), family, "not configured on this cluster"));
    }
  }
  if (errors.length > 0) throw refused(service, errors);
}

function allocateAddresses(next: Service, previous: Service | undefined, transaction: Transaction): void {
  const { spec } = next;
  const before = addressesOf(previous);
  if (spec.type === "ExternalName") {
    for (const address of before) transaction.releaseAddress(address);
    return;
  }
  if (spec.clusterIPs?.[0] === headlessAddress || previous?.spec.clusterIPs?.[0] === headlessAddress) return;
  const addresses = [...(spec.clusterIPs ?? [])];
  if (before.length > 0) {
    // The primary address stays, or validation refuses; a secondary one may be added or given back.
    for (const address of before.slice(addresses.length)) transaction.releaseAddress(address);
    if (addresses.length === 0) return;
  }
  const families = (spec.ipFamilies ?? []) as IpFamily[];
  for (const [index, family] of families.entries()) {
    const isKept = addresses[index] !== undefined && before[index] !== undefined;
    if (!isKept) addresses[index] = transaction.takeAddress(family, addresses[index], next);
  }
  if (addresses.length === 0) return;
  spec.clusterIPs = addresses;
  spec.clusterIP = addresses[0]!;
}

function addressesOf(service: Service | undefined): string[] {
  return (service?.spec.clusterIPs ?? []).filter((address) => address !== headlessAddress);
}

function nodePortsOf(ports: readonly ServicePort[] | undefined): Set<number> {
  return new Set((ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : [])));
}

function allocateNodePorts(next: Service, previous: Service | undefined, transaction: Transaction): void {
  const before = previous && needsNodePort(previous) ? nodePortsOf(previous.spec.ports) : new Set<number>();
  if (!needsNodePort(next)) {
    for (const port of before) transaction.releasePort(port);
    return;
  }
  if (previous) allocateChangedPorts(next, before, transaction);
  else allocateFirstPorts(next, transaction);
  const after = nodePortsOf(next.spec.ports);
  for (const port of before) if (!after.has(port)) transaction.releasePort(port);
}

/** Ports that differ only in protocol share one node port, the one that was asked for if any. */
function allocateFirstPorts(service: Service, transaction: Transaction): void {
  const byPort = new Map<number, number>();
  const ports = service.spec.ports ?? [];
  for (const [index, port] of ports.entries()) {
    if (!port.nodePort && !wantsNewNodePorts(service)) continue;
    const shared = byPort.get(port.port);
    if (shared === undefined) {
      const asked = ports.find((other) => other.port === port.port && other.nodePort)?.nodePort;
      if (asked) takeAskedPort(service, index, asked, transaction);
      port.nodePort = asked || transaction.takeNextPort("nodePort");
      byPort.set(port.port, port.nodePort);
    } else if (!port.nodePort) {
      port.nodePort = shared;
    } else if (port.nodePort !== shared) {
      takeAskedPort(service, index, port.nodePort, transaction);
    }
  }
}

function allocateChangedPorts(service: Service, before: ReadonlySet<number>, transaction: Transaction): void {
  const taken = new Set<number>();
  for (const [index, port] of (service.spec.ports ?? []).entries()) {
    if (!port.nodePort) {
      if (wantsNewNodePorts(service)) port.nodePort = transaction.takeNextPort("nodePort");
    } else if (!before.has(port.nodePort) && !taken.has(port.nodePort)) {
      takeAskedPort(service, index, port.nodePort, transaction);
      taken.add(port.nodePort);
    }
  }
}

function takeAskedPort(service: Service, index: number, port: number, transaction: Transaction): void {
  const problem = transaction.takePort(port);
  if (!problem) return;
  const path = specPath.child("ports").index(index).child("nodePort");
  throw refused(service, [invalid(path, port, problem)]);
}

function allocateHealthCheckPort(next: Service, previous: Service | undefined, transaction: Transaction): void {
  const { spec } = next;
  const needed = !!previous && needsHealthCheckNodePort(previous);
  const needs = needsHealthCheckNodePort(next);
  if (needed && !needs) transaction.releasePort(previous.spec.healthCheckNodePort);
  if (needed || !needs) return;
  const asked = spec.healthCheckNodePort;
  if (!asked) {
    spec.healthCheckNodePort = transaction.takeNextPort("HealthCheck NodePort");
    return;
  }
  const problem = transaction.takePort(asked);
  if (problem) throw internalError(`failed to allocate requested HealthCheck NodePort ${asked}: ${problem}`);
}
