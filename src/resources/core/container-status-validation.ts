/** What a pod's status may say of its containers: as whom they run, and how the devices are that they were given. */
import type { Container, ContainerStatus, Pod } from "../../api/core/v1.ts";
import { duplicate, type FieldError, type FieldPath, forbidden, invalid } from "../../apimachinery/field-error.ts";
import { each, inRange, oneOf } from "../validation/rules.ts";

const maximumId = 2 ** 31 - 1;
const healths = ["Healthy", "Unhealthy", "Unknown"];

export function validContainerStatuses({ spec, status }: Pod, path: FieldPath): FieldError[] {
  const lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] as const;
  const containers = { containerStatuses: spec.containers, initContainerStatuses: spec.initContainers ?? [] };
  return [
    ...lists.flatMap((list) =>
      each(status[list], path.child(list), (one, at) => validUser(one, spec.os?.name ?? "linux", at.child("linux"))),
    ),
    ...(["containerStatuses", "initContainerStatuses"] as const).flatMap((list) =>
      each(status[list], path.child(list), (one, at) => validDevices(one, containers[list], at)),
    ),
    ...each(status.ephemeralContainerStatuses, path.child("ephemeralContainerStatuses"), (one, at) =>
      one.allocatedResourcesStatus?.length
        ? [forbidden(at.child("allocatedResourcesStatus"), "must not be specified in container status")]
        : [],
    ),
  ];
}

function validUser({ user }: ContainerStatus, os: string, path: FieldPath): FieldError[] {
  if (!user?.linux) return [];
  if (os === "windows") return [forbidden(path, "cannot be set for a windows pod")];
  if (os !== "linux") return [];
  const { uid = 0, gid = 0, supplementalGroups } = user.linux;
  return [
    ...inRange(uid, 0, maximumId, path.child("uid")),
    ...inRange(gid, 0, maximumId, path.child("gid")),
    ...each(supplementalGroups, path.child("supplementalGroups"), (group, at) => inRange(group, 0, maximumId, at)),
  ];
}

/** Each entry is for something that the container asks for, and tells of each device once. */
function validDevices(status: ContainerStatus, containers: readonly Container[], path: FieldPath): FieldError[] {
  const container = containers.find(({ name }) => name === status.name);
  return each(status.allocatedResourcesStatus, path.child("allocatedResourcesStatus"), ({ name, resources }, at) => {
    const errors = container ? validDeviceName(name, container, at.child("name")) : [];
    const seen = new Set<string>();
    for (const [index, { health = "", resourceID }] of (resources ?? []).entries()) {
      const one = at.child("resources").index(index);
      errors.push(...oneOf(health, healths, one.child("health")));
      if (seen.has(resourceID)) errors.push(duplicate(one.child("resourceID"), resourceID));
      seen.add(resourceID);
    }
    return errors;
  });
}

function validDeviceName(name: string, { resources = {} }: Container, path: FieldPath): FieldError[] {
  if (!name.startsWith("claim:")) {
    if (resources.requests?.[name] !== undefined) return [];
    return [invalid(path, name, "must match one of the container's resource requests")];
  }
  const claims = (resources.claims ?? []).map((claim) =>
    claim.request ? `claim:${claim.name}/${claim.request}` : `claim:${claim.name}`,
  );
  if (claims.includes(name)) return [];
  const form = "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
  return [invalid(path, name, `must match one of the container's resource claims in a format ${form}`)];
}
