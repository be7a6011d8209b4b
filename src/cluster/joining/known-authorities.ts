/**
 * Whom a joined node takes for its cluster. When the cluster changes its authority, the new one appears beside the old one in
 * kube-public/cluster-info; the node reads of it over a connection that it trusts already, and keeps it for its next start.
 */
import { X509Certificate } from "node:crypto";
import { ConfigMaps } from "../../api/resources.ts";
import type { Client } from "../../client/client.ts";
import { reflect } from "../../controller-runtime/reflector.ts";
import type { Surroundings } from "../surroundings.ts";
import { authoritiesIn, clusterOf, type Discovered } from "./discovery.ts";
import { clusterInfo } from "./join-objects.ts";

export class KnownAuthorities {
  #cluster: Discovered;
  #change = new AbortController();

  constructor(cluster: Discovered) {
    this.#cluster = cluster;
  }

  get cluster(): Discovered {
    return this.#cluster;
  }

  /** Fires with the next change. */
  get changed(): AbortSignal {
    return this.#change.signal;
  }

  /** Whether the authority that signs now has signed this (PEM), and not one of those that it replaced. */
  hasSigned(certificatePem: string): boolean {
    const [newest] = authoritiesIn(this.#cluster.ca);
    const certificate = new X509Certificate(certificatePem);
    return newest === undefined || certificate.verify(new X509Certificate(newest).publicKey);
  }

  /** PEM. */
  replace(ca: string): void {
    this.#cluster = { ...this.#cluster, ca };
    const before = this.#change;
    this.#change = new AbortController();
    before.abort();
  }
}

export interface FollowOptions extends Surroundings {
  client: Client;
  known: KnownAuthorities;
  /** For the next start. */
  keep(cluster: Discovered): void;
  onChanged(): void;
}

/** Runs until the signal fires; never rejects. */
export async function followAuthorities(options: FollowOptions): Promise<void> {
  const { client, known, keep, onChanged, clock, log, signal } = options;
  const read = (data: Readonly<Record<string, string>> = {}) => {
    try {
      const { ca } = clusterOf(data["kubeconfig"] ?? "");
      // What cannot be read must not cost the node what it has.
      for (const each of authoritiesIn(ca)) new X509Certificate(each);
      if (authoritiesIn(ca).length === 0 || ca === known.cluster.ca) return;
      keep({ ...known.cluster, ca });
      known.replace(ca);
      onChanged();
      log.info("the cluster's authorities have changed");
    } catch (error) {
      log.warn("the cluster's authorities cannot be read; those known stay", { error: (error as Error).message });
    }
  };
  await reflect(
    ConfigMaps,
    {
      replace(items) {
        for (const { data } of items) read(data);
      },
      apply(events) {
        for (const { type, object } of events) if (type === "ADDED" || type === "MODIFIED") read(object.data);
      },
    },
    {
      client,
      clock,
      log,
      signal,
      namespace: clusterInfo.namespace,
      fieldSelector: `metadata.name=${clusterInfo.name}`,
    },
  );
}
