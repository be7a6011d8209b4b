/** Brings a container's image to the node as its pull policy says, and tells so in events (upstream's image manager). */
import type { Secret } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { Clock } from "../base/clock.ts";
import { isAccessible } from "./images/image-access.ts";
import {
  type ImageError,
  type ImageService,
  isImageError,
  type RegistryCredentials,
  type ResolvedImage,
  type StoredImage,
} from "./images/image-service.ts";
import type { ContainerSpec, ImageFailureReason } from "./pod-state.ts";
import { goDuration } from "./restart-policy.ts";

export interface ImagePullerOptions {
  images: ImageService;
  clock: Clock;
}

export type ImageOutcome =
  | { kind: "ready"; id: string }
  | { kind: "failed"; reason: ImageFailureReason; message: string };

export type ContainerEventSink = (type: "Normal" | "Warning", reason: string, message: string) => void;

/** Never rejects: what goes wrong is an outcome. `pullSecrets` is asked only when something is pulled, or came by some. */
export async function ensureImage(
  container: ContainerSpec,
  pullSecrets: () => Promise<readonly DeepReadonly<Secret>[]>,
  { images, clock }: ImagePullerOptions,
  record: ContainerEventSink,
  signal: AbortSignal,
): Promise<ImageOutcome> {
  const name = container.image ?? "";
  const quoted = JSON.stringify(name);
  let resolved: ResolvedImage;
  try {
    resolved = images.resolve(name);
  } catch (error) {
    const message = `Failed to apply default image tag ${quoted}: ${(error as Error).message}`;
    return failed("InvalidImageName", message, "InspectFailed");
  }
  let asked: ReturnType<typeof pullSecrets> | undefined;
  const secrets = () => (asked ??= pullSecrets());
  const policy = container.imagePullPolicy ?? defaultPullPolicy(name);
  const present = images.status(name);
  if (present && (policy !== "Always" || resolved.substitutedBy) && (await isForThisPod(present))) {
    recordSubstitute(resolved);
    record("Normal", "Pulled", `Container image ${quoted} already present on machine and can be accessed by the pod`);
    return { kind: "ready", id: present.id };
  }
  if (policy === "Never") {
    return failed(
      "ErrImageNeverPull",
      `Container image ${quoted} is not present with pull policy of Never`,
      "ErrImageNeverPull",
    );
  }
  record("Normal", "Pulling", `Pulling image ${quoted}`);
  const startedAtMs = clock.now();
  try {
    const credentials = credentialsFor(resolved.requested, await secrets());
    // One that is there and not for this pod is asked for with what the pod has to show.
    const anew = policy === "Always" || present !== undefined;
    const image = await images.pull(name, { credentials, signal, ...(anew ? { anew } : {}) });
    const took = goDuration(Math.floor(clock.now() - startedAtMs));
    recordSubstitute(images.resolve(name));
    record(
      "Normal",
      "Pulled",
      `Successfully pulled image ${quoted} in ${took} (${took} including waiting). Image size: ${image.sizeBytes} bytes.`,
    );
    return { kind: "ready", id: image.id };
  } catch (error) {
    if (signal.aborted) return { kind: "failed", reason: "ErrImagePull", message: "the kubelet is stopping" };
    const { message } = error as Error;
    record("Warning", "Failed", `Failed to pull image ${quoted}: ${message}`);
    return failed(reasonOf(error), message);
  }

  async function isForThisPod({ access }: StoredImage): Promise<boolean> {
    if (resolved.substitutedBy || isAccessible(access, resolved.requested, [])) return true;
    const shown = credentialsFor(resolved.requested, await secrets().catch(() => []));
    return isAccessible(access, resolved.requested, shown);
  }

  function failed(reason: ImageFailureReason, message: string, event?: string): ImageOutcome {
    if (event) record("Warning", event, message);
    record("Warning", "Failed", `Error: ${reason}`);
    return { kind: "failed", reason, message };
  }

  /** Nobody shall take a stand-in for the image that the manifest names. */
  function recordSubstitute({ requested, substitutedBy }: ResolvedImage): void {
    if (!substitutedBy) return;
    record(
      "Warning",
      "ImageSubstituted",
      `Image ${JSON.stringify(requested)} is replaced by ${JSON.stringify(substitutedBy.image)} (${substitutedBy.description}): ${substitutedBy.reason}`,
    );
  }
}

