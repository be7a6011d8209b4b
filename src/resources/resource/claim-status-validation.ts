/** What the status of a ResourceClaim must fulfil: an allocation does not change, and only what is allocated is reserved and reported on. */
import type {
  AllocatedDeviceStatus,
  AllocationResult,
  DeviceAllocationConfiguration,
  DeviceRequestAllocationResult,
  NetworkDeviceData,
  ResourceClaim,
  ResourceClaimConsumerReference,
} from "../../api/resource/v1.ts";
import {
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  required,
  status,
  tooLong,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { formatIp, parseIp } from "../../base/ip.ts";
import { validNodeSelector } from "../core/pod-spec/scheduling.ts";
import { validConditions } from "../validation/conditions.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { each, requiredOneOf, unchanged, validDnsLabel } from "../validation/rules.ts";
import { namesOf, validReference, validReferences } from "./claim-validation.ts";
import { eachOf, validBinding, validOpaque, validPoolName, validRawObject, validToleration } from "./device-rules.ts";

const maximumReservations = 256;
const maximumResults = 32;
const maximumConfigurations = 64;
const maximumConditions = 8;
const maximumAddresses = 16;
const longestInterfaceName = 256;
const longestHardwareAddress = 128;
const normalUid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type DeviceId = Pick<AllocatedDeviceStatus, "driver" | "pool" | "device" | "shareID">;

/** A device, or a share of one, by one name: `gpu.example.com/pool/gpu-0`. */
function idOf({ driver, pool, device, shareID }: DeviceId): string {
  const id = `${driver}/${pool}/${device}`;
  return shareID === undefined ? id : `${id}/${shareID}`;
}

/** What is no longer allocated is no longer reported on. */
export function dropGoneDevices(next: ResourceClaim, previous: ResourceClaim): void {
  const left = new Set(next.status.allocation?.devices?.results?.map((result) => wholeId(result)));
  const gone = new Set(
    (previous.status?.allocation?.devices?.results ?? []).map(wholeId).filter((id) => !left.has(id)),
  );
  const devices = next.status.devices?.filter((device) => !gone.has(wholeId(device)));
  if (devices?.length) next.status.devices = devices;
  else delete next.status.devices;
}

function wholeId({ driver, pool, device }: DeviceId): string {
  return idOf({ driver, pool, device });
}

export function validClaimStatus(next: ResourceClaim, previous: ResourceClaim): FieldError[] {
  const { allocation, reservedFor = [], devices } = next.status;
  const path = status.child("reservedFor");
  const errors = eachOf(reservedFor, maximumReservations, path, validConsumer, ({ uid }) => uid);
  const allocated = new Set(allocation?.devices?.results?.map(idOf));
  errors.push(
    ...eachOf(
      devices,
      Number.POSITIVE_INFINITY,
      status.child("devices"),
      (device, at) => validDeviceStatus(device, allocated, at),
      idOf,
    ),
  );
  const before = new Set((previous.status?.reservedFor ?? []).map((reference) => JSON.stringify(reference)));
  if (reservedFor.length > 0 && !allocation)
    errors.push(forbidden(path, "may not be specified when `allocated` is not set"));
  else if (next.metadata.deletionTimestamp && reservedFor.some((reference) => !before.has(JSON.stringify(reference))))
    errors.push(
      forbidden(path, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"),
    );
  const at = status.child("allocation");
  if (allocation && previous.status?.allocation) errors.push(...unchanged(allocation, previous.status.allocation, at));
  else if (allocation) errors.push(...validAllocation(allocation, namesOf(next.spec?.devices), at));
  return errors;
}

function validConsumer({ resource, name, uid }: ResourceClaimConsumerReference, path: FieldPath): FieldError[] {
  const missing = Object.entries({ resource, name, uid }).filter(([, value]) => !value);
  return missing.map(([field]) => required(path.child(field)));
}

function validAllocation(
  { devices, nodeSelector }: AllocationResult,
  names: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  const at = path.child("devices");
  return [
    ...eachOf(devices?.results, maximumResults, at.child("results"), (result, one) => validResult(result, names, one)),
    ...eachOf(devices?.config, maximumConfigurations, at.child("config"), (config, one) =>
      validConfiguration(config, names, one),
    ),
    ...(nodeSelector ? validNodeSelector(nodeSelector.nodeSelectorTerms, path.child("nodeSelector")) : []),
  ];
}

function validResult(result: DeviceRequestAllocationResult, names: ReadonlySet<string>, path: FieldPath): FieldError[] {
  return [
    ...validReference(result.request ?? "", names, path.child("request")),
    ...validDevice(result, path),
    ...validBinding(result.bindingConditions, result.bindingFailureConditions, path),
    ...each(result.tolerations, path.child("tolerations"), validToleration),
    ...validShare(result.shareID, path.child("shareID")),
  ];
}

function validDevice({ driver, pool, device }: DeviceId, path: FieldPath): FieldError[] {
  return [
    ...validCsiDriverName(driver, path.child("driver")),
    ...validPoolName(pool, path.child("pool")),
    ...validDnsLabel(device ?? "", path.child("device")),
  ];
}

function validShare(share: string | undefined, path: FieldPath): FieldError[] {
  if (share === undefined || normalUid.test(share)) return [];
  const detail = normalUid.test(share.toLowerCase())
    ? "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
    : `error validating uid: invalid UUID ${share.length === 36 ? "format" : `length: ${share.length}`}`;
  return [invalid(path, share, detail)];
}

function validConfiguration(
  { source = "", requests, opaque }: DeviceAllocationConfiguration,
  names: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  return [
    ...requiredOneOf(source, ["FromClaim", "FromClass"], path.child("source")),
    ...validReferences(requests, names, path.child("requests")),
    ...validOpaque(opaque, path.child("opaque")),
  ];
}

function validDeviceStatus(
  device: AllocatedDeviceStatus,
  allocated: ReadonlySet<string>,
  path: FieldPath,
): FieldError[] {
  const { conditions, data, networkData } = device;
  const conditionsPath = path.child("conditions");
  const errors = [...validDevice(device, path), ...validShare(device.shareID, path.child("shareID"))];
  if (!allocated.has(idOf(device)))
    errors.push(invalid(path, idOf(device), "must be an allocated device in the claim"));
  if (conditions && conditions.length > maximumConditions)
    errors.push(tooMany(conditionsPath, conditions.length, maximumConditions));
  errors.push(...validConditions(conditions ?? undefined, conditionsPath));
  if (data !== undefined) errors.push(...validRawObject(data, path.child("data")));
  return networkData ? [...errors, ...validNetworkData(networkData, path.child("networkData"))] : errors;
}

function validNetworkData(
  { interfaceName = "", hardwareAddress = "", ips }: NetworkDeviceData,
  path: FieldPath,
): FieldError[] {
  return [
    ...(interfaceName.length > longestInterfaceName
      ? [tooLong(path.child("interfaceName"), longestInterfaceName)]
      : []),
    ...(hardwareAddress.length > longestHardwareAddress
      ? [tooLong(path.child("hardwareAddress"), longestHardwareAddress)]
      : []),
    ...eachOf(ips, maximumAddresses, path.child("ips"), validInterfaceAddress, (address) => address),
  ];
}

/** An address with the length of its network's prefix, written as RFC 5952 has it. */
function validInterfaceAddress(value: string, path: FieldPath): FieldError[] {
  const [, host = "", prefix = ""] = /^(.+)\/(\d{1,3})$/.exec(value) ?? [];
  const bytes = parseIp(host);
  if (!bytes || Number(prefix) > bytes.length * 8) {
    const detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
    return [invalid(path, value, detail)];
  }
  const canonical = `${formatIp(bytes)}/${Number(prefix)}`;
  return canonical === value ? [] : [invalid(path, value, `must be in canonical form (${JSON.stringify(canonical)})`)];
}
