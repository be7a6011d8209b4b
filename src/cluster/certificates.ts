/** The cluster's certificate authority and what it signs (kubeadm's `certs` phase): P-256 keys, PEM in and out. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  webcrypto,
  X509Certificate,
} from "node:crypto";
import type * as X509 from "@peculiar/x509";
import { x509 } from "../base/node/x509.ts";
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

export interface Subject {
  commonName: string;
  organizations?: readonly string[];
}

export interface LeafOptions {
  subject: Subject;
  usage: "server" | "client" | "both";
  dnsNames?: readonly string[];
  ipAddresses?: readonly string[];
  /** Default: a year. */
  validityMs?: number;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
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
export async function createPki(request: PkiRequest): Promise<ClusterPki> {
  const { shared } = request;
  if (shared) return renewPki(shared, { ...request, leaves: ["apiServer"] });
  const { clusterName } = request;
  const ca = await createAuthority(`pinnace-${clusterName}`, request);
  const [apiServer, admin, frontProxy] = await Promise.all([
    issueApiServer({ ca: ca.keyPair }, request),
    issueAdmin(ca.keyPair, request),
    createFrontProxy(request),
  ]);
  const serviceAccountKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  return { ca: ca.keyPair, apiServer, admin, serviceAccountKeyPem: pemOf(serviceAccountKey), frontProxy };
}

export interface PkiRenewal extends Omit<PkiRequest, "shared"> {
  leaves: readonly ("apiServer" | "admin" | "frontProxy")[];
}

/** The same authorities and keys for tokens, and new certificates in the place of those named. */
export async function renewPki(pki: ClusterPki, renewal: PkiRenewal): Promise<ClusterPki> {
  const { leaves } = renewal;
  const [apiServer, admin, frontProxy] = await Promise.all([
    leaves.includes("apiServer") ? issueApiServer(pki, renewal) : pki.apiServer,
    leaves.includes("admin") ? issueAdmin(pki.ca, renewal) : pki.admin,
    leaves.includes("frontProxy") ? renewFrontProxy(pki.frontProxy, renewal) : pki.frontProxy,
  ]);
  return { ...pki, apiServer, admin, ...(frontProxy ? { frontProxy } : {}) };
}

/**
 * A new authority for clients and servers, and what it signs. What the former one signed counts on, and whoever knows the former one
 * alone still believes the API server, so that everybody has time to change over. Tokens and what speaks for the front proxy stay.
 */
export async function succeedAuthority(pki: ClusterPki, request: Omit<PkiRequest, "shared">): Promise<ClusterPki> {
  const { keyPair, cross } = await createSuccessor(pki.ca, `pinnace-${request.clusterName}`, request);
  const formerCas = [cross, ...stillGood(pki.formerCas, request.nowMs)];
  return renewPki({ ...pki, ca: keyPair, formerCas }, { ...request, leaves: ["apiServer", "admin"] });
}

/** The same for the authority of the front proxy. */
export async function succeedFrontProxy(pki: ClusterPki, request: Omit<PkiRequest, "shared">): Promise<ClusterPki> {
  const { frontProxy } = pki;
  if (!frontProxy?.caPrivateKeyPem) return { ...pki, frontProxy: await createFrontProxy(request) };
  const former = { certificatePem: frontProxy.caCertificatePem, privateKeyPem: frontProxy.caPrivateKeyPem };
  const { keyPair, cross } = await createSuccessor(former, `pinnace-${request.clusterName}-front-proxy`, request);
  const next: FrontProxyPki = {
    caCertificatePem: keyPair.certificatePem,
    caPrivateKeyPem: keyPair.privateKeyPem,
    formerCas: [cross, ...stillGood(frontProxy.formerCas, request.nowMs)],
    client: frontProxy.client,
  };
  return { ...pki, frontProxy: await renewFrontProxy(next, request) };
}

