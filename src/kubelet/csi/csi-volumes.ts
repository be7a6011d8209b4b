/**
 * Mounts and unmounts CSI volumes through their drivers: staged once on the node, published to each pod. What was mounted is
 * written beside it, so that a kubelet after this one can take it away (upstream's pkg/volume/csi).
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { CSIPersistentVolumeSource, CSIVolumeSource, Secret } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import { CSIDrivers, Secrets, VolumeAttachments } from "../../api/resources.ts";
import type { CSIDriver } from "../../api/storage/v1.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Client } from "../../client/client.ts";
import type { PodObject } from "../pod-state.ts";
import { unmount } from "../volumes/mount.ts";
import { accessModes, csi, nodeCapability } from "./csi-api.ts";
import { type CsiDriver, type CsiDrivers, stages } from "./csi-drivers.ts";
import type { CsiGrowth } from "./csi-growth.ts";

export interface CsiVolumesOptions {
  plugins: CsiDrivers;
  growth: CsiGrowth;
  client: Client;
  nodeName: string;
  /** The node's folder, below which volumes are staged and the pods' folders lie. */
  root: string;
}

export interface CsiMount {
  path: string;
  /** The driver leaves ownership to the kubelet. */
  isOwnedByPod: boolean;
  readOnly: boolean;
  /** A device, not a folder. */
  isBlock?: boolean;
}

/** What is written beside a mount. */
interface MountRecord {
  driver: string;
  volumeHandle: string;
  isBlock?: boolean;
}

const recordFile = "vol_data.json";
const callMs = 120_000;
/** Upstream's name of the folder of a pod's CSI volumes. */
export const csiFolder = "kubernetes.io~csi";

