/**
 * Keeps the control plane's certificates from ending (kubeadm's `certs renew`, without anybody who has to think of it): each is
 * renewed when four fifths of its time are over, and taken into use without a restart. So are the authorities, and those that they
 * replace count until they end. What another command writes into the cluster's folder is taken into use, too.
 */
import { X509Certificate } from "node:crypto";
import { watch } from "node:fs";
import { backoffDelayMs } from "../base/backoff.ts";
import { sleep } from "../base/clock.ts";
import {
  type ClusterPki,
  clockSkewMs,
  defaultCaValidityMs,
  defaultValidityMs,
  type KeyPair,
  renewPki,
  succeedAuthority,
  succeedFrontProxy,
} from "./certificates.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { refreshUserKubeconfigs, writeClusterKubeconfig } from "./kubeconfig.ts";
import type { PkiKeeper } from "./pki-keeper.ts";
import { servingNames } from "./serving-names.ts";
import { type ClusterPaths, readPki, writePki } from "./state-folder.ts";
import type { Surroundings } from "./surroundings.ts";

export interface RenewalOptions extends Surroundings {
  keeper: PkiKeeper;
  plan: ClusterPlan;
  paths: ClusterPaths;
}

/** The certificates that the control plane renews by itself. */
export type LeafName = "apiServer" | "admin" | "frontProxy";

export function leavesOf(pki: ClusterPki): [LeafName, KeyPair][] {
  return [
    ["apiServer", pki.apiServer],
    ["admin", pki.admin],
    ...(pki.frontProxy ? [["frontProxy", pki.frontProxy.client] as [LeafName, KeyPair]] : []),
  ];
}

/** When four fifths of the time that a certificate was given are over. */
export function renewalDueMs({ certificatePem }: Pick<KeyPair, "certificatePem">): number {
  const { validFrom, validTo } = new X509Certificate(certificatePem);
  const [from, to] = [Date.parse(validFrom) + clockSkewMs, Date.parse(validTo)];
  return to - (to - from) / 5;
}

/** Runs until the signal fires. Never rejects: what fails is tried again. */
export async function keepCertificatesFresh(options: RenewalOptions): Promise<void> {
  const { keeper, clock, log, signal } = options;
  followFolder(options);
  for (let failures = 0; !signal.aborted; ) {
    const dueMs = nextRenewalMs(options);
    const waitMs = failures > 0 ? backoffDelayMs(retry, failures) : dueMs - clock.now();
    // Timers hold no more than 24 days.
    const replaced = new AbortController();
    const unfollow = keeper.follow(() => replaced.abort());
    const early = AbortSignal.any([signal, replaced.signal]);
    await sleep(clock, Math.min(Math.max(0, waitMs), longestSleepMs), early).catch(() => {});
    unfollow();
    if (early.aborted || waitMs > longestSleepMs) continue;
    try {
      await renewDue(options);
      failures = 0;
    } catch (error) {
      failures++;
      log.error("renewing the cluster's certificates failed", { error: (error as Error).message });
    }
  }
}

const retry = { initialMs: 1000, maximumMs: 300_000 };
const longestSleepMs = 7 * 24 * 3_600_000;

async function renewDue(options: RenewalOptions): Promise<void> {
  const { keeper, plan, paths, clock, random, log } = options;
  const due = leavesOf(keeper.current).flatMap(([name, pair]) => (renewalDueMs(pair) <= clock.now() ? [name] : []));
  const request = { ...pkiRequestOf(plan), nowMs: clock.now(), random };
  let pki = keeper.current;
  for (const name of authoritiesOfOwn(options)) {
    if (renewalDueMs(authority(pki, name)) > clock.now()) continue;
    pki = (name === "ca" ? succeedAuthority : succeedFrontProxy)(pki, request);
    log.info("an authority was replaced before its end", { which: name });
  }
  if (due.length > 0) pki = renewPki(pki, { ...request, leaves: due });
  if (pki === keeper.current) return;
  writePki(paths, pki);
  keeper.replace(pki);
  log.info("certificates were renewed", { which: due.join(", ") });
  writeClusterKubeconfig(plan, pki, paths.kubeconfig);
  await refreshUserKubeconfigs(plan, pki, paths);
}

function nextRenewalMs(options: RenewalOptions): number {
  const pki = options.keeper.current;
  const authorities = authoritiesOfOwn(options).map((name) => authority(pki, name));
  return Math.min(...[...leavesOf(pki).map(([, pair]) => pair), ...authorities].map(renewalDueMs));
}

/** Those that this server replaces: what it shares with another one is that one's to replace. */
function authoritiesOfOwn({ keeper, plan }: RenewalOptions): ("ca" | "frontProxy")[] {
  if (plan.certificates) return [];
  return keeper.current.frontProxy ? ["ca", "frontProxy"] : ["ca"];
}

function authority(pki: ClusterPki, name: "ca" | "frontProxy"): Pick<KeyPair, "certificatePem"> {
  return name === "ca" ? pki.ca : { certificatePem: pki.frontProxy!.caCertificatePem };
}

/** What every making of certificates is told of the cluster. */
export function pkiRequestOf(plan: ClusterPlan) {
  const { caCertificateValiditySeconds } = plan;
  return {
    ...servingNames(plan),
    clusterName: plan.name,
    validityMs: validityMsOf(plan),
    caValidityMs:
      caCertificateValiditySeconds === undefined ? defaultCaValidityMs : caCertificateValiditySeconds * 1000,
  };
}

export function validityMsOf({ certificateValiditySeconds }: ClusterPlan): number {
  return certificateValiditySeconds === undefined ? defaultValidityMs : certificateValiditySeconds * 1000;
}

function followFolder({ keeper, paths, log, signal }: RenewalOptions): void {
  try {
    const watcher = watch(paths.pki, { persistent: false, signal }, (_event, file) => {
      if (file !== "pki.json") return;
      try {
        const pki = readPki(paths);
        if (!pki || JSON.stringify(pki) === JSON.stringify(keeper.current)) return;
        keeper.replace(pki);
        log.info("certificates were replaced");
      } catch (error) {
        log.error("the cluster's certificates cannot be read; those in use stay", { error: (error as Error).message });
      }
    });
    watcher.on("error", () => watcher.close());
  } catch {
    // The folder is nobody's to change then.
  }
}
