/** Keeps the packet filters of this process's nodes as the NetworkPolicies say: the thin applier beside compile-policy.ts. */
import type { Pod } from "../api/core/v1.ts";
import { backoffDelayMs } from "../base/backoff.ts";
import { type Clock, sleep } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { whenAborted } from "../controller-runtime/when-aborted.ts";
import { type Nft, openNft } from "../nftables/nft.ts";
import type { Rules } from "../nftables/ruleset.ts";
import { Table } from "../nftables/table.ts";
import { compileBase, compilePod, type NodeEndpoint, tableName } from "./compile-policy.ts";
import { Memberships, type SelectedPod } from "./membership.ts";
import type { PolicySource } from "./policy-source.ts";

export interface EnforcedNode {
  name: string;
  netnsPath: string;
  /** What pods find on the node itself although policies speak of it as a pod. */
  endpoints: readonly NodeEndpoint[];
}

export interface PolicyEnforcerOptions {
  nodes: readonly EnforcedNode[];
  source: PolicySource;
  /** Addresses outside the pod network that policies see as pods: cluster DNS. */
  standIns?: readonly StandIn[];
  clock: Clock;
  log: Logger;
}

/** An address that stands for a pod which is none. */
export interface StandIn {
  namespace: string;
  labels: Readonly<Record<string, string>>;
  ips: readonly string[];
}

const retry = { initialMs: 100, maximumMs: 30_000 };
/** How long a pod waits for its rules, when the pod itself has not been heard of. */
const patienceMs = 1000;

interface FilteredNode extends EnforcedNode {
  nft: Nft;
  table: Table;
}

export class PolicyEnforcer {
  readonly #options: PolicyEnforcerOptions;
  readonly #memberships = new Memberships();
  readonly #fingerprints = new Map<string, string>();
  /** Policies whose rules changed, and are not yet stated. */
  readonly #changes: (() => void)[] = [];
  /** Resolves when the policies of the beginning are known, and those they speak of. */
  readonly #informed: Promise<void>;
  #resolveInformed!: () => void;
  #nodes: FilteredNode[] = [];
  #peersTold: Promise<void> | undefined;
  #isDirty = false;
  #isSettled = true;
  #settling: (() => void)[] = [];
  #wake: (() => void) | undefined;

