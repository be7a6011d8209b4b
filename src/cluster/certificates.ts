/** The cluster's certificate authority and what it signs (kubeadm's `certs` phase): P-256 keys, PEM in and out. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyIdOf,
  keyUsage,
  type Purpose,
  readCertificate,
  type Subject,
  signCertificate,
  subjectAltName,
  subjectKeyIdentifier,
  subjectName,
} from "../base/node/certificate.ts";
import type { Random } from "../base/random.ts";

export interface KeyPair {
  certificatePem: string;
  privateKeyPem: string;
}

/** Everything a control plane needs before it can answer. */
export interface ClusterPki {
  ca: KeyPair;
  /** Authorities before this one that still count, newest first. */
  formerCas?: readonly FormerAuthority[];
  /** Serves HTTPS; also a client towards kubelets. */
  apiServer: KeyPair;
  /** Of `kubernetes-admin`, in group `system:masters`: what the user's kubeconfig holds. */
  admin: KeyPair;
  /** Signs ServiceAccount tokens (ES256). */
  serviceAccountKeyPem: string;
  /** Public keys of ServiceAccounts' tokens that still count, newest first. */
  formerServiceAccountKeys?: readonly string[];
  /** How aggregated servers know that a request comes from us. An authority of its own: the cluster's may sign any name. Clusters of older versions lack it. */
  frontProxy?: FrontProxyPki;
}

/** An authority that was replaced: what it signed is good until it ends or is forgotten. */
export interface FormerAuthority {
  certificatePem: string;
  /** Its successor's key under its own signature: whoever trusts the former alone trusts what the successor signed. */
  crossPem: string;
}

export interface FrontProxyPki {
  caCertificatePem: string;
  /** As those of the cluster's authority. */
  formerCas?: readonly FormerAuthority[];
  /** Clusters of older versions did not keep it: their next front-proxy certificate comes from a new authority. */
  caPrivateKeyPem?: string;
  client: KeyPair;
}

export interface LeafOptions {
  subject: Subject;
  usage: "server" | "client" | "both";
  dnsNames?: readonly string[];
  ipAddresses?: readonly string[];
  /** Default: a year. */
  validityMs?: number;
}

const dayMs = 24 * 60 * 60 * 1000;
export const defaultValidityMs = 365 * dayMs;
export const defaultCaValidityMs = 3650 * dayMs;
// A machine's clock may be a little ahead of its cluster's clients.
export const clockSkewMs = 5 * 60 * 1000;

export interface PkiRequest {
  clusterName: string;
  /** Names and addresses that clients use for the API server. */
  dnsNames: readonly string[];
  ipAddresses: readonly string[];
  nowMs: number;
  random: Random;
  /** How long leaves are valid. Default: a year. */
  validityMs?: number;
  /** How long authorities are valid. Default: ten years. */
  caValidityMs?: number;
  /** Those of another server of the same cluster: its authorities and keys are taken over, and only what serves HTTPS here is made. */
  shared?: ClusterPki;
}

/** The leaves every control plane needs, of a fresh authority or a shared one. */
export function createPki(request: PkiRequest): ClusterPki {
  const { shared } = request;
  if (shared) return renewPki(shared, { ...request, leaves: ["apiServer"] });
  const { clusterName } = request;
  const ca = createAuthority(`pinnace-${clusterName}`, request);
  return {
    ca: ca.keyPair,
    apiServer: issueApiServer({ ca: ca.keyPair }, request),
    admin: issueAdmin(ca.keyPair, request),
    serviceAccountKeyPem: pemOf(newKey().privateKey),
    frontProxy: createFrontProxy(request),
  };
}

export interface PkiRenewal extends Omit<PkiRequest, "shared"> {
  leaves: readonly ("apiServer" | "admin" | "frontProxy")[];
}

