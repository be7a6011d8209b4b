/** Which AppArmor profile a container is to have, and whether this node can have it. Upstream's counterpart is `pkg/security/apparmor`. Pure. */
import type { AppArmorProfile } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { ContainerSpec, PodObject } from "./pod-state.ts";

const annotationPrefix = "container.apparmor.security.beta.kubernetes.io/";

/**
 * The container's own profile, else the one that an annotation gives it, else the pod's; undefined where nobody says anything.
 * The API makes fields of annotations: only static pods still come with them.
 */
export function appArmorProfileOf(pod: PodObject, container: ContainerSpec): DeepReadonly<AppArmorProfile> | undefined {
  return (
    container.securityContext?.appArmorProfile ??
    annotated(pod.metadata.annotations?.[annotationPrefix + container.name]) ??
    pod.spec.securityContext?.appArmorProfile
  );
}

/** Why the pod cannot run here: a profile that nobody enforces must not look enforced. Whether a profile is loaded is the runtime's to say. */
export function appArmorProblem(pod: PodObject, hasAppArmor: boolean): string | undefined {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const profiles = containers.map((container) => appArmorProfileOf(pod, container));
  const wanted = [...profiles, pod.spec.securityContext?.appArmorProfile];
  if (wanted.every((profile) => !profile || profile.type === "Unconfined")) return undefined;
  if (!hasAppArmor) return "AppArmor is not enabled on the host";
  const isNameless = profiles.some((each) => each?.type === "Localhost" && !each.localhostProfile?.trim());
  return isNameless ? 'invalid AppArmor profile name: "localhost/"' : undefined;
}

function annotated(text: string | undefined): AppArmorProfile | undefined {
  if (text === "runtime/default") return { type: "RuntimeDefault" };
  if (text === "unconfined") return { type: "Unconfined" };
  return text?.startsWith("localhost/")
    ? { type: "Localhost", localhostProfile: text.slice("localhost/".length) }
    : undefined;
}
