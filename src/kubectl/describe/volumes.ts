/** Volumes, as `describe` shows them of Pods, of Pod templates and of PersistentVolumes. */
import type { Outline } from "./outline.ts";

export interface Volume {
  name: string;
  [source: string]: unknown;
}

/** How far titles and names stand from the left; what a container or volume has stands at the second level everywhere. */
export interface Indent {
  title: string;
  name: string;
}

export const podIndent: Indent = { title: "", name: "  " };
export const templateIndent: Indent = { title: "  ", name: "   " };

/** Where a container's or volume's own lines stand. */
export const inner = 2;

export function writeVolumes(outline: Outline, indent: Indent, volumes: readonly Volume[] = []): void {
  outline.line(0, `${indent.title}Volumes:${volumes.length === 0 ? "\t<none>" : ""}`);
  for (const { name, ...source } of volumes) {
    outline.line(0, `${indent.name}${name}:`);
    writeSource(outline, inner, source);
  }
}

/** What a volume is backed by: the one of these fields that names a source. */
export function writeSource(outline: Outline, level: number, source: Readonly<Record<string, unknown>>): void {
  const names = Object.keys(source);
  const name = names.find((each) => each in volumeKinds) ?? (names.length === 1 ? names[0]! : "");
  const known = volumeKinds[name];
  outline.field(level, "Type", known?.type ?? (name || "<unknown>"));
  known?.write(outline, level, source[name] as Source);
}

/** A map a little further to the right than everything else. */
function writeAttributes(outline: Outline, level: number, title: string, map: Record<string, string> = {}): void {
  const lines = Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  for (const [i, line] of (lines.length > 0 ? lines : ["<none>"]).entries())
    outline.line(i === 0 ? level : 0, `${i === 0 ? `${title}:` : ""}\t    ${line}`);
}

type Source = Record<string, unknown>;

/** What kubectl calls each volume's type, and which of its fields it shows. */
const volumeKinds: Readonly<
  Record<string, { type: string; write(outline: Outline, level: number, source: Source): void }>
> = {
  emptyDir: {
    type: "EmptyDir (a temporary directory that shares a pod's lifetime)",
    write(outline, level, { medium = "", sizeLimit }) {
      outline.field(level, "Medium", medium);
      outline.field(level, "SizeLimit", sizeLimit ?? "<unset>");
    },
  },
  hostPath: {
    type: "HostPath (bare host directory volume)",
    write(outline, level, { path, type }) {
      outline.field(level, "Path", path);
      outline.field(level, "HostPathType", type ?? "");
    },
  },
  configMap: {
    type: "ConfigMap (a volume populated by a ConfigMap)",
    write(outline, level, { name, optional }) {
      outline.field(level, "Name", name);
      outline.field(level, "Optional", optional === true);
    },
  },
  secret: {
    type: "Secret (a volume populated by a Secret)",
    write(outline, level, { secretName, optional }) {
      outline.field(level, "SecretName", secretName);
      outline.field(level, "Optional", optional === true);
    },
  },
  persistentVolumeClaim: {
    type: "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
    write(outline, level, { claimName, readOnly }) {
      outline.field(level, "ClaimName", claimName);
      outline.field(level, "ReadOnly", readOnly === true);
    },
  },
  downwardAPI: {
    type: "DownwardAPI (a volume populated by information about the pod)",
    write(outline, level, { items }) {
      outline.line(level, "Items:");
      for (const { fieldRef, path } of (items ?? []) as { fieldRef?: { fieldPath: string }; path: string }[]) {
        outline.line(level + 1, `${fieldRef?.fieldPath ?? ""} -> ${path}`);
      }
    },
  },
  projected: {
    type: "Projected (a volume that contains injected data from multiple sources)",
    write(outline, level, { sources }) {
      for (const source of (sources ?? []) as Record<string, Source>[]) {
        if (source["secret"]) {
          outline.field(level, "SecretName", source["secret"]["name"]);
          outline.field(level, "Optional", source["secret"]["optional"] === true);
        } else if (source["downwardAPI"]) outline.field(level, "DownwardAPI", "true");
        else if (source["configMap"]) {
          outline.field(level, "ConfigMapName", source["configMap"]["name"]);
          outline.field(level, "Optional", source["configMap"]["optional"] === true);
        } else if (source["serviceAccountToken"]) {
          outline.field(level, "TokenExpirationSeconds", source["serviceAccountToken"]["expirationSeconds"]);
        }
      }
    },
  },
  csi: {
    type: "CSI (a Container Storage Interface (CSI) volume source)",
    write(outline, level, { driver, fsType, volumeHandle, readOnly, volumeAttributes }) {
      outline.field(level, "Driver", driver);
      outline.field(level, "FSType", fsType);
      if (volumeHandle !== undefined) outline.field(level, "VolumeHandle", volumeHandle);
      outline.field(level, "ReadOnly", readOnly === true);
      writeAttributes(outline, level, "VolumeAttributes", volumeAttributes as Record<string, string> | undefined);
    },
  },
  iscsi: {
    type: "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
    write(outline, level, source) {
      const { targetPortal, iqn, lun, iscsiInterface, fsType, readOnly, portals, secretRef, initiatorName } = source;
      outline.field(level, "TargetPortal", targetPortal);
      outline.field(level, "IQN", iqn);
      outline.field(level, "Lun", lun);
      outline.line(level, `ISCSIInterface\t${String(iscsiInterface ?? "")}`);
      outline.field(level, "FSType", fsType);
      outline.field(level, "ReadOnly", readOnly === true);
      outline.field(level, "Portals", `[${((portals as string[] | undefined) ?? []).join(" ")}]`);
      outline.field(level, "DiscoveryCHAPAuth", source["chapAuthDiscovery"] === true);
      outline.field(level, "SessionCHAPAuth", source["chapAuthSession"] === true);
      outline.field(level, "SecretRef", (secretRef as { name?: string } | undefined)?.name ?? "nil");
      outline.field(level, "InitiatorName", initiatorName ?? "<none>");
    },
  },
  local: {
    type: "LocalVolume (a persistent volume backed by local storage on a node)",
    write(outline, level, { path }) {
      outline.field(level, "Path", path);
    },
  },
  image: {
    type: "Image (a container image or OCI artifact)",
    write(outline, level, { reference, pullPolicy }) {
      outline.field(level, "Reference", reference);
      outline.field(level, "PullPolicy", pullPolicy);
    },
  },
  ephemeral: {
    type: "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
    write(outline, level, { volumeClaimTemplate }) {
      const { metadata = {}, spec = {} } = (volumeClaimTemplate ?? {}) as Record<string, Source>;
      outline.field(level, "StorageClass", spec["storageClassName"]);
      outline.field(level, "Volume", "");
      writeAttributes(outline, level, "Labels", metadata["labels"] as Record<string, string> | undefined);
      writeAttributes(outline, level, "Annotations", metadata["annotations"] as Record<string, string> | undefined);
      // Both are left empty until there is a claim.
      outline.field(level, "Capacity", "");
      outline.field(level, "Access Modes", "");
      if (spec["volumeMode"]) outline.field(level, "VolumeMode", spec["volumeMode"]);
    },
  },
  nfs: {
    type: "NFS (an NFS mount that lasts the lifetime of a pod)",
    write(outline, level, { server, path, readOnly }) {
      outline.field(level, "Server", server);
      outline.field(level, "Path", path);
      outline.field(level, "ReadOnly", readOnly === true);
    },
  },
};
