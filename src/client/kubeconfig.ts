/** kubeconfig files: which server a context means, and with what proof (client-go's clientcmd). */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { systemClock } from "../base/node/system-clock.ts";
import { type ExecCredential, type ExecEntry, execCredential, renewedToken } from "./exec-credential.ts";
import { parsePlainYaml } from "./plain-yaml.ts";
import { proxyFromEnvironment } from "./proxy.ts";

/** How to reach one cluster as one user. */
export interface Connection {
  /** `https://host:port`, perhaps with a path. */
  server: string;
  /** PEM; absent: the system's authorities. */
  ca?: string;
  insecureSkipTlsVerify?: boolean;
  tlsServerName?: string;
  /** PEM, both or neither. */
  certificate?: string;
  key?: string;
  /** The bearer token, read anew for each request when it stands in a file. */
  token?(): string;
  /** A name and a password, where there is no token. */
  basic?: { username: string; password: string };
  /** The proxy on the way: `http://`, `https://` or `socks5://`. */
  proxyUrl?: string;
  impersonate?: {
    user: string;
    uid?: string;
    groups?: readonly string[];
    extra?: Readonly<Record<string, readonly string[]>>;
  };
  /** What commands use that name no namespace. */
  namespace?: string;
}

export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

/** A program gave no credentials. */
export class CredentialError extends KubeconfigError {}

interface ClusterEntry {
  server?: string;
  "certificate-authority"?: string;
  "certificate-authority-data"?: string;
  /** `true` is the word. */
  "insecure-skip-tls-verify"?: string;
  "tls-server-name"?: string;
  "proxy-url"?: string;
}

interface UserEntry {
  "client-certificate"?: string;
  "client-certificate-data"?: string;
  "client-key"?: string;
  "client-key-data"?: string;
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  exec?: ExecEntry;
  "auth-provider"?: unknown;
  as?: string;
  "as-uid"?: string;
  "as-groups"?: string[];
  "as-user-extra"?: Record<string, string[]>;
}

interface ContextEntry {
  cluster?: string;
  user?: string;
  namespace?: string;
}

/** Several files merged: the first one to name a thing decides it. */
export interface Kubeconfig {
  currentContext: string | undefined;
  clusters: ReadonlyMap<string, ClusterEntry & { folder: string }>;
  users: ReadonlyMap<string, UserEntry & { folder: string }>;
  contexts: ReadonlyMap<string, ContextEntry>;
}

/** The files that $KUBECONFIG names, or the default one. */
function kubeconfigFiles(environment: NodeJS.ProcessEnv = process.env): string[] {
  const named = environment["KUBECONFIG"]?.split(delimiter).filter((file) => file !== "");
  return named?.length ? named : [join(homedir(), ".kube", "config")];
}

/** Reads and merges files, by default those that kubectl would read; those that do not exist count as empty. */
export async function loadKubeconfig(files: readonly string[] = kubeconfigFiles()): Promise<Kubeconfig> {
  const merged = {
    currentContext: undefined as string | undefined,
    clusters: new Map<string, ClusterEntry & { folder: string }>(),
    users: new Map<string, UserEntry & { folder: string }>(),
    contexts: new Map<string, ContextEntry>(),
  };
  for (const file of files) {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") continue;
      throw new KubeconfigError(`cannot read the kubeconfig ${file}`, { cause });
    }
    let content: unknown;
    try {
      // Most are plain, and the parser for all the others need not be loaded.
      content = parsePlainYaml(text);
      const { parse } = content === undefined ? await import("yaml") : {};
      // As text, whatever it looks like: asking of each long certificate whether it is a number takes its time.
      if (parse) content = parse(text, { version: "1.1", schema: "failsafe" });
    } catch (cause) {
      throw new KubeconfigError(`the kubeconfig ${file} is not valid YAML: ${(cause as Error).message}`, { cause });
    }
    const config = (content ?? {}) as Record<string, unknown>;
    const folder = dirname(file);
    for (const { name, value } of entries<ClusterEntry>(config["clusters"], "cluster")) {
      if (name && !merged.clusters.has(name)) merged.clusters.set(name, { ...value, folder });
    }
    for (const { name, value } of entries<UserEntry>(config["users"], "user")) {
      if (name && !merged.users.has(name)) merged.users.set(name, { ...value, folder });
    }
    for (const { name, value } of entries<ContextEntry>(config["contexts"], "context")) {
      if (name && !merged.contexts.has(name)) merged.contexts.set(name, { ...value });
    }
    const current = config["current-context"];
    if (merged.currentContext === undefined && typeof current === "string" && current) merged.currentContext = current;
  }
  return merged;
}

function entries<T>(list: unknown, key: string): { name: string | undefined; value: T | undefined }[] {
  if (!Array.isArray(list)) return [];
  return list.map((entry: Record<string, unknown>) => ({
    name: entry?.["name"] as string | undefined,
    value: entry?.[key] as T | undefined,
  }));
}

