/**
 * Has the drivers prepare the claims of pods, and says which devices each container gets. What was prepared is written down, so
 * that a kubelet after this one can have it taken back (upstream's DRA manager).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Container, PodResourceClaim, ResourceHealth, ResourceStatus } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { ResourceClaim } from "../../api/resource/v1.ts";
import { ResourceClaims } from "../../api/resources.ts";
import type { Client } from "../../client/client.ts";
import { isReservedFor, podClaimName, whyNotForPod } from "../../controller-runtime/pod-resource-claims.ts";
import type { PodObject } from "../pod-state.ts";
import type { DeviceHealth } from "./device-health.ts";
import { prepareResources, unprepareResources } from "./dra-api.ts";
import type { DraDrivers } from "./dra-drivers.ts";

export interface PodDevicesOptions {
  drivers: DraDrivers;
  health: DeviceHealth;
  client: Client;
  /** Where prepared claims are written down. */
  folder: string;
}

interface PreparedDevice {
  /** Of the claim; none: all of them. */
  requests: readonly string[];
  cdiDevices: readonly string[];
  /** What the driver calls it. Absent in what kubelets before this one wrote. */
  driver?: string;
  pool?: string;
  device?: string;
}

interface ClaimRecord {
  namespace: string;
  name: string;
  uid: string;
  pods: string[];
  drivers: string[];
  /** Absent: the drivers have been asked, and have not answered well. */
  devices?: PreparedDevice[];
}

/** Upstream's: preparing may take a driver long. */
const callMs = 45_000;