/** Whoever holds a certificate of a former authority is nobody from then on. */
export async function forgetFormerAuthorities(
  { formerCas: _forgotten, ...pki }: ClusterPki,
  request: Omit<PkiRequest, "shared">,
): Promise<ClusterPki> {
  const { formerCas: _alsoForgotten, ...frontProxy } = pki.frontProxy ?? ({} as FrontProxyPki);
  const kept = pki.frontProxy ? { ...pki, frontProxy } : pki;
  return renewPki(kept, { ...request, leaves: ["apiServer", "frontProxy"] });
}

/** A new authority at once: whoever holds a certificate of another is nobody from then on. */
export async function replaceAuthority(pki: ClusterPki, request: Omit<PkiRequest, "shared">): Promise<ClusterPki> {
  const next = await forgetFormerAuthorities(pki, request);
  const ca = await createAuthority(successorName(`pinnace-${request.clusterName}`, request.nowMs), request);
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
  const next = pemOf(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
  if (revoke) return { ...others, serviceAccountKeyPem: next };
  const formerKeys = [former.toString(), ...formerServiceAccountKeys];
  return { ...others, serviceAccountKeyPem: next, formerServiceAccountKeys: formerKeys };
}

async function issueApiServer(
  { ca, formerCas }: Pick<ClusterPki, "ca" | "formerCas">,
  { dnsNames, ipAddresses, nowMs, random, validityMs }: PkiRenewal | PkiRequest,
): Promise<KeyPair> {
  const subject = { commonName: "kube-apiserver" };
  const options: LeafOptions = { subject, usage: "both", dnsNames, ipAddresses, ...given({ validityMs }) };
  return withChain(await issueLeaf(ca, options, nowMs, random), formerCas);
}

function issueAdmin(ca: KeyPair, { nowMs, random, validityMs }: PkiRenewal | PkiRequest) {
  const subject = { commonName: "kubernetes-admin", organizations: ["system:masters"] };
  return issueLeaf(ca, { subject, usage: "client", ...given({ validityMs }) }, nowMs, random);
}

async function createFrontProxy(request: PkiRequest): Promise<FrontProxyPki> {
  const { clusterName, validityMs } = request;
  const { keyPair, issue } = await createAuthority(`pinnace-${clusterName}-front-proxy`, request);
  const client = await issue({ ...frontProxyLeaf, ...given({ validityMs }) });
  return { caCertificatePem: keyPair.certificatePem, caPrivateKeyPem: keyPair.privateKeyPem, client };
}

async function renewFrontProxy(standing: FrontProxyPki | undefined, request: PkiRequest): Promise<FrontProxyPki> {
  if (!standing?.caPrivateKeyPem) return createFrontProxy(request);
  const ca = { certificatePem: standing.caCertificatePem, privateKeyPem: standing.caPrivateKeyPem };
  const { nowMs, random, validityMs } = request;
  const leaf = await issueLeaf(ca, { ...frontProxyLeaf, ...given({ validityMs }) }, nowMs, random);
  return { ...standing, client: withChain(leaf, standing.formerCas) };
}

const frontProxyLeaf = { subject: { commonName: "front-proxy-client" }, usage: "client" } as const;

function given({ validityMs }: Pick<LeafOptions, "validityMs"> | { validityMs: number | undefined }): {
  validityMs?: number;
} {
  return validityMs === undefined ? {} : { validityMs };
}

/** A certificate for serving that nobody vouches for but itself. */
export async function createServingPair(
  names: Pick<LeafOptions, "dnsNames" | "ipAddresses" | "validityMs">,
  nowMs: number,
  random: Random,
): Promise<KeyPair> {
  const commonName = names.dnsNames?.[0] ?? names.ipAddresses?.[0] ?? "node";
  const authority = await createAuthority(`${commonName}-ca`, { nowMs, random });
  return authority.issue({ subject: { commonName }, usage: "server", ...names });
}

export interface Authority {
  keyPair: KeyPair;
  issue(options: LeafOptions): Promise<KeyPair>;
}

type AuthorityRequest = Pick<PkiRequest, "nowMs" | "random" | "caValidityMs">;

async function createAuthority(
  commonName: string,
  { nowMs, random, caValidityMs = defaultCaValidityMs }: AuthorityRequest,
): Promise<Authority> {
  const library = await x509();
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await library.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(random),
    name: `CN=${commonName}`,
    notBefore: new Date(nowMs - clockSkewMs),
    notAfter: new Date(nowMs + caValidityMs),
    signingAlgorithm: algorithm,
    keys: keys,
    extensions: await authorityExtensions(keys.publicKey),
  });
  const keyPair = {
    certificatePem: certificate.toString("pem"),
    privateKeyPem: await exportPrivateKey(keys.privateKey),
  };
  return { keyPair, issue: (options) => issueLeaf(keyPair, options, nowMs, random) };
}

