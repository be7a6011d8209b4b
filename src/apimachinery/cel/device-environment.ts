/** CEL expressions that choose devices (upstream: dynamic-resource-allocation/cel). */

import type { DeepReadonly } from "../../api/object.ts";
import type { Device, DeviceAttribute } from "../../api/resource/v1.ts";
import { type Compiled, compile } from "./compile.ts";
import type { Environment } from "./environment.ts";
import { kubernetesEnvironment } from "./kubernetes-environment.ts";
import { quantityOf, versionOf } from "./library/quantity.ts";
import { Bool, Dyn, mapOf, objectOf, opaque, Text } from "./types.ts";
import { JsonMap, type Value } from "./values.ts";

let environment: Environment | undefined;

/** Attributes may be of any type; domains and names are looked up by index. */
function deviceEnvironment(): Environment {
  environment ??= kubernetesEnvironment({
    variables: {
      device: objectOf("kubernetes.DRADevice", {
        driver: Text,
        attributes: mapOf(Text, mapOf(Text, Dyn)),
        capacity: mapOf(Text, mapOf(Text, opaque("kubernetes.Quantity"))),
        allowMultipleAllocations: Bool,
      }),
    },
  });
  return environment;
}

export function compileDeviceSelector(expression: string): Compiled {
  return compile(expression, deviceEnvironment());
}

/** The device as the expression's only variable sees it. Names without a domain are of the driver's. */
export function deviceVariables(driver: string, device: DeepReadonly<Device>): Record<string, unknown> {
  return {
    device: {
      driver,
      attributes: byDomain(driver, device.attributes, attributeValue),
      capacity: byDomain(driver, device.capacity, ({ value }) => quantityOf(value)),
      allowMultipleAllocations: device.allowMultipleAllocations ?? false,
    },
  };
}

function byDomain<T>(
  driver: string,
  values: Readonly<Record<string, T>> | undefined,
  read: (value: T) => Value,
): DomainMap {
  const domains: Record<string, Record<string, Value>> = {};
  for (const [name, value] of Object.entries(values ?? {})) {
    const slash = name.indexOf("/");
    const [domain, id] = slash < 0 ? [driver, name] : [name.slice(0, slash), name.slice(slash + 1)];
    domains[domain] ??= {};
    domains[domain][id] = read(value);
  }
  return new DomainMap(domains, undefined);
}

/** A domain that the device says nothing of is empty, not absent. */
class DomainMap extends JsonMap {
  override find(key: Value): Value | undefined {
    return super.find(key) ?? (typeof key === "string" ? new JsonMap({}, undefined) : undefined);
  }
}

function attributeValue({ int, bool, string, version }: DeepReadonly<DeviceAttribute>): Value {
  if (int !== undefined) return BigInt(int);
  if (bool !== undefined) return bool;
  if (string !== undefined) return string;
  if (version !== undefined) return versionOf(version);
  return null;
}
