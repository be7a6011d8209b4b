/** What the store holds, change by change in the order of its revisions: the truth that no component sees so soon. */
import type { DaemonSet, Deployment, ReplicaSet, StatefulSet } from "../../api/apps/v1.ts";
import type { CronJob, Job } from "../../api/batch/v1.ts";
import type { Node, Pod, Service } from "../../api/core/v1.ts";
import type { EndpointSlice } from "../../api/discovery/v1.ts";
import type { KubeObject } from "../../api/object.ts";
import type { PodDisruptionBudget } from "../../api/policy/v1.ts";
import type { Store, StoreEvent, Watch } from "../../storage/store.ts";

export interface Kinds {
  pods: Pod;
  nodes: Node;
  services: Service;
  deployments: Deployment;
  replicasets: ReplicaSet;
  statefulsets: StatefulSet;
  daemonsets: DaemonSet;
  jobs: Job;
  cronjobs: CronJob;
  endpointslices: EndpointSlice;
  poddisruptionbudgets: PodDisruptionBudget;
}

export type WorldChange = {
  [P in keyof Kinds]: {
    plural: P;
    type: "ADDED" | "MODIFIED" | "DELETED";
    object: Kinds[P];
    previous: Kinds[P] | undefined;
  };
}[keyof Kinds];

/** Where the keys of a kind begin. */
const prefixes: Record<string, keyof Kinds> = {
  "/registry/pods/": "pods",
  "/registry/nodes/": "nodes",
  "/registry/services/": "services",
  "/registry/apps/deployments/": "deployments",
  "/registry/apps/replicasets/": "replicasets",
  "/registry/apps/statefulsets/": "statefulsets",
  "/registry/apps/daemonsets/": "daemonsets",
  "/registry/batch/jobs/": "jobs",
  "/registry/batch/cronjobs/": "cronjobs",
  "/registry/discovery.k8s.io/endpointslices/": "endpointslices",
  "/registry/policy/poddisruptionbudgets/": "poddisruptionbudgets",
};

export class World {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #watch: Watch;
  /** Objects of other kinds, by key: only that they are there is looked at. */
  readonly uids = new Set<string>();

  constructor(store: Store, onChange: (change: WorldChange) => void) {
    this.#watch = store.watch("/registry/", 0, (events) => {
      for (const event of events) this.#apply(event, onChange);
    });
  }

  close(): void {
    this.#watch.stop();
  }

  all<P extends keyof Kinds>(plural: P): Kinds[P][] {
    return [...(this.#objects.get(plural)?.values() ?? [])] as unknown as Kinds[P][];
  }

  find<P extends keyof Kinds>(plural: P, name: string, namespace = "default"): Kinds[P] | undefined {
    const key = plural === "nodes" ? name : `${namespace}/${name}`;
    return this.#objects.get(plural)?.get(key) as unknown as Kinds[P] | undefined;
  }

  ownedBy<P extends keyof Kinds>(plural: P, uid: string): Kinds[P][] {
    return this.all(plural).filter(({ metadata }) =>
      metadata.ownerReferences?.some((reference) => reference.controller && reference.uid === uid),
    );
  }

  #apply(event: StoreEvent, onChange: (change: WorldChange) => void): void {
    const key = event.kind === "put" ? event.current.key : event.key;
    const end = key.indexOf("/", "/registry/".length);
    let prefix = key.slice(0, end + 1);
    if (!prefixes[prefix]) prefix = key.slice(0, key.indexOf("/", end + 1) + 1);
    const plural = prefixes[prefix];
    if (!plural) return;
    let kind = this.#objects.get(plural);
    if (!kind) {
      kind = new Map();
      this.#objects.set(plural, kind);
    }
    const name = key.slice(prefix.length);
    const previous = kind.get(name);
    if (event.kind === "put") {
      const { buffer, byteOffset, byteLength } = event.current.value;
      const object = JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString()) as KubeObject;
      kind.set(name, object);
      this.uids.add(object.metadata.uid);
      onChange({ plural, type: previous ? "MODIFIED" : "ADDED", object, previous } as unknown as WorldChange);
    } else if (previous) {
      kind.delete(name);
      this.uids.delete(previous.metadata.uid);
      onChange({ plural, type: "DELETED", object: previous, previous } as unknown as WorldChange);
    }
  }
}
