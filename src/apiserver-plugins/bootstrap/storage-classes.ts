/** The StorageClass of claims that name none. */
import { StorageClasses } from "../../api/resources.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

export const defaultStorageClasses: readonly BootstrapObject[] = [
  atStart(StorageClasses, {
    metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
    provisioner: "pinnace.local/local-path",
    reclaimPolicy: "Delete",
    volumeBindingMode: "WaitForFirstConsumer",
    allowVolumeExpansion: true,
  }),
];