/** What a context (the current one by default) says of the connection. Throws a KubeconfigError that names what is missing. */
export function connectionOf(
  config: Kubeconfig,
  contextName = config.currentContext,
  now: () => number = () => systemClock.now(),
  /** Throws an Error when a program, by its path or bare name, must not hand out credentials. */
  expectAllowed: (command: string) => void = () => {},
): Connection {
  if (!contextName) {
    throw new KubeconfigError('no context is set; choose one with "kubectl config use-context" or name one');
  }
  const context = config.contexts.get(contextName);
  if (!context) throw new KubeconfigError(`context ${JSON.stringify(contextName)} does not exist`);
  const cluster = config.clusters.get(context.cluster ?? "");
  if (!cluster?.server) {
    throw new KubeconfigError(
      `cluster ${JSON.stringify(context.cluster ?? "")} of context ${JSON.stringify(contextName)} names no server`,
    );
  }
  const user = config.users.get(context.user ?? "");
  if (user?.["auth-provider"]) {
    throw new KubeconfigError(
      `user ${JSON.stringify(context.user)} logs in by an auth provider, which is not supported; use a program, a certificate or a token`,
    );
  }
  const exec = user?.exec;
  const ask = () => credentialOf(exec!, user!.folder, cluster, expectAllowed);
  const credential = exec && ask();
  const ca = pem(cluster, "certificate-authority", cluster.folder);
  const certificate = credential?.clientCertificateData ?? (user && pem(user, "client-certificate", user.folder));
  const key = credential?.clientKeyData ?? (user && pem(user, "client-key", user.folder));
  const tokenFile = user?.tokenFile && resolve(user.folder, user.tokenFile);
  const { token } = user ?? {};
  const proxyUrl = cluster["proxy-url"] || proxyFromEnvironment(cluster.server);
  return {
    server: cluster.server,
    ...(ca ? { ca } : {}),
    ...(cluster["insecure-skip-tls-verify"] === "true" ? { insecureSkipTlsVerify: true } : {}),
    ...(cluster["tls-server-name"] ? { tlsServerName: cluster["tls-server-name"] } : {}),
    ...(certificate && key ? { certificate, key } : {}),
    ...(credential?.token
      ? { token: renewedToken(credential, ask, now) }
      : token
        ? { token: () => token }
        : tokenFile
          ? { token: () => readFileSync(tokenFile, "utf8").trim() }
          : {}),
    ...(user?.username ? { basic: { username: user.username, password: user.password ?? "" } } : {}),
    ...(proxyUrl ? { proxyUrl } : {}),
    ...(user?.as ? { impersonate: impersonation(user, user.as) } : {}),
    ...(context.namespace ? { namespace: context.namespace } : {}),
  };
}

/** A path with a slash counts from the kubeconfig's folder; a bare name is looked up on the PATH. */
function credentialOf(
  entry: ExecEntry,
  folder: string,
  cluster: ClusterEntry,
  expectAllowed: (command: string) => void,
): ExecCredential {
  const { command: named = "" } = entry;
  const command = named.includes("/") ? resolve(folder, named) : named;
  const ca = cluster["certificate-authority-data"];
  try {
    expectAllowed(command);
    return execCredential(entry, command, {
      server: cluster.server ?? "",
      ...(ca ? { "certificate-authority-data": ca } : {}),
      ...(cluster["insecure-skip-tls-verify"] === "true" ? { "insecure-skip-tls-verify": true } : {}),
      ...(cluster["tls-server-name"] ? { "tls-server-name": cluster["tls-server-name"] } : {}),
    });
  } catch (error) {
    throw new CredentialError((error as Error).message, { cause: error });
  }
}

function impersonation(user: UserEntry, name: string): NonNullable<Connection["impersonate"]> {
  return {
    user: name,
    ...(user["as-uid"] ? { uid: user["as-uid"] } : {}),
    ...(user["as-groups"] ? { groups: user["as-groups"] } : {}),
    ...(user["as-user-extra"] ? { extra: user["as-user-extra"] } : {}),
  };
}

/** The `-data` form wins over the file, as in client-go. */
function pem(entry: object, field: string, folder: string): string | undefined {
  const values = entry as Record<string, string | undefined>;
  const data = values[`${field}-data`];
  if (data) return Buffer.from(data, "base64").toString();
  const file = values[field];
  if (!file) return undefined;
  try {
    return readFileSync(resolve(folder, file), "utf8");
  } catch (cause) {
    throw new KubeconfigError(`cannot read ${field} ${file}`, { cause });
  }
}

function resolve(folder: string, file: string): string {
  return isAbsolute(file) ? file : join(folder, file);
}