export class CsiVolumes {
  readonly #options: CsiVolumesOptions;
  /** Calls for one volume follow each other, as CSI asks for. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: CsiVolumesOptions) {
    this.#options = options;
  }

  /** The volume of a PersistentVolume. `folder` is the volume's own, in the pod's. */
  async publishPersistent(
    volume: {
      name: string;
      claimName: string;
      source: DeepReadonly<CSIPersistentVolumeSource>;
      accessModes: readonly string[];
      mountOptions: readonly string[];
      /** The pod gets the device itself, not a file system on it. */
      isBlock: boolean;
    },
    pod: PodObject,
    folder: string,
    signal: AbortSignal,
  ): Promise<CsiMount> {
    const { source, isBlock } = volume;
    const driver = this.#options.plugins.driver(source.driver);
    const about = await this.#driverObject(source.driver, signal);
    const publishContext =
      about?.spec.attachRequired === false ? {} : await this.#attached(volume.name, source, signal);
    const capability = {
      ...(isBlock ? { block: {} } : { mount: { fs_type: source.fsType ?? "", mount_flags: volume.mountOptions } }),
      access_mode: { mode: accessModes[volume.accessModes[0] ?? ""] ?? accessModes["ReadWriteOnce"]! },
    };
    const secretsOf = (ref: { name?: string; namespace?: string } | undefined) =>
      this.#secrets(ref?.name, ref?.namespace ?? pod.metadata.namespace, signal);
    const request = {
      volume_id: source.volumeHandle,
      publish_context: publishContext,
      volume_capability: capability,
    };
    const record = { driver: driver.name, volumeHandle: source.volumeHandle, ...(isBlock ? { isBlock } : {}) };
    const staging = stages(driver) ? this.#stagingPath(record) : "";
    const mount = await this.#inTurn(driver.name, source.volumeHandle, async () => {
      if (staging) {
        mkdirSync(staging, { recursive: true, mode: 0o750 });
        writeRecord(join(staging, ".."), record);
        const stage = {
          ...request,
          staging_target_path: staging,
          secrets: await secretsOf(source.nodeStageSecretRef),
          volume_context: source.volumeAttributes ?? {},
        };
        await driver.channel.call(csi.stageVolume, stage, { timeoutMs: callMs, signal });
      }
      return this.#publish(driver, about, pod, folder, signal, {
        ...request,
        staging_target_path: staging,
        readonly: source.readOnly ?? false,
        secrets: await secretsOf(source.nodePublishSecretRef),
        volume_context: source.volumeAttributes ?? {},
      });
    });
    if (driver.capabilities.has(nodeCapability.expandVolume))
      await this.#options.growth.mounted(folder, {
        name: volume.name,
        claim: { name: volume.claimName, namespace: pod.metadata.namespace },
        pod,
        readOnly: mount.readOnly,
        expand: (bytes) =>
          this.#inTurn(driver.name, source.volumeHandle, async () => {
            const { channel } = this.#options.plugins.driver(driver.name);
            const expand = {
              volume_id: source.volumeHandle,
              volume_path: mount.path,
              staging_target_path: staging,
              capacity_range: { required_bytes: bytes },
              volume_capability: capability,
              secrets: await secretsOf(source.nodeExpandSecretRef),
            };
            await channel.call(csi.expandVolume, expand, { timeoutMs: callMs, signal });
          }),
      });
    return mount;
  }

  /** A volume that lives and dies with its pod. */
  async publishEphemeral(
    source: DeepReadonly<CSIVolumeSource>,
    volumeName: string,
    pod: PodObject,
    folder: string,
    signal: AbortSignal,
  ): Promise<CsiMount> {
    const driver = this.#options.plugins.driver(source.driver);
    const about = await this.#driverObject(source.driver, signal);
    if (!about?.spec.volumeLifecycleModes?.includes("Ephemeral"))
      throw new Error(
        `volume mode "Ephemeral" not supported by driver ${source.driver} (only supports ${JSON.stringify(about?.spec.volumeLifecycleModes ?? ["Persistent"])})`,
      );
    const { namespace, uid, name } = pod.metadata;
    const handle = `csi-${createHash("sha256").update(`${name}${uid}${volumeName}`).digest("hex")}`;
    const secrets = await this.#secrets(source.nodePublishSecretRef?.name, namespace, signal);
    return this.#inTurn(driver.name, handle, () =>
      this.#publish(driver, about, pod, folder, signal, {
        volume_id: handle,
        volume_capability: {
          mount: { fs_type: source.fsType ?? "" },
          access_mode: { mode: accessModes["ReadWriteOnce"]! },
        },
        readonly: source.readOnly ?? false,
        secrets,
        volume_context: { ...source.volumeAttributes, "csi.storage.k8s.io/ephemeral": "true" },
      }),
    );
  }

  /** Takes away the CSI volumes of a pod, whoever mounted them. Rejects when a driver refuses: to be tried again. */
  async unpublishAll(podRoot: string): Promise<void> {
    const volumes = join(podRoot, "volumes", csiFolder);
    for (const name of await readdir(volumes).catch(() => [])) await this.#unpublish(join(volumes, name));
  }

  async #unpublish(folder: string): Promise<void> {
    this.#options.growth.unmounted(folder);
    const record = readRecord(folder);
    if (record) {
      const driver = this.#options.plugins.driver(record.driver);
      await this.#inTurn(record.driver, record.volumeHandle, async () => {
        const request = { volume_id: record.volumeHandle, target_path: join(folder, "mount") };
        await driver.channel.call(csi.unpublishVolume, request, { timeoutMs: callMs });
        unmount(join(folder, "mount"));
        const isUsed = (await this.#published(folder)).some((other) => sameVolume(other, record));
        const staging = this.#stagingPath(record);
        if (!isUsed && stages(driver) && readRecord(join(staging, ".."))) {
          const unstage = { volume_id: record.volumeHandle, staging_target_path: staging };
          await driver.channel.call(csi.unstageVolume, unstage, { timeoutMs: callMs });
          unmount(staging);
          await rm(join(staging, ".."), { recursive: true, force: true });
        }
        // Last: while it is there, a kubelet after this one goes through all of it again.
        await rm(folder, { recursive: true, force: true });
      });
    } else {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #publish(
    driver: CsiDriver,
    about: DeepReadonly<CSIDriver> | undefined,
    pod: PodObject,
    folder: string,
    signal: AbortSignal,
    request: Parameters<typeof csi.publishVolume.request.encode>[0] & { volume_id: string; readonly: boolean },
  ): Promise<CsiMount> {
    const path = join(folder, "mount");
    // The folder above is the kubelet's, the mount point itself the driver's to make.
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    const { mount, block, access_mode } = request.volume_capability ?? {};
    const isBlock = block !== undefined;
    writeRecord(folder, {
      driver: driver.name,
      volumeHandle: request.volume_id,
      ...(isBlock ? { isBlock } : {}),
    });
    const { metadata, spec } = pod;
    const podInfo: Record<string, string> = about?.spec.podInfoOnMount
      ? {
          "csi.storage.k8s.io/pod.name": metadata.name,
          "csi.storage.k8s.io/pod.namespace": metadata.namespace,
          "csi.storage.k8s.io/pod.uid": metadata.uid,
          "csi.storage.k8s.io/serviceAccount.name": spec.serviceAccountName ?? "",
          "csi.storage.k8s.io/ephemeral": String(request.volume_context?.["csi.storage.k8s.io/ephemeral"] === "true"),
        }
      : {};
    const full = { ...request, target_path: path, volume_context: { ...request.volume_context, ...podInfo } };
    await driver.channel.call(csi.publishVolume, full, { timeoutMs: callMs, signal });
    const policy = about?.spec.fsGroupPolicy ?? "ReadWriteOnceWithFSType";
    if (isBlock) {
      if (!statSync(path, { throwIfNoEntry: false })?.isBlockDevice())
        throw new Error(`driver ${driver.name} published no block device at ${path}`);
      return { path, isBlock, isOwnedByPod: false, readOnly: request.readonly };
    }
    const isOnce =
      access_mode?.mode === accessModes["ReadWriteOnce"] || access_mode?.mode === accessModes["ReadWriteOncePod"];
    const isOwnedByPod = policy === "File" || (policy !== "None" && isOnce && (mount?.fs_type ?? "") !== "");
    return { path, isOwnedByPod, readOnly: request.readonly };
  }

  /** What the attacher said of it. Rejects until it has attached the volume. */
  async #attached(name: string, source: DeepReadonly<CSIPersistentVolumeSource>, signal: AbortSignal) {
    const { client, nodeName } = this.#options;
    const id = attachmentName(source.volumeHandle, source.driver, nodeName);
    const attachment = await client.get(VolumeAttachments, { name: id }, { signal }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const { status } = attachment ?? {};
    if (status?.attachError?.message)
      throw new Error(`volume ${name} cannot be attached: ${status.attachError.message}`);
    if (!status?.attached)
      throw new Error(`volume ${name} is not attached to node ${nodeName} yet: VolumeAttachment ${id}`);
    return { ...status.attachmentMetadata };
  }

  async #driverObject(name: string, signal: AbortSignal): Promise<DeepReadonly<CSIDriver> | undefined> {
    return this.#options.client.get(CSIDrivers, { name }, { signal }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
  }

  async #secrets(name: string | undefined, namespace: string, signal: AbortSignal): Promise<Record<string, string>> {
    if (!name) return {};
    const secret: DeepReadonly<Secret> = await this.#options.client.get(Secrets, { name, namespace }, { signal });
    return Object.fromEntries(
      Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
    );
  }

  #stagingPath({ driver, volumeHandle, isBlock }: MountRecord): string {
    const id = createHash("sha256").update(volumeHandle).digest("hex");
    const plugins = join(this.#options.root, "plugins/kubernetes.io/csi");
    return isBlock ? join(plugins, "volumeDevices", id, "staging") : join(plugins, driver, id, "globalmount");
  }

  /** Every volume that some pod of this node has, but for the one in this folder. */
  async #published(except: string): Promise<MountRecord[]> {
    const pods = join(this.#options.root, "pods");
    const records: MountRecord[] = [];
    for (const uid of await readdir(pods).catch(() => [])) {
      const volumes = join(pods, uid, "volumes", csiFolder);
      for (const name of await readdir(volumes).catch(() => [])) {
        const folder = join(volumes, name);
        const record = folder === except ? undefined : readRecord(folder);
        if (record) records.push(record);
      }
    }
    return records;
  }

  async #inTurn<T>(driver: string, handle: string, work: () => Promise<T>): Promise<T> {
    const key = `${driver} ${handle}`;
    const before = this.#turns.get(key) ?? Promise.resolve();
    const turn = before.catch(() => {}).then(work);
    this.#turns.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
    }
  }
}

/** Upstream's name of the VolumeAttachment of a volume and a node. */
export function attachmentName(volumeHandle: string, driver: string, nodeName: string): string {
  return `csi-${createHash("sha256").update(`${volumeHandle}${driver}${nodeName}`).digest("hex")}`;
}

function sameVolume(a: MountRecord, b: MountRecord): boolean {
  return a.driver === b.driver && a.volumeHandle === b.volumeHandle;
}

function writeRecord(folder: string, record: MountRecord): void {
  writeFileSync(join(folder, recordFile), JSON.stringify(record), { mode: 0o600 });
}

function readRecord(folder: string): MountRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, recordFile), "utf8")) as MountRecord; // Nobody else writes it.
  } catch {
    return undefined;
  }
}
