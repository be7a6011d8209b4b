/** ServiceAccount: every pod runs as one, and finds its token, the cluster's CA and its namespace in a projected volume. */
import type { Container, Pod, PodSpec, ServiceAccount, Volume, VolumeProjection } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { ServiceAccounts } from "../../api/resources.ts";
import type { AdmissionPlugin, AdmissionRequest } from "../../apiserver/admission.ts";
import { nameSuffix, type Random } from "../../base/random.ts";
import type { ObjectReader } from "../object-reader.ts";
import { refuse, writes } from "./refusal.ts";

const defaultName = "default";
const mountPath = "/var/run/secrets/kubernetes.io/serviceaccount";
const volumePrefix = "kube-api-access-";
const mirrorAnnotation = "kubernetes.io/config.mirror";
/** An hour, and seconds that tell these tokens from those that pods ask for by themselves. */
const tokenLifetimeSeconds = 3607;
const readableByAll = 0o644;

export interface ServiceAccountOptions {
  objects: ObjectReader;
  random: Random;
  /** Files that pods find beside token, ca.crt and namespace: distributions publish certificates this way. Default: none. */
  furtherSources?: readonly VolumeProjection[];
}

export function serviceAccountAdmission({
  objects,
  random,
  furtherSources = [],
}: ServiceAccountOptions): AdmissionPlugin {
  return {
    name: "ServiceAccount",
    handles: (request) => writes(request, "pods", "CREATE"),
    async mutate(request) {
      const pod = request.object as Pod;
      if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) return refuseApiAccess(request, pod.spec);
      pod.spec.serviceAccountName ||= defaultName;
      pod.spec.serviceAccount = pod.spec.serviceAccountName;
      const account = await accountOf(request, pod.spec.serviceAccountName, objects);
      if (pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) {
        mountToken(pod.spec, random, furtherSources);
      }
      if (!pod.spec.imagePullSecrets?.length && account.imagePullSecrets?.length) {
        pod.spec.imagePullSecrets = account.imagePullSecrets.map(({ name }) => ({ name }) as { name: string });
      }
    },
  };
}

/** Mirror pods stand for pods that a kubelet runs by itself: they have no identity in the API. */
function refuseApiAccess(request: AdmissionRequest, spec: PodSpec): void {
  if (spec.serviceAccountName) throw refuse(request, "a mirror pod may not reference service accounts");
  if (spec.volumes?.some((volume) => volume.projected?.sources?.some((source) => source.serviceAccountToken))) {
    throw refuse(request, "a mirror pod may not use ServiceAccountToken volume projections");
  }
}

async function accountOf(
  request: AdmissionRequest,
  name: string,
  objects: ObjectReader,
): Promise<DeepReadonly<ServiceAccount>> {
  const account = await objects.get(ServiceAccounts, request.namespace, name);
  if (account) return account;
  throw refuse(
    request,
    `error looking up service account ${request.namespace}/${name}: serviceaccount "${name}" not found`,
  );
}

function mountToken(spec: PodSpec, random: Random, furtherSources: readonly VolumeProjection[]): void {
  const lacking = [...(spec.initContainers ?? []), ...spec.containers].filter((container) => !hasMount(container));
  if (lacking.length === 0) return;
  const name = volumePrefix + nameSuffix(random);
  for (const container of lacking) {
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }];
  }
  spec.volumes = [...(spec.volumes ?? []), tokenVolume(name, furtherSources)];
}

function hasMount(container: Container): boolean {
  return !!container.volumeMounts?.some((mount) => mount.mountPath === mountPath);
}

function tokenVolume(name: string, furtherSources: readonly VolumeProjection[]): Volume {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenLifetimeSeconds, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        {
          downwardAPI: {
            items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }],
          },
        },
        ...furtherSources,
      ],
      defaultMode: readableByAll,
    },
  };
}
