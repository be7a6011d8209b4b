/** Extended resources that a DeviceClass stands for: which class, and what a Pod's containers ask of it (upstream: DRAExtendedResource). Pure. */
import type { Container, ContainerExtendedResourceRequest, Pod } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";
import type { DeviceRequest } from "../../api/resource/v1.ts";
import { quantityValue } from "../../apimachinery/quantity.ts";
import type { ReadClass } from "./pools.ts";

/** A class may always be asked for by its own name. */
const classPrefix = "deviceclass.resource.kubernetes.io/";

/** Classes by the resource that they stand for. Of several the youngest is taken, of those of one age the first by name. */
export function classesByResource(classes: readonly ReadClass[]): ReadonlyMap<string, string> {
  const found = new Map<string, ReadClass>();
  for (const one of classes) {
    found.set(classPrefix + one.metadata.name, one);
    const name = one.spec.extendedResourceName;
    const other = name === undefined ? undefined : found.get(name);
    if (name !== undefined && (!other || isPreferred(one, other))) found.set(name, one);
  }
  return new Map([...found].map(([resource, { metadata }]) => [resource, metadata.name]));
}

function isPreferred({ metadata: a }: ReadClass, { metadata: b }: ReadClass): boolean {
  const [ofA, ofB] = [a.creationTimestamp ?? "", b.creationTimestamp ?? ""];
  return ofA === ofB ? a.name < b.name : ofA > ofB;
}

export interface ExtendedRequests {
  requests: readonly DeviceRequest[];
  /** Which request stands for which container's resource. */
  mappings: readonly ContainerExtendedResourceRequest[];
}

/**
 * The requests of the one claim that stands for a Pod's extended resources. Containers that run together have devices of their
 * own; init containers use those of the containers after them, and share what they need beyond that.
 */
export function extendedRequests(
  { spec }: DeepReadonly<Pod>,
  resources: Iterable<string>,
  classes: ReadonlyMap<string, string>,
): ExtendedRequests {
  const initCount = spec.initContainers?.length ?? 0;
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  const isPassing = (index: number) => index < initCount && containers[index]!.restartPolicy !== "Always";
  const requests: DeviceRequest[] = [];
  const mappings: ContainerExtendedResourceRequest[] = [];
  for (const resource of [...resources].sort()) {
    const deviceClassName = classes.get(resource);
    if (deviceClassName === undefined) continue;
    const lasting = containers.map((container, index) => {
      const count = isPassing(index) ? 0 : wantedOf(container, resource);
      return count === 0 ? undefined : { name: requestName(container, index, resource), count };
    });
    const shared = { name: "", count: 0 };
    const passing: { containerName: string; from: string[]; isShort: boolean }[] = [];
    for (const [index, container] of containers.entries()) {
      const wanted = isPassing(index) ? wantedOf(container, resource) : 0;
      if (wanted === 0) continue;
      const from: string[] = [];
      let found = 0;
      for (const later of lasting.slice(index)) {
        if (!later || found >= wanted) continue;
        found += later.count;
        from.push(later.name);
      }
      if (wanted - found > shared.count) {
        shared.count = wanted - found;
        shared.name = requestName(container, index, resource);
      }
      passing.push({ containerName: container.name, from, isShort: wanted > found });
    }
    for (const request of [shared, ...lasting]) {
      if (!request || request.count === 0) continue;
      const exactly = { deviceClassName, allocationMode: "ExactCount", count: request.count };
      requests.push({ name: request.name, exactly });
    }
    for (const [index, request] of lasting.entries()) {
      if (!request) continue;
      mappings.push({ containerName: containers[index]!.name, resourceName: resource, requestName: request.name });
    }
    for (const { containerName, from, isShort } of passing) {
      for (const name of isShort ? [...from, shared.name] : from) {
        mappings.push({ containerName, resourceName: resource, requestName: name });
      }
    }
  }
  return { requests: requests.sort((a, b) => (a.name < b.name ? -1 : 1)), mappings };
}

function wantedOf({ resources }: DeepReadonly<Container>, resource: string): number {
  const amount = resources?.requests?.[resource];
  return amount === undefined ? 0 : quantityValue(amount);
}

/** By the container's place among all, and the resource's among all that the container asks for. */
function requestName({ resources }: DeepReadonly<Container>, index: number, resource: string): string {
  const names = Object.keys(resources?.requests ?? {}).sort();
  return `container-${index}-request-${names.indexOf(resource)}`;
}
