/** Ingresses of one cluster, served by this machine's nginx on every local node. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { IngressClasses } from "../api/resources.ts";
import type { Owner } from "../base/disposal.ts";
import type { Client } from "../client/client.ts";
import { runControllers } from "../controller-runtime/run-controllers.ts";
import { ingressController } from "../ingress/controller.ts";
import { controllerName, defaultClassAnnotation } from "../ingress/plan-ingress.ts";
import { renewalDueMs, validityMsOf } from "./certificate-renewal.ts";
import { issueLeaf } from "./certificates.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { ensureObject } from "./ensure-object.ts";
import { nodeNetnsPath } from "./network/lan.ts";
import type { PkiKeeper } from "./pki-keeper.ts";
import type { ClusterPaths } from "./state-folder.ts";
import type { Surroundings } from "./surroundings.ts";
import { clusterCgroup } from "./teardown.ts";

export interface IngressOptions extends Surroundings {
  plan: ClusterPlan;
  paths: ClusterPaths;
  keeper: PkiKeeper;
  clientOf(component: string): Client;
  owner: Owner;
}

export function startIngress(options: IngressOptions): void {
  const { plan, paths, keeper, clientOf, clock, random, owner } = options;
  const nodes = plan.nodes.filter(({ kind }) => kind === "local");
  if (plan.ingress === "none" || nodes.length === 0) return;
  const client = clientOf("ingress-nginx");
  const log = options.log.with({ component: "ingress" });
  const controller = ingressController({
    nodes: nodes.map(({ name, address, ipv6 }) => ({
      addresses: ipv6 ? [address, ipv6.address] : [address],
      netnsPath: nodeNetnsPath(plan.name, name),
      // Keys of certificates never reach a disk.
      folder: join(paths.volatile, name, "ingress"),
      cgroup: () => joinableCgroup(plan.name),
    })),
    resolver: plan.network.dnsAddress,
    user: nobody(),
    async defaultCertificate() {
      const subject = { commonName: "Kubernetes Ingress Controller Fake Certificate", organizations: ["Acme Co"] };
      const leaf = issueLeaf(
        keeper.current.ca,
        { subject, usage: "server", dnsNames: ["ingress.local"], validityMs: validityMsOf(plan) },
        clock.now(),
        random,
      );
      const dueMs = renewalDueMs(leaf);
      const { certificatePem: authority } = keeper.current.ca;
      return {
        certificate: leaf.certificatePem,
        key: leaf.privateKeyPem,
        isStale: () => clock.now() >= dueMs || keeper.current.ca.certificatePem !== authority,
      };
    },
  });
  const ensured = ensureObject(client, IngressClasses, {
    metadata: { name: "nginx", annotations: { [defaultClassAnnotation]: "true" } },
    spec: { controller: controllerName },
  }).catch((error) => log.error("no IngressClass", { error }));
  const running = runControllers([controller], { ...options, client, log });
  owner.own(async () => {
    await ensured;
    await running.done;
  });
}

/** A cgroup among the cluster's own, made: what is in it ends with the cluster. No node is named so. */
function joinableCgroup(cluster: string): string | undefined {
  const root = "/sys/fs/cgroup";
  const hierarchy = [root, ...["pids", "memory", "cpu"].map((name) => join(root, name))].find((folder) =>
    existsSync(join(folder, "cgroup.procs")),
  );
  if (!hierarchy) return undefined;
  const folder = join(hierarchy, clusterCgroup(cluster), "_ingress");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Debian's group of nobody has another name than the rest of the world's. */
function nobody(): string {
  const groups = readFileSync("/etc/group", "utf8");
  return /^nogroup:/m.test(groups) ? "nobody nogroup" : "nobody";
}
