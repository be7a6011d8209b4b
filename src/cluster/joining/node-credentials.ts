/**
 * A joined node's proof of who it is: a client certificate that it asks for with its token, keeps in a file, and has
 * renewed with the old one when most of its time is over (upstream's kubelet TLS bootstrap and certificate rotation).
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { CertificateSigningRequest } from "../../api/certificates/v1.ts";
import { CertificateSigningRequests } from "../../api/resources.ts";
import { backoffDelayMs } from "../../base/backoff.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { createCertificateRequest } from "../../base/node/certificate-request.ts";
import type { Random } from "../../base/random.ts";
import type { Client } from "../../client/client.ts";
import { writeAtomically } from "../state-folder.ts";
import type { KnownAuthorities } from "./known-authorities.ts";

export interface NodeCredentials {
  certificatePem: string;
  privateKeyPem: string;
}

export function readCredentials(file: string): NodeCredentials | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
  const parts = text.match(/-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \1-----\n?/g) ?? [];
  const certificatePem = parts.find((part) => part.includes("CERTIFICATE"));
  const privateKeyPem = parts.find((part) => part.includes("PRIVATE KEY"));
  return certificatePem && privateKeyPem ? { certificatePem, privateKeyPem } : undefined;
}

/** Nobody but its owner may read it. */
export function writeCredentials(file: string, { certificatePem, privateKeyPem }: NodeCredentials): void {
  writeAtomically(file, `${certificatePem.trimEnd()}\n${privateKeyPem.trimEnd()}\n`, 0o600);
}

export function isValid({ certificatePem }: NodeCredentials, nowMs: number): boolean {
  return Date.parse(new X509Certificate(certificatePem).validTo) > nowMs;
}

/** When it is to be renewed: as upstream, somewhere between 70 and 90 % of its time, so that not all nodes come at once. */
export function renewalAtMs({ certificatePem }: NodeCredentials, random: Random): number {
  const certificate = new X509Certificate(certificatePem);
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  return from + (to - from) * (0.7 + 0.2 * random.float());
}

/** Asks for a certificate and waits until somebody has approved it and it was signed. Rejects when it was denied. */
export async function requestCredentials(
  client: Client,
  nodeName: string,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<NodeCredentials> {
  const { requestPem, privateKeyPem } = createCertificateRequest({
    commonName: `system:node:${nodeName}`,
    organizations: ["system:nodes"],
  });
  const { metadata } = await client.create(
    CertificateSigningRequests,
    {
      metadata: { generateName: "csr-" },
      spec: {
        request: Buffer.from(requestPem).toString("base64"),
        signerName: "kubernetes.io/kube-apiserver-client-kubelet",
        usages: ["digital signature", "client auth"],
      },
    } as never,
    { signal },
  );
  for (let asked = 1; ; asked++) {
    const { status } = await client.get(CertificateSigningRequests, { name: metadata.name }, { signal });
    const refusal = refusalOf(status);
    if (refusal) throw new Error(`the certificate of node ${nodeName} was refused: ${refusal}`);
    if (status?.certificate) {
      return { certificatePem: Buffer.from(status.certificate, "base64").toString(), privateKeyPem };
    }
    await sleep(clock, backoffDelayMs({ initialMs: 20, maximumMs: 5000 }, asked), signal);
  }
}

type Status = Pick<NonNullable<CertificateSigningRequest["status"]>, "conditions">;

function refusalOf(status: { readonly conditions?: readonly { type: string; message?: string }[] } | undefined) {
  const refused = (status as Status | undefined)?.conditions?.find(
    ({ type }) => type === "Denied" || type === "Failed",
  );
  return refused && (refused.message || refused.type);
}

export interface RotationOptions {
  current: NodeCredentials;
  file: string;
  nodeName: string;
  /** Speaks with the newest credentials. */
  client: Client;
  clock: Clock;
  random: Random;
  log: Logger;
  signal: AbortSignal;
  /** Who signs now: what another one signed is renewed at once. */
  authorities: KnownAuthorities;
  onRenewed(credentials: NodeCredentials): void;
}

/** Renews until the signal fires. Never rejects: what fails is tried again. */
export async function rotateCredentials(options: RotationOptions): Promise<void> {
  const { clock, random, log, signal, client, nodeName, file, authorities, onRenewed } = options;
  let { current } = options;
  for (let failures = 0; !signal.aborted; ) {
    const dueMs = authorities.hasSigned(current.certificatePem) ? renewalAtMs(current, random) : clock.now();
    const waitMs = failures > 0 ? backoffDelayMs(retry, failures) : dueMs - clock.now();
    const early = AbortSignal.any([signal, authorities.changed]);
    // Timers hold no more than 24 days.
    await sleep(clock, Math.min(Math.max(0, waitMs), longestSleepMs), early).catch(() => {});
    if (early.aborted || waitMs > longestSleepMs) continue;
    try {
      current = await requestCredentials(client, nodeName, { clock, signal });
      writeCredentials(file, current);
      onRenewed(current);
      log.info("the node's client certificate was renewed");
      failures = 0;
    } catch (error) {
      failures++;
      log.warn("renewing the node's client certificate failed", { error: (error as Error).message });
    }
  }
}

const retry = { initialMs: 1000, maximumMs: 300_000 };
const longestSleepMs = 7 * 24 * 3_600_000;