export class PodDevices {
  readonly #options: PodDevicesOptions;
  /** By `namespace/name`. */
  #records: Map<string, ClaimRecord> | undefined;
  /** Calls for one claim follow each other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: PodDevicesOptions) {
    this.#options = options;
  }

  /** Claims that are prepared already stay as they are. Rejects in upstream's words. */
  async prepare(pod: PodObject, signal: AbortSignal): Promise<void> {
    const entries = entriesOf(pod);
    if (entries.length === 0) return;
    await this.#inTurn(async () => {
      try {
        await this.#prepare(pod, entries, signal);
      } catch (error) {
        throw new Error(`prepare dynamic resources: ${(error as Error).message}`, { cause: error });
      }
    });
  }

  async #prepare(pod: PodObject, entries: readonly Entry[], signal: AbortSignal): Promise<void> {
    const { client, drivers } = this.#options;
    const { namespace, name: podName, uid: podUid } = pod.metadata;
    const wanted: ClaimRecord[] = [];
    for (const entry of entries) {
      const named = podClaimName(pod, entry);
      if (named.kind === "none") continue;
      if (named.kind === "notCreated") throw new Error(named.message);
      let claim: DeepReadonly<ResourceClaim>;
      try {
        claim = await client.get(ResourceClaims, { name: named.name, namespace }, { signal });
      } catch (error) {
        throw new Error(`fetch ResourceClaim ${named.name}: ${(error as Error).message}`, { cause: error });
      }
      const foreign = named.isGenerated ? whyNotForPod(pod, claim) : undefined;
      if (foreign) throw new Error(foreign);
      const { uid } = claim.metadata;
      if (!isReservedFor(pod, claim))
        throw new Error(`pod ${podName} (${podUid}) is not allowed to use ResourceClaim ${named.name} (${uid})`);
      const { allocation } = claim.status ?? {};
      if (!allocation) throw new Error(`ResourceClaim ${named.name}: claim not allocated`);
      const names = [...new Set((allocation.devices?.results ?? []).map(({ driver }) => driver))];
      for (const name of names) drivers.driver(name);
      wanted.push({ namespace, name: named.name, uid, pods: [podUid], drivers: names });
    }
    for (const fresh of wanted) {
      const known = this.#all().get(keyOf(fresh));
      if (known && known.uid !== fresh.uid) {
        throw new Error(
          `old ResourceClaim with same name ${fresh.name} and different UID ${known.uid} still exists (previous pod force-deleted?!)`,
        );
      }
      const record = known ?? fresh;
      if (!record.pods.includes(podUid)) record.pods.push(podUid);
      this.#write(record);
      if (record.devices) continue;
      const devices: PreparedDevice[] = [];
      for (const name of record.drivers) devices.push(...(await this.#call(name, record, signal)));
      record.devices = devices;
      this.#write(record);
    }
  }

  async #call(driverName: string, record: ClaimRecord, signal: AbortSignal): Promise<PreparedDevice[]> {
    const { namespace, name, uid } = record;
    const { channel, service } = this.#options.drivers.driver(driverName);
    const request = { claims: [{ namespace, name, uid }] };
    const { claims } = await channel
      .call(prepareResources(service), request, { timeoutMs: callMs, signal })
      .catch((error: Error) => {
        throw new Error(`NodePrepareResources: ${error.message}`, { cause: error });
      });
    const answer = claims[uid];
    if (!answer) throw new Error("NodePrepareResources skipped 1 ResourceClaims");
    if (answer.error) throw new Error(`NodePrepareResources failed for ResourceClaim ${name}: ${answer.error}`);
    return answer.devices.map((device) => ({
      requests: device.request_names,
      cdiDevices: device.cdi_device_ids,
      driver: driverName,
      pool: device.pool_name,
      device: device.device_name,
    }));
  }

  /** The CDI devices of one container, in the order of its claims. */
  cdiDevices(pod: PodObject, container: DeepReadonly<Container>): string[] {
    const found: string[] = [];
    const add = (claimName: string, request: string | undefined) => {
      const devices = this.#all().get(`${pod.metadata.namespace}/${claimName}`)?.devices;
      if (!devices) throw new Error(`unable to get claim info for ResourceClaim ${claimName}`);
      for (const { requests, cdiDevices } of devices) {
        if (!request || requests.length === 0 || requests.includes(request)) found.push(...cdiDevices);
      }
    };
    for (const { name, request } of container.resources?.claims ?? []) {
      const entry = pod.spec.resourceClaims?.find((each) => each.name === name);
      const named = entry && podClaimName(pod, entry);
      if (named?.kind === "notCreated") throw new Error(named.message);
      if (named?.kind === "named") add(named.name, request);
    }
    const extended = pod.status?.extendedResourceClaimStatus;
    for (const mapping of extended?.requestMappings ?? []) {
      if (mapping.containerName === container.name) add(extended!.resourceClaimName, mapping.requestName);
    }
    return [...new Set(found)];
  }

  /** How the devices of a container's claims are, as its status tells. Undefined: its claims are not prepared, or not any more. */
  resourcesStatus(pod: PodObject, container: DeepReadonly<Container>): ResourceStatus[] | undefined {
    const told = (container.resources?.claims ?? []).flatMap(({ name, request }) => {
      const entry = pod.spec.resourceClaims?.find((each) => each.name === name);
      const named = entry && podClaimName(pod, entry);
      const record = named?.kind === "named" ? this.#all().get(`${pod.metadata.namespace}/${named.name}`) : undefined;
      const resources = (record?.devices ?? []).map((device) => this.#healthOf(device));
      return resources.length > 0 ? [{ name: request ? `claim:${name}/${request}` : `claim:${name}`, resources }] : [];
    });
    return told.length > 0 ? told : undefined;
  }

  #healthOf({ cdiDevices, driver = "", pool = "", device = "" }: PreparedDevice): ResourceHealth {
    const resourceID = cdiDevices[0] ?? `${driver}/${pool}/${device}`;
    return { resourceID, ...this.#options.health.of(driver, pool, device) };
  }

  /** The pod needs its claims no more; with its last pod a claim is given back to its drivers. Rejects when one refuses or is not there. */
  async unprepare(podUid: string): Promise<void> {
    if (![...this.#all().values()].some(({ pods }) => pods.includes(podUid))) return;
    await this.#inTurn(async () => {
      for (const record of [...this.#all().values()]) {
        if (!record.pods.includes(podUid)) continue;
        const others = record.pods.filter((uid) => uid !== podUid);
        if (others.length === 0) {
          for (const driver of record.drivers) await this.#giveBack(driver, record);
          this.#forget(record);
        } else {
          record.pods = others;
          this.#write(record);
        }
      }
    });
  }

  /** Whose claims are prepared, whichever kubelet had it done. */
  podUids(): ReadonlySet<string> {
    return new Set([...this.#all().values()].flatMap(({ pods }) => pods));
  }

  async #giveBack(driverName: string, { namespace, name, uid }: ClaimRecord): Promise<void> {
    try {
      const { channel, service } = this.#options.drivers.driver(driverName);
      const request = { claims: [{ namespace, name, uid }] };
      const { claims } = await channel.call(unprepareResources(service), request, { timeoutMs: callMs });
      const answer = claims[uid];
      if (!answer) throw new Error("NodeUnprepareResources skipped 1 ResourceClaims");
      if (answer.error) throw new Error(`NodeUnprepareResources failed for ResourceClaim ${name}: ${answer.error}`);
    } catch (error) {
      throw new Error(`unprepare dynamic resources: ${(error as Error).message}`, { cause: error });
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #all(): Map<string, ClaimRecord> {
    if (this.#records) return this.#records;
    const { folder } = this.#options;
    const records = existsSync(folder)
      ? readdirSync(folder)
          .filter((name) => name.endsWith(".json"))
          .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as ClaimRecord)
      : [];
    this.#records = new Map(records.map((record) => [keyOf(record), record]));
    return this.#records;
  }

  /** Whole or not at all: the machine may stop at any time. */
  #write(record: ClaimRecord): void {
    const { folder } = this.#options;
    const path = join(folder, `${record.uid}.json`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    this.#all().set(keyOf(record), record);
  }

  #forget(record: ClaimRecord): void {
    rmSync(join(this.#options.folder, `${record.uid}.json`), { force: true });
    this.#all().delete(keyOf(record));
  }
}

type Entry = DeepReadonly<PodResourceClaim>;

const keyOf = ({ namespace, name }: ClaimRecord) => `${namespace}/${name}`;

function entriesOf({ spec, status }: PodObject): Entry[] {
  const extended = status?.extendedResourceClaimStatus?.resourceClaimName;
  return [...(spec.resourceClaims ?? []), ...(extended ? [{ name: "", resourceClaimName: extended }] : [])];
}