  constructor(options: PolicyEnforcerOptions) {
    this.#options = options;
    this.#informed = new Promise((resolve) => {
      this.#resolveInformed = resolve;
    });
  }

  /** Resolves when every change told so far is in effect. */
  async settled(): Promise<void> {
    await this.#informed;
    if (!this.#isSettled) await new Promise<void>((resolve) => this.#settling.push(resolve));
  }

  /**
   * To be awaited between a pod's getting its addresses and its first process: what isolates it is in effect then. Costs
   * nothing where there is no policy.
   */
  async attached(uid: string, ips: readonly string[], signal: AbortSignal): Promise<void> {
    await Promise.race([this.#informed, whenAborted(signal)]);
    if (!this.#memberships.hasPolicies || signal.aborted) return;
    this.#memberships.attached(uid, ips);
    this.#change();
    const deadline = this.#options.clock.now() + patienceMs;
    while (!this.#memberships.knows(uid) && this.#options.clock.now() < deadline && !signal.aborted) {
      await sleep(this.#options.clock, 2, signal).catch(() => {});
    }
    await Promise.race([this.settled(), whenAborted(signal)]);
  }

  /** Works until the signal aborts, and then leaves the rules as they are: what is forbidden stays so without us. */
  async run(signal: AbortSignal): Promise<void> {
    const { source, clock, log, standIns = [] } = this.#options;
    for (const [i, standIn] of standIns.entries()) this.#memberships.pod(`stand-in ${i}`, standInPod(standIn));
    const told = source.onPolicy((key, policy) => {
      const rules = this.#memberships.policy(key, policy)?.rules;
      this.#changes.push(() => {
        for (const { table } of this.#nodes) table.contents.state(`policy ${key}`, rules);
      });
      this.#change();
    });
    try {
      await Promise.race([told, whenAborted(signal)]);
      if (!this.#memberships.hasPolicies) await this.#forgetOldRules();
      let failures = 0;
      while (!signal.aborted) {
        this.#isDirty = false;
        try {
          if (this.#memberships.hasPolicies || this.#nodes.length > 0) await this.#enforce(signal);
          failures = 0;
        } catch (error) {
          failures++;
          log.error("network policies not applied; the old rules still hold", { failures, error });
          await sleep(clock, backoffDelayMs(retry, failures), signal).catch(() => {});
          continue;
        }
        this.#resolveInformed();
        if (this.#isDirty) continue;
        this.#isSettled = true;
        for (const resolve of this.#settling.splice(0)) resolve();
        await this.#news(signal);
      }
    } finally {
      this.#resolveInformed();
      for (const { nft } of this.#nodes) nft.close();
    }
  }

  async #enforce(signal: AbortSignal): Promise<void> {
    this.#peersTold ??= this.#followPeers();
    await Promise.race([this.#peersTold, whenAborted(signal)]);
    if (signal.aborted) return;
    if (this.#nodes.length === 0) this.#nodes = this.#options.nodes.map(openNode);
    for (const change of this.#changes.splice(0)) change();
    for (const [uid, selected] of this.#memberships.takeDirty()) {
      if (this.#fingerprints.get(uid) === selected?.fingerprint) continue;
      if (selected) this.#fingerprints.set(uid, selected.fingerprint);
      else this.#fingerprints.delete(uid);
      for (const node of this.#nodes) node.table.contents.state(`pod ${uid}`, rulesOn(node, selected));
    }
    for (const { table } of this.#nodes) await table.apply();
  }

  /** The last policy may have gone while no server ran. */
  async #forgetOldRules(): Promise<void> {
    for (const { netnsPath } of this.#options.nodes) {
      const nft = openNft(netnsPath);
      const table = `inet ${tableName}`;
      await nft
        .run(`add table ${table}\ndelete table ${table}`)
        .catch((error) => this.#options.log.warn("rules of earlier network policies are still there", { error }));
      nft.close();
    }
  }

  #followPeers(): Promise<void> {
    return this.#options.source.onPeers({
      pod: (uid, pod) => {
        this.#memberships.pod(uid, pod);
        this.#change();
      },
      namespace: (name, labels) => {
        this.#memberships.namespace(name, labels);
        this.#change();
      },
    });
  }

  #change(): void {
    this.#isDirty = true;
    this.#isSettled = false;
    this.#wake?.();
  }

  /** Several changes of one turn of the event loop go into one transaction. */
  async #news(signal: AbortSignal): Promise<void> {
    if (!this.#isDirty) {
      await new Promise<void>((resolve) => {
        const done = () => {
          this.#wake = undefined;
          signal.removeEventListener("abort", done);
          resolve();
        };
        this.#wake = done;
        signal.addEventListener("abort", done, { once: true });
      });
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function openNode(node: EnforcedNode): FilteredNode {
  const nft = openNft(node.netnsPath);
  const table = new Table(nft, { family: "inet", name: tableName });
  table.contents.state("", compileBase(node.endpoints));
  return { ...node, nft, table };
}

function rulesOn(node: EnforcedNode, selected: SelectedPod | undefined): Rules | undefined {
  if (!selected) return undefined;
  const isLocal = selected.nodeName === node.name;
  return compilePod(selected.pod, {
    groups: selected.groups,
    namedPorts: selected.namedPorts,
    ...(isLocal ? { ingress: selected.ingress, egress: selected.egress } : {}),
  });
}

function standInPod({ namespace, labels, ips }: StandIn): Pod {
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name: "", namespace, uid: "", resourceVersion: "", creationTimestamp: "", labels },
    spec: { containers: [] },
    status: { podIPs: ips.map((ip) => ({ ip })) },
  } as unknown as Pod;
}
