/** Which pods belong to which policies and groups of addresses: kept up to date, in memory. */
import type { Container, Pod } from "../api/core/v1.ts";
import type { NetworkPolicy } from "../api/networking/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { ObjectKey } from "../controller-runtime/cache.ts";
import { selectorOf } from "../controller-runtime/compiled-selector.ts";
import {
  type AddressGroup,
  type CompiledPolicy,
  compilePolicy,
  type Isolation,
  isolationBy,
  type NamedPort,
  type PolicyPod,
} from "./compile-policy.ts";

export interface SelectedPod {
  pod: PolicyPod;
  nodeName: string;
  groups: string[];
  namedPorts: NamedPort[];
  ingress: Isolation | undefined;
  egress: Isolation | undefined;
  /** Equal texts mean equal rules. */
  fingerprint: string;
}

interface KnownPolicy {
  policy: DeepReadonly<NetworkPolicy>;
  compiled: CompiledPolicy;
}

export class Memberships {
  readonly #policies = new Map<ObjectKey, KnownPolicy>();
  readonly #groups = new Counted<AddressGroup>();
  readonly #namedPorts = new Counted<NamedPort>();
  readonly #pods = new Map<string, DeepReadonly<Pod>>();
  readonly #attached = new Map<string, readonly string[]>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #isolations = new Map<string, Isolation | undefined>();
  #dirty = new Set<string>();

  get hasPolicies(): boolean {
    return this.#policies.size > 0;
  }

  /** Returns the policy's rules, or undefined when it goes. Unchanged when its spec is the same. */
  policy(key: ObjectKey, policy: DeepReadonly<NetworkPolicy> | undefined): CompiledPolicy | undefined {
    const before = this.#policies.get(key);
    if (policy && before?.policy.spec === policy.spec) return before.compiled;
    const compiled = policy && compilePolicy(policy);
    // First what comes: a group that both have keeps its pods.
    for (const group of compiled?.groups ?? []) this.#groups.add(group.name, group);
    for (const port of compiled?.namedPorts ?? []) this.#namedPorts.add(port.name, port);
    for (const group of before?.compiled.groups ?? []) this.#groups.remove(group.name);
    for (const port of before?.compiled.namedPorts ?? []) this.#namedPorts.remove(port.name);
    if (policy && compiled) this.#policies.set(key, { policy, compiled });
    else this.#policies.delete(key);
    this.#isolations.clear();
    for (const uid of this.#pods.keys()) this.#dirty.add(uid);
    return compiled;
  }

  pod(uid: string, pod: DeepReadonly<Pod> | undefined): void {
    const before = this.#pods.get(uid);
    if (pod) this.#pods.set(uid, pod);
    else this.#pods.delete(uid);
    if (!pod) this.#attached.delete(uid);
    if (!before || !pod || !isSameForPolicies(before, pod)) this.#dirty.add(uid);
  }

  /** Addresses that a pod has before its status says so. */
  attached(uid: string, ips: readonly string[]): void {
    this.#attached.set(uid, ips);
    this.#dirty.add(uid);
  }

  knows(uid: string): boolean {
    return this.#pods.has(uid);
  }

  namespace(name: string, labels: Readonly<Record<string, string>> | undefined): void {
    if (labels) this.#namespaces.set(name, labels);
    else this.#namespaces.delete(name);
    for (const [uid, pod] of this.#pods) if (pod.metadata.namespace === name) this.#dirty.add(uid);
  }

  /** The pods whose rules may have changed since this was called last; undefined stands for one without rules. */
  takeDirty(): Map<string, SelectedPod | undefined> {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    return new Map([...dirty].map((uid) => [uid, this.#select(uid)]));
  }

  #select(uid: string): SelectedPod | undefined {
    const pod = this.#pods.get(uid);
    if (!pod || pod.spec.hostNetwork || pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed") {
      return undefined;
    }
    const ips = pod.status?.podIPs?.length ? pod.status.podIPs.map(({ ip }) => ip) : (this.#attached.get(uid) ?? []);
    if (ips.length === 0) return undefined;
    const { namespace, labels } = pod.metadata;
    const groups: string[] = [];
    for (const group of this.#groups.values()) if (this.#isIn(group, namespace, labels)) groups.push(group.name);
    const directions = { ingress: [] as string[], egress: [] as string[] };
    for (const { policy, compiled } of this.#policies.values()) {
      if (policy.metadata.namespace !== namespace) continue;
      // Absent selects every pod here, as an empty one does.
      if (policy.spec.podSelector && !selectorOf(policy.spec.podSelector).matches(labels)) continue;
      if (compiled.directions.ingress) directions.ingress.push(compiled.directions.ingress);
      if (compiled.directions.egress) directions.egress.push(compiled.directions.egress);
    }
    const namedPorts = [...this.#namedPorts.values()];
    const ports = namedPorts.length > 0 ? portsOf(pod) : [];
    const ingress = this.#isolation("ingress", directions.ingress.sort());
    const egress = this.#isolation("egress", directions.egress.sort());
    const fingerprint = JSON.stringify([
      ips,
      groups,
      ports,
      namedPorts.length > 0 ? namedPorts.map(({ name }) => name) : 0,
      ingress?.name,
      egress?.name,
      pod.spec.nodeName,
    ]);
    return {
      pod: { uid, ips, ports },
      nodeName: pod.spec.nodeName ?? "",
      groups,
      namedPorts,
      ingress,
      egress,
      fingerprint,
    };
  }

  #isIn(
    { namespaces, pods }: AddressGroup,
    namespace: string,
    labels: Readonly<Record<string, string>> | undefined,
  ): boolean {
    const isNamespace =
      typeof namespaces === "string"
        ? namespaces === namespace
        : selectorOf(namespaces).matches(this.#namespaces.get(namespace));
    return isNamespace && (pods === undefined || selectorOf(pods).matches(labels));
  }

  /** Pods that the same policies select share one chain object. */
  #isolation(direction: "ingress" | "egress", policies: readonly string[]): Isolation | undefined {
    const key = `${direction} ${policies.join(" ")}`;
    if (!this.#isolations.has(key)) this.#isolations.set(key, isolationBy(direction, policies));
    return this.#isolations.get(key);
  }
}

/** Values that several ask for, each held as long as anybody does. */
class Counted<T> {
  readonly #entries = new Map<string, { value: T; users: number }>();

  add(name: string, value: T): void {
    const entry = this.#entries.get(name);
    if (entry) entry.users++;
    else this.#entries.set(name, { value, users: 1 });
  }

  remove(name: string): void {
    const entry = this.#entries.get(name);
    if (entry && --entry.users === 0) this.#entries.delete(name);
  }

  *values(): Iterable<T> {
    for (const { value } of this.#entries.values()) yield value;
  }
}

function portsOf({ spec }: DeepReadonly<Pod>): PolicyPod["ports"] {
  // An init container that goes on running serves, too.
  const serving = [
    ...spec.containers,
    ...(spec.initContainers ?? []).filter((each) => each.restartPolicy === "Always"),
  ];
  return serving.flatMap(({ ports }: DeepReadonly<Container>) =>
    (ports ?? []).flatMap(({ name, protocol = "TCP", containerPort }) =>
      name ? [{ name, protocol: protocol.toLowerCase(), number: containerPort }] : [],
    ),
  );
}

function isSameForPolicies(a: DeepReadonly<Pod>, b: DeepReadonly<Pod>): boolean {
  return (
    a.metadata.labels === b.metadata.labels &&
    a.spec === b.spec &&
    a.status?.phase === b.status?.phase &&
    a.status?.podIPs === b.status?.podIPs
  );
}
