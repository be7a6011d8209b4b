/** DefaultStorageClass and DefaultIngressClass: objects that name no class get the one that is marked as default. */
import type { PersistentVolumeClaim } from "../../api/core/v1.ts";
import type { Ingress } from "../../api/networking/v1.ts";
import type { DeepReadonly, KubeObject } from "../../api/object.ts";
import type { Resource } from "../../api/resource.ts";
import { IngressClasses, StorageClasses } from "../../api/resources.ts";
import type { AdmissionPlugin } from "../../apiserver/admission.ts";
import type { ObjectReader } from "../object-reader.ts";
import { writes } from "./refusal.ts";

const storageAnnotation = "volume.beta.kubernetes.io/storage-class";
const ingressAnnotation = "kubernetes.io/ingress.class";

export function defaultStorageClass(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "DefaultStorageClass",
    handles: (request) => writes(request, "persistentvolumeclaims", "CREATE"),
    async mutate({ object }) {
      const claim = object as PersistentVolumeClaim;
      if (claim.spec.storageClassName !== undefined || claim.metadata.annotations?.[storageAnnotation] !== undefined) {
        return;
      }
      const found = await newestDefault(objects, StorageClasses, "storageclass.kubernetes.io/is-default-class");
      if (found) claim.spec.storageClassName = found.metadata.name;
    },
  };
}

export function defaultIngressClass(objects: ObjectReader): AdmissionPlugin {
  return {
    name: "DefaultIngressClass",
    handles: (request) => writes(request, "ingresses.networking.k8s.io", "CREATE"),
    async mutate({ object }) {
      const ingress = object as Ingress;
      if (ingress.spec.ingressClassName !== undefined) return;
      if (ingress.metadata.annotations?.[ingressAnnotation] !== undefined) return;
      const found = await newestDefault(objects, IngressClasses, "ingressclass.kubernetes.io/is-default-class");
      if (found) ingress.spec.ingressClassName = found.metadata.name;
    },
  };
}

/** Should several be marked, the youngest wins, then the first by name. */
async function newestDefault<T extends KubeObject>(
  objects: ObjectReader,
  resource: Resource<T>,
  annotation: string,
): Promise<DeepReadonly<KubeObject> | undefined> {
  if (objects.hasNone(resource)) return undefined;
  const all = (await objects.list(resource, "")) as readonly DeepReadonly<KubeObject>[];
  const marked = all.filter(({ metadata }) => metadata.annotations?.[annotation] === "true");
  return marked.sort((a, b) =>
    a.metadata.creationTimestamp === b.metadata.creationTimestamp
      ? a.metadata.name < b.metadata.name
        ? -1
        : 1
      : a.metadata.creationTimestamp > b.metadata.creationTimestamp
        ? -1
        : 1,
  )[0];
}