/** The same authorities and keys for tokens, and new certificates in the place of those named. */
export function renewPki(pki: ClusterPki, renewal: PkiRenewal): ClusterPki {
  const { leaves } = renewal;
  const frontProxy = leaves.includes("frontProxy") ? renewFrontProxy(pki.frontProxy, renewal) : pki.frontProxy;
  return {
    ...pki,
    apiServer: leaves.includes("apiServer") ? issueApiServer(pki, renewal) : pki.apiServer,
    admin: leaves.includes("admin") ? issueAdmin(pki.ca, renewal) : pki.admin,
    ...(frontProxy ? { frontProxy } : {}),
  };
}

/**
 * A new authority for clients and servers, and what it signs. What the former one signed counts on, and whoever knows the former one
 * alone still believes the API server, so that everybody has time to change over. Tokens and what speaks for the front proxy stay.
 */
export function succeedAuthority(pki: ClusterPki, request: Omit<PkiRequest, "shared">): ClusterPki {
  const { keyPair, cross } = createSuccessor(pki.ca, `pinnace-${request.clusterName}`, request);
  const formerCas = [cross, ...stillGood(pki.formerCas, request.nowMs)];
  return renewPki({ ...pki, ca: keyPair, formerCas }, { ...request, leaves: ["apiServer", "admin"] });
}

/** The same for the authority of the front proxy. */
export function succeedFrontProxy(pki: ClusterPki, request: Omit<PkiRequest, "shared">): ClusterPki {
  const { frontProxy } = pki;
  if (!frontProxy?.caPrivateKeyPem) return { ...pki, frontProxy: createFrontProxy(request) };
  const former = { certificatePem: frontProxy.caCertificatePem, privateKeyPem: frontProxy.caPrivateKeyPem };
  const { keyPair, cross } = createSuccessor(former, `pinnace-${request.clusterName}-front-proxy`, request);
  const next: FrontProxyPki = {
    caCertificatePem: keyPair.certificatePem,
    caPrivateKeyPem: keyPair.privateKeyPem,
    formerCas: [cross, ...stillGood(frontProxy.formerCas, request.nowMs)],
    client: frontProxy.client,
  };
  return { ...pki, frontProxy: renewFrontProxy(next, request) };
}

/** Whoever holds a certificate of a former authority is nobody from then on. */
export function forgetFormerAuthorities(
  { formerCas: _forgotten, ...pki }: ClusterPki,
  request: Omit<PkiRequest, "shared">,
): ClusterPki {
  const { formerCas: _alsoForgotten, ...frontProxy } = pki.frontProxy ?? ({} as FrontProxyPki);
  const kept = pki.frontProxy ? { ...pki, frontProxy } : pki;
  return renewPki(kept, { ...request, leaves: ["apiServer", "frontProxy"] });
}

/** A new authority at once: whoever holds a certificate of another is nobody from then on. */
export function replaceAuthority(pki: ClusterPki, request: Omit<PkiRequest, "shared">): ClusterPki {
  const next = forgetFormerAuthorities(pki, request);
  const ca = createAuthority(successorName(`pinnace-${request.clusterName}`, request.nowMs), request);
  return renewPki({ ...next, ca: ca.keyPair }, { ...request, leaves: ["apiServer", "admin"] });
}

/** PEM: every authority of clients and servers that counts, the one that signs first. */
export function authoritiesOf({ ca, formerCas = [] }: Pick<ClusterPki, "ca" | "formerCas">): string {
  return bundle([ca.certificatePem, ...formerCas.map(({ certificatePem }) => certificatePem)]);
}

/** The same of front proxies. Empty: there is none. */
export function proxyAuthoritiesOf({ frontProxy }: Pick<ClusterPki, "frontProxy">): string {
  if (!frontProxy) return "";
  return bundle([
    frontProxy.caCertificatePem,
    ...(frontProxy.formerCas ?? []).map(({ certificatePem }) => certificatePem),
  ]);
}

function bundle(pems: readonly string[]): string {
  return pems.length === 1 ? pems[0]! : pems.map((pem) => `${pem.trimEnd()}\n`).join("");
}

