/** The cluster's kubeconfig, and its context in the user's own, as kind merges it. */
import { chownSync, mkdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { Document } from "yaml";
import { authoritiesOf, type ClusterPki } from "./certificates.ts";
import { lockFile } from "./cluster-lock.ts";
import type { ClusterPlan } from "./config/cluster-config.ts";
import { type ClusterPaths, readJson, writeAtomically } from "./state-folder.ts";

/** Cluster, user and context all carry this name. */
export function contextName(clusterName: string): string {
  return clusterName === "pinnace" ? "pinnace" : `pinnace-${clusterName}`;
}

/** A complete kubeconfig with the administrator's client certificate. */
export function clusterKubeconfig(plan: ClusterPlan, pki: ClusterPki): string {
  const name = contextName(plan.name);
  const base64 = (pem: string) => Buffer.from(pem).toString("base64");
  return `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    server: https://${plan.apiServer.address}:${plan.apiServer.port}
    certificate-authority-data: ${base64(authoritiesOf(pki))}
users:
- name: ${name}
  user:
    client-certificate-data: ${base64(pki.admin.certificatePem)}
    client-key-data: ${base64(pki.admin.privateKeyPem)}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${name}
current-context: ${name}
`;
}

export function writeClusterKubeconfig(plan: ClusterPlan, pki: ClusterPki, file: string): void {
  writeAtomically(file, clusterKubeconfig(plan, pki), 0o600);
}

/** Where kubectl looks: the first file of KUBECONFIG, else ~/.kube/config; under sudo, that of the user who called it. */
export function userKubeconfig(environment: NodeJS.ProcessEnv = process.env): UserFile {
  const [first] = (environment["KUBECONFIG"] ?? "").split(delimiter).filter(Boolean);
  const owner = sudoCaller(environment);
  const file = first ?? join(owner?.home ?? homedir(), ".kube", "config");
  return owner ? { file, owner } : { file };
}

interface UserFile {
  file: string;
  owner?: { uid: number; gid: number; home: string };
}

/** Adds the cluster's context, or renews it, and makes it the current one. Everything else in the file stays, comments too. */
export async function addContext(plan: ClusterPlan, pki: ClusterPki, target: UserFile): Promise<void> {
  const turn = await lockFile(target.file);
  try {
    await mergeContext(plan, pki, target);
  } finally {
    await turn.release();
  }
}

async function mergeContext(plan: ClusterPlan, pki: ClusterPki, target: UserFile, isCurrent = true): Promise<void> {
  const own = clusterKubeconfig(plan, pki);
  const existing = readText(target.file);
  if (existing.trim() === "") return writeUserFile(target, own);
  const { parseDocument } = await import("yaml");
  const merged = parseDocument(existing);
  if (merged.errors.length > 0) {
    throw new Error(
      `${target.file} is not valid YAML (${merged.errors[0]!.message}); mend it, or write "pinnace kubeconfig --name ${plan.name}" to a file of its own`,
    );
  }
  const ours = parseDocument(own).toJS() as Record<string, { name: string }[] | string>;
  for (const section of sections)
    setNamed(merged, section, contextName(plan.name), (ours[section] as { name: string }[])[0]);
  if (isCurrent) merged.set("current-context", contextName(plan.name));
  writeUserFile(target, merged.toString({ lineWidth: 0 }));
}

/** Which files of users hold the cluster's context: the server gives them its new certificates. */
export function rememberUserKubeconfig(paths: ClusterPaths, target: UserFile): void {
  const known = readJson<UserFile[]>(listOf(paths)) ?? [];
  const others = known.filter(({ file }) => file !== target.file);
  writeAtomically(listOf(paths), JSON.stringify([...others, target]), 0o600);
}

/** Puts what is valid now where the cluster's context still stands. Which context is the current one stays as it is. */
export async function refreshUserKubeconfigs(plan: ClusterPlan, pki: ClusterPki, paths: ClusterPaths): Promise<void> {
  for (const target of readJson<UserFile[]>(listOf(paths)) ?? []) {
    const turn = await lockFile(target.file);
    try {
      if (readText(target.file).includes(contextName(plan.name))) await mergeContext(plan, pki, target, false);
    } finally {
      await turn.release();
    }
  }
}

function listOf({ root }: ClusterPaths): string {
  return join(root, "kubeconfigs.json");
}

/**
 * Takes the cluster's context out again. No error when it is not there. When it was the current one and a single other
 * cluster of ours is left, that one's context takes its place: resolves to its name.
 */
export async function removeContext(clusterName: string, target: UserFile): Promise<string | undefined> {
  const turn = await lockFile(target.file);
  try {
    return await dropContext(clusterName, target);
  } finally {
    await turn.release();
  }
}

async function dropContext(clusterName: string, target: UserFile): Promise<string | undefined> {
  const existing = readText(target.file);
  const name = contextName(clusterName);
  if (!existing.includes(name)) return undefined;
  const { parseDocument } = await import("yaml");
  const document = parseDocument(existing);
  if (document.errors.length > 0) return undefined; // Not ours to mend; nothing was taken from it.
  for (const section of sections) setNamed(document, section, name, undefined);
  const wasCurrent = document.get("current-context") === name;
  const { contexts } = document.toJS() as { contexts?: { name: string }[] | null };
  const left = (contexts ?? []).map((context) => context.name).filter((one) => /^pinnace(-|$)/.test(one));
  // Never somebody else's: what comes next may be meant for the cluster that is gone.
  const next = wasCurrent && left.length === 1 ? left[0] : undefined;
  if (wasCurrent) document.set("current-context", next ?? "");
  writeUserFile(target, document.toString({ lineWidth: 0 }));
  return next;
}

const sections = ["clusters", "users", "contexts"] as const;

/** Replaces, adds or (without a value) removes the entry of that name in a kubeconfig's list. */
function setNamed(document: Document, section: string, name: string, value: object | undefined): void {
  const list = document.get(section) as { items?: unknown[] } | null | undefined;
  if (!list?.items) {
    if (value) document.set(section, document.createNode([value]));
    return;
  }
  const position = list.items.findIndex((item) => (item as { get?(key: string): unknown }).get?.("name") === name);
  if (value && position >= 0) list.items[position] = document.createNode(value);
  else if (value) list.items.push(document.createNode(value));
  else if (position >= 0) list.items.splice(position, 1);
}

function sudoCaller(environment: NodeJS.ProcessEnv): UserFile["owner"] {
  const { SUDO_UID: uid, SUDO_GID: gid, SUDO_USER: user } = environment;
  if (process.getuid?.() !== 0 || !uid || !gid || !user || user === "root") return undefined;
  const entry = readText("/etc/passwd")
    .split("\n")
    .find((line) => line.startsWith(`${user}:`));
  const home = entry?.split(":")[5];
  return home ? { uid: Number(uid), gid: Number(gid), home } : undefined;
}

function writeUserFile({ file, owner }: UserFile, content: string): void {
  const folder = dirname(file);
  const made = mkdirSync(folder, { recursive: true, mode: 0o750 });
  writeAtomically(file, content, 0o600);
  if (!owner) return;
  chownSync(file, owner.uid, owner.gid);
  if (made) chownSync(folder, owner.uid, owner.gid);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