function reasonOf(error: unknown): ImageFailureReason {
  if (isImageError(error, "InvalidImageName")) return "InvalidImageName";
  if (isImageError(error, "SignatureValidationFailed")) return "SignatureValidationFailed";
  if ((error as ImageError).reason === "RegistryUnavailable" && isImageError(error)) return "ErrImagePull";
  return "ErrImagePull";
}

/** Always for the tag `latest` and for none; the API server fills this in, but a static pod may come without. */
export function defaultPullPolicy(image: string): string {
  const lastPart = image.slice(image.lastIndexOf("/") + 1);
  if (lastPart.includes("@")) return "IfNotPresent";
  const tag = lastPart.includes(":") ? lastPart.slice(lastPart.indexOf(":") + 1) : "latest";
  return tag === "latest" ? "Always" : "IfNotPresent";
}

/** The entries of pull secrets that are for this image's registry, the most specific path first. */
export function credentialsFor(image: string, secrets: readonly DeepReadonly<Secret>[]): RegistryCredentials[] {
  const matches: { length: number; credentials: RegistryCredentials }[] = [];
  for (const secret of secrets) {
    for (const [registry, entry] of Object.entries(registryEntries(secret))) {
      const pattern = normalizedRegistry(registry);
      if (!matchesRegistry(image, pattern)) continue;
      const { uid, namespace, name } = secret.metadata;
      matches.push({
        length: pattern.length,
        credentials: { ...credentialsOf(entry), source: `${uid}/${namespace}/${name}` },
      });
    }
  }
  return matches.sort((a, b) => b.length - a.length).map((match) => match.credentials);
}

interface RegistryEntry {
  username?: string;
  password?: string;
  auth?: string;
  identitytoken?: string;
  registrytoken?: string;
}

function registryEntries(secret: DeepReadonly<Secret>): Record<string, RegistryEntry> {
  const modern = secret.data?.[".dockerconfigjson"];
  const legacy = secret.data?.[".dockercfg"];
  try {
    if (modern)
      return (
        (JSON.parse(Buffer.from(modern, "base64").toString()) as { auths?: Record<string, RegistryEntry> }).auths ?? {}
      );
    if (legacy) return JSON.parse(Buffer.from(legacy, "base64").toString()) as Record<string, RegistryEntry>;
  } catch {
    // A secret that cannot be read helps no pull; the pull's own failure tells the user.
  }
  return {};
}

function credentialsOf(entry: RegistryEntry): RegistryCredentials {
  const [user, ...rest] = entry.auth ? Buffer.from(entry.auth, "base64").toString().split(":") : [];
  const username = entry.username ?? user;
  const password = entry.password ?? (rest.length > 0 ? rest.join(":") : undefined);
  return {
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(entry.identitytoken ? { identityToken: entry.identitytoken } : {}),
    ...(entry.registrytoken ? { registryToken: entry.registrytoken } : {}),
  };
}

/** Docker's own name for its hub is a URL. */
function normalizedRegistry(registry: string): string {
  const bare = registry.replace(/^https?:\/\//, "").replace(/\/(v1|v2)?\/?$/, "");
  return bare === "index.docker.io" ? "docker.io" : bare;
}

/** Hosts may hold `*` for one label; a path must be a prefix in whole steps. */
function matchesRegistry(image: string, pattern: string): boolean {
  const [host = "", ...path] = image.split("/");
  const [patternHost = "", ...patternPath] = pattern.split("/");
  const labels = host.split(".");
  const patternLabels = patternHost.split(".");
  if (labels.length !== patternLabels.length) return false;
  if (!patternLabels.every((label, i) => labels[i] === label || globMatches(label, labels[i]!))) return false;
  return patternPath.every((step, i) => path[i] === step);
}

function globMatches(pattern: string, label: string): boolean {
  if (!pattern.includes("*")) return false;
  const [head = "", ...tail] = pattern.split("*");
  return label.startsWith(head) && label.endsWith(tail.at(-1) ?? "") && label.length >= pattern.length - 1;
}
