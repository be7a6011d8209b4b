/** The sources that become files: ConfigMaps, Secrets, the downward API, trust bundles and ServiceAccount tokens. Shared by four volume types. */
import type {
  ClusterTrustBundleProjection,
  ConfigMapProjection,
  DownwardAPIProjection,
  KeyToPath,
  SecretProjection,
  ServiceAccountTokenProjection,
} from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { ConfigMaps, Secrets, ServiceAccounts } from "../../api/resources.ts";
import { fieldValue, resourceValue } from "../fields.ts";
import type { PodObject } from "../pod-state.ts";
import type { ProjectedFile } from "./atomic-writer.ts";
import type { VolumeContext } from "./volume-plugin.ts";

export type Files = Map<string, ProjectedFile>;
export const defaultFileMode = 0o644;

export async function configMapFiles(
  source: DeepReadonly<ConfigMapProjection>,
  defaultMode: number,
  context: VolumeContext,
): Promise<Files> {
  const { name = "", items, optional } = source;
  const configMap = await context.get(ConfigMaps, name);
  if (!configMap && !optional) throw new Error(`configmap ${JSON.stringify(name)} not found`);
  const entries = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(configMap?.data ?? {})) entries.set(key, Buffer.from(value));
  for (const [key, value] of Object.entries(configMap?.binaryData ?? {}))
    entries.set(key, Buffer.from(value, "base64"));
  return selected(entries, items, optional, defaultMode, "config");
}

export async function secretFiles(
  source: DeepReadonly<SecretProjection>,
  defaultMode: number,
  context: VolumeContext,
): Promise<Files> {
  const { name = "", items, optional } = source;
  const secret = await context.get(Secrets, name);
  if (!secret && !optional) throw new Error(`secret ${JSON.stringify(name)} not found`);
  const entries = new Map<string, Buffer>();
  for (const [key, value] of Object.entries(secret?.data ?? {})) entries.set(key, Buffer.from(value, "base64"));
  return selected(entries, items, optional, defaultMode, "secret");
}

function selected(
  entries: ReadonlyMap<string, Buffer>,
  items: DeepReadonly<KeyToPath[]> | undefined,
  optional: boolean | undefined,
  defaultMode: number,
  what: "config" | "secret",
): Files {
  const files: Files = new Map();
  if (!items?.length) {
    for (const [key, content] of entries) files.set(key, { content, mode: defaultMode });
    return files;
  }
  for (const { key, path, mode } of items) {
    const content = entries.get(key);
    if (content) files.set(path, { content, mode: mode ?? defaultMode });
    else if (!optional) throw new Error(`references non-existent ${what} key: ${key}`);
  }
  return files;
}

export function downwardFiles(
  source: DeepReadonly<DownwardAPIProjection>,
  defaultMode: number,
  { pod, facts }: VolumeContext,
): Files {
  const files: Files = new Map();
  for (const { path, fieldRef, resourceFieldRef, mode } of source.items ?? []) {
    const text = fieldRef
      ? fieldValue(pod, fieldRef, facts)
      : resourceValue(pod, resourceFieldRef ?? { resource: "" }, resourceFieldRef?.containerName ?? "", facts);
    files.set(path, { content: Buffer.from(text), mode: mode ?? defaultMode });
  }
  return files;
}

/** Authorities for whoever the pod talks to. Where the pod has a user or group of its own, the file is the user's alone. */
export async function trustBundleFile(
  source: DeepReadonly<ClusterTrustBundleProjection>,
  defaultMode: number,
  { pod, trustBundles }: VolumeContext,
): Promise<Files> {
  const content = Buffer.from(await trustBundles(source));
  const owner = tokenOwner(pod);
  const isOwned = owner !== undefined || pod.spec.securityContext?.fsGroup !== undefined;
  const mode = isOwned ? 0o600 : defaultMode;
  return new Map([[source.path, { content, mode, ...(owner !== undefined ? { uid: owner } : {}) }]]);
}

export interface TokenFile {
  files: Files;
  refreshAtMs: number;
}

const minimumTokenSeconds = 600;
const defaultTokenSeconds = 3600;

export async function tokenFile(
  source: DeepReadonly<ServiceAccountTokenProjection>,
  defaultMode: number,
  context: VolumeContext,
): Promise<TokenFile> {
  const { pod, client, clock } = context;
  const { name, namespace, uid } = pod.metadata;
  const expirationSeconds = Math.max(source.expirationSeconds ?? defaultTokenSeconds, minimumTokenSeconds);
  const request = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: {
      ...(source.audience ? { audiences: [source.audience] } : {}),
      expirationSeconds,
      boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid },
    },
  };
  const serviceAccount = { name: pod.spec.serviceAccountName || "default", namespace };
  const issuedAtMs = clock.now();
  let token: string | undefined;
  try {
    const answer = (await client.createSubresource(ServiceAccounts, serviceAccount, "token", request, {
      signal: context.signal,
    })) as { status?: { token?: string } };
    token = answer.status?.token;
  } catch (error) {
    throw new Error(`failed to fetch token: ${(error as Error).message}`, { cause: error });
  }
  if (!token) throw new Error("failed to fetch token: the answer to the TokenRequest holds none");
  const owner = tokenOwner(pod);
  const isOwned = owner !== undefined || pod.spec.securityContext?.fsGroup !== undefined;
  const file: ProjectedFile = {
    content: Buffer.from(token),
    mode: isOwned ? 0o600 : defaultMode,
    ...(owner !== undefined ? { uid: owner } : {}),
  };
  // Upstream renews after 80 % of the lifetime, and at the latest after a day.
  const lifetimeMs = Math.min(expirationSeconds * 800, 86_400_000);
  return { files: new Map([[source.path, file]]), refreshAtMs: issuedAtMs + lifetimeMs };
}

/** The user that every container runs as, when they agree on one: the token is theirs. */
function tokenOwner(pod: PodObject): number | undefined {
  const podUser = pod.spec.securityContext?.runAsUser;
  const users = new Set(
    [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map(
      (container) => container.securityContext?.runAsUser ?? podUser,
    ),
  );
  return users.size === 1 ? [...users][0] : undefined;
}