function stillGood(formers: readonly FormerAuthority[] = [], nowMs: number): FormerAuthority[] {
  return formers.filter(({ certificatePem }) => Date.parse(new X509Certificate(certificatePem).validTo) > nowMs);
}

/** Successors have names of their own: some who verify look for an issuer by its name alone. */
function successorName(name: string, nowMs: number): string {
  return `${name}@${Math.floor(nowMs / 1000)}`;
}

/** With what the leaf goes out: each authority that its holder's peer may know instead of the one that signed it. */
function withChain(leaf: KeyPair, formers: readonly FormerAuthority[] = []): KeyPair {
  if (formers.length === 0) return leaf;
  return { ...leaf, certificatePem: bundle([leaf.certificatePem, ...formers.map(({ crossPem }) => crossPem)]) };
}

/** A new key for ServiceAccounts' tokens. Those that the old one signed count on, unless they are revoked. */
export function replaceTokenKey(pki: ClusterPki, { revoke }: { revoke: boolean }): ClusterPki {
  const { serviceAccountKeyPem, formerServiceAccountKeys = [], ...others } = pki;
  const former = createPublicKey(createPrivateKey(serviceAccountKeyPem)).export({ type: "spki", format: "pem" });
  const next = pemOf(newKey().privateKey);
  if (revoke) return { ...others, serviceAccountKeyPem: next };
  const formerKeys = [former.toString(), ...formerServiceAccountKeys];
  return { ...others, serviceAccountKeyPem: next, formerServiceAccountKeys: formerKeys };
}

function issueApiServer(
  { ca, formerCas }: Pick<ClusterPki, "ca" | "formerCas">,
  { dnsNames, ipAddresses, nowMs, random, validityMs }: PkiRenewal | PkiRequest,
): KeyPair {
  const subject = { commonName: "kube-apiserver" };
  const options: LeafOptions = { subject, usage: "both", dnsNames, ipAddresses, ...given({ validityMs }) };
  return withChain(issueLeaf(ca, options, nowMs, random), formerCas);
}

function issueAdmin(ca: KeyPair, { nowMs, random, validityMs }: PkiRenewal | PkiRequest) {
  const subject = { commonName: "kubernetes-admin", organizations: ["system:masters"] };
  return issueLeaf(ca, { subject, usage: "client", ...given({ validityMs }) }, nowMs, random);
}

function createFrontProxy(request: PkiRequest): FrontProxyPki {
  const { clusterName, validityMs } = request;
  const { keyPair, issue } = createAuthority(`pinnace-${clusterName}-front-proxy`, request);
  const client = issue({ ...frontProxyLeaf, ...given({ validityMs }) });
  return { caCertificatePem: keyPair.certificatePem, caPrivateKeyPem: keyPair.privateKeyPem, client };
}

function renewFrontProxy(standing: FrontProxyPki | undefined, request: PkiRequest): FrontProxyPki {
  if (!standing?.caPrivateKeyPem) return createFrontProxy(request);
  const ca = { certificatePem: standing.caCertificatePem, privateKeyPem: standing.caPrivateKeyPem };
  const { nowMs, random, validityMs } = request;
  const leaf = issueLeaf(ca, { ...frontProxyLeaf, ...given({ validityMs }) }, nowMs, random);
  return { ...standing, client: withChain(leaf, standing.formerCas) };
}

const frontProxyLeaf = { subject: { commonName: "front-proxy-client" }, usage: "client" } as const;

function given({ validityMs }: Pick<LeafOptions, "validityMs"> | { validityMs: number | undefined }): {
  validityMs?: number;
} {
  return validityMs === undefined ? {} : { validityMs };
}

/** A certificate for serving that nobody vouches for but itself. */
export function createServingPair(
  names: Pick<LeafOptions, "dnsNames" | "ipAddresses" | "validityMs">,
  nowMs: number,
  random: Random,
): KeyPair {
  const commonName = names.dnsNames?.[0] ?? names.ipAddresses?.[0] ?? "node";
  const authority = createAuthority(`${commonName}-ca`, { nowMs, random });
  return authority.issue({ subject: { commonName }, usage: "server", ...names });
}