async function authorityExtensions(key: webcrypto.CryptoKey | X509.PublicKey) {
  const library = await x509();
  const { keyCertSign, digitalSignature, keyEncipherment } = library.KeyUsageFlags;
  return [
    new library.BasicConstraintsExtension(true, undefined, true),
    new library.KeyUsagesExtension(keyCertSign | digitalSignature | keyEncipherment, true),
    await library.SubjectKeyIdentifierExtension.create(key),
  ];
}

/** A new authority, and its key under the former one's signature. */
async function createSuccessor(
  former: KeyPair,
  name: string,
  request: AuthorityRequest,
): Promise<{ keyPair: KeyPair; cross: FormerAuthority }> {
  const { nowMs, random } = request;
  const { keyPair } = await createAuthority(successorName(name, nowMs), request);
  const library = await x509();
  const [issuer, next] = [former, keyPair].map(({ certificatePem }) => new library.X509Certificate(certificatePem)) as [
    InstanceType<typeof library.X509Certificate>,
    InstanceType<typeof library.X509Certificate>,
  ];
  const cross = await library.X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: next.subject,
    issuer: issuer.subject,
    notBefore: next.notBefore,
    notAfter: new Date(Math.min(issuer.notAfter.getTime(), next.notAfter.getTime())),
    signingKey: await importPrivateKey(former.privateKeyPem),
    publicKey: next.publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      ...(await authorityExtensions(next.publicKey)),
      await library.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { keyPair, cross: { certificatePem: former.certificatePem, crossPem: cross.toString("pem") } };
}

/** Signs a new leaf with an existing authority; it ends with that one at the latest. */
export async function issueLeaf(ca: KeyPair, options: LeafOptions, nowMs: number, random: Random): Promise<KeyPair> {
  const library = await x509();
  const issuer = new library.X509Certificate(ca.certificatePem);
  const signingKey = await importPrivateKey(ca.privateKeyPem);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const { ExtendedKeyUsage } = library;
  const usages = {
    server: [ExtendedKeyUsage.serverAuth],
    client: [ExtendedKeyUsage.clientAuth],
    both: [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth],
  }[options.usage];
  const names = [
    ...(options.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(options.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  const certificate = await library.X509CertificateGenerator.create({
    serialNumber: serialNumber(random),
    subject: subjectText(options.subject),
    issuer: issuer.subject,
    notBefore: new Date(nowMs - clockSkewMs),
    notAfter: new Date(Math.min(nowMs + (options.validityMs ?? defaultValidityMs), issuer.notAfter.getTime())),
    signingKey: signingKey,
    publicKey: keys.publicKey,
    signingAlgorithm: algorithm,
    extensions: [
      new library.BasicConstraintsExtension(false, undefined, true),
      new library.KeyUsagesExtension(
        library.KeyUsageFlags.digitalSignature | library.KeyUsageFlags.keyEncipherment,
        true,
      ),
      new library.ExtendedKeyUsageExtension(usages),
      await library.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...(names.length > 0 ? [new library.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return { certificatePem: certificate.toString("pem"), privateKeyPem: await exportPrivateKey(keys.privateKey) };
}

function subjectText({ commonName, organizations = [] }: Subject): string {
  return [...organizations.map((organization) => `O=${organization}`), `CN=${commonName}`].join(", ");
}

// Positive and at most 20 bytes, as RFC 5280 wants it.
function serialNumber(random: Random): string {
  return `4${random.uuid().replaceAll("-", "").slice(1)}`;
}

async function exportPrivateKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, "$&\n").trimEnd()}\n-----END PRIVATE KEY-----\n`;
}

function importPrivateKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");
  return webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}