export interface Authority {
  keyPair: KeyPair;
  issue(options: LeafOptions): KeyPair;
}

type AuthorityRequest = Pick<PkiRequest, "nowMs" | "random" | "caValidityMs">;

function createAuthority(
  commonName: string,
  { nowMs, random, caValidityMs = defaultCaValidityMs }: AuthorityRequest,
): Authority {
  const { publicKey, privateKey } = newKey();
  const subject = subjectName({ commonName });
  const certificatePem = signCertificate(
    {
      subject,
      publicKey,
      notBeforeMs: nowMs - clockSkewMs,
      notAfterMs: nowMs + caValidityMs,
      extensions: authorityExtensions(publicKey),
    },
    { subject, privateKey },
    random,
  );
  const keyPair = { certificatePem, privateKeyPem: pemOf(privateKey) };
  return { keyPair, issue: (options) => issueLeaf(keyPair, options, nowMs, random) };
}

function authorityExtensions(publicKey: Buffer): Buffer[] {
  return [
    basicConstraints(true),
    keyUsage(["cert sign", "digital signature", "key encipherment"]),
    subjectKeyIdentifier(keyIdOf(publicKey)),
  ];
}

/** A new authority, and its key under the former one's signature. */
function createSuccessor(
  former: KeyPair,
  name: string,
  request: AuthorityRequest,
): { keyPair: KeyPair; cross: FormerAuthority } {
  const { nowMs, random } = request;
  const { keyPair } = createAuthority(successorName(name, nowMs), request);
  const issuer = readCertificate(former.certificatePem);
  const next = readCertificate(keyPair.certificatePem);
  const { subject, publicKey, notBeforeMs } = next;
  const notAfterMs = Math.min(issuer.notAfterMs, next.notAfterMs);
  const extensions = [...authorityExtensions(publicKey), authorityKeyIdentifier(issuer.keyId)];
  const crossPem = signCertificate(
    { subject, publicKey, notBeforeMs, notAfterMs, extensions },
    { subject: issuer.subject, privateKey: createPrivateKey(former.privateKeyPem) },
    random,
  );
  return { keyPair, cross: { certificatePem: former.certificatePem, crossPem } };
}

const purposesOf: Readonly<Record<LeafOptions["usage"], readonly Purpose[]>> = {
  server: ["server auth"],
  client: ["client auth"],
  both: ["server auth", "client auth"],
};

/** Signs a new leaf with an existing authority; it ends with that one at the latest. */
export function issueLeaf(ca: KeyPair, options: LeafOptions, nowMs: number, random: Random): KeyPair {
  const { dnsNames = [], ipAddresses = [], validityMs = defaultValidityMs } = options;
  const issuer = readCertificate(ca.certificatePem);
  const { publicKey, privateKey } = newKey();
  const certificatePem = signCertificate(
    {
      subject: subjectName(options.subject),
      publicKey,
      notBeforeMs: nowMs - clockSkewMs,
      notAfterMs: Math.min(nowMs + validityMs, issuer.notAfterMs),
      extensions: [
        basicConstraints(false),
        keyUsage(["digital signature", "key encipherment"]),
        extendedKeyUsage(purposesOf[options.usage]),
        authorityKeyIdentifier(issuer.keyId),
        ...(dnsNames.length + ipAddresses.length > 0 ? [subjectAltName(dnsNames, ipAddresses)] : []),
      ],
    },
    { subject: issuer.subject, privateKey: createPrivateKey(ca.privateKeyPem) },
    random,
  );
  return { certificatePem, privateKeyPem: pemOf(privateKey) };
}

/** P-256: made in a fraction of a millisecond. */
function newKey(): { publicKey: Buffer; privateKey: KeyObject } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { publicKey: publicKey.export({ type: "spki", format: "der" }), privateKey };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
