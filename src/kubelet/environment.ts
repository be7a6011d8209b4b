/** A container's environment from its spec: envFrom, env, references and Service variables, in upstream's order and words. */
import type { ConfigMap, EnvVar, Secret, Service } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import type { Resource } from "../api/resource.ts";
import { ConfigMaps, Secrets } from "../api/resources.ts";
import { parseEnvFile } from "./env-file.ts";
import { expand } from "./expand.ts";
import { type FieldFacts, fieldValue, resourceValue } from "./fields.ts";
import type { ContainerSpec, PodObject } from "./pod-state.ts";
import { serviceEnvironment } from "./service-environment.ts";

export interface EnvironmentSources extends FieldFacts {
  services: readonly DeepReadonly<Service>[];
  get<T extends ConfigMap | Secret>(resource: Resource<T>, name: string): Promise<DeepReadonly<T> | undefined>;
  /** The text of a file in one of the pod's volumes. Undefined: there is no such file. Throws when it must not be read. */
  file(volumeName: string, path: string): string | undefined;
}

/** What is wrong with a container's configuration: shown as CreateContainerConfigError. */
export class ContainerConfigError extends Error {
  override name = "ContainerConfigError";
}

export async function containerEnvironment(
  pod: PodObject,
  container: ContainerSpec,
  sources: EnvironmentSources,
): Promise<{ name: string; value: string }[]> {
  const result = new Map<string, string>();
  for (const source of container.envFrom ?? []) {
    const prefix = source.prefix ?? "";
    for (const [key, value] of await envFromEntries(pod, source, sources)) result.set(prefix + key, value);
  }
  const services = new Map(
    serviceEnvironment(sources.services, pod.metadata.namespace, pod.spec.enableServiceLinks ?? true).map(
      ({ name, value }) => [name, value],
    ),
  );
  for (const variable of container.env ?? []) {
    // References see what stands before them, all of envFrom, and Services.
    const lookup = (name: string) => result.get(name) ?? services.get(name);
    const value = await variableValue(pod, container, variable, sources, lookup);
    if (value !== undefined) result.set(variable.name, value);
  }
  for (const [name, value] of services) if (!result.has(name)) result.set(name, value);
  return [...result].map(([name, value]) => ({ name, value }));
}

async function envFromEntries(
  pod: PodObject,
  source: NonNullable<ContainerSpec["envFrom"]>[number],
  sources: EnvironmentSources,
): Promise<[string, string][]> {
  const { namespace } = pod.metadata;
  if (source.configMapRef) {
    const { name = "", optional } = source.configMapRef;
    const configMap = await sources.get(ConfigMaps, name);
    if (configMap) return Object.entries(configMap.data ?? {});
    if (!optional) throw new ContainerConfigError(`configmap ${JSON.stringify(name)} not found`);
  } else if (source.secretRef) {
    const { name = "", optional } = source.secretRef;
    const secret = await sources.get(Secrets, name);
    if (secret) return Object.entries(secret.data ?? {}).map(([key, value]) => [key, decoded(value)]);
    if (!optional) throw new ContainerConfigError(`secret ${JSON.stringify(name)} not found`);
  } else throw new ContainerConfigError(`envFrom of pod ${namespace}/${pod.metadata.name} names no source`);
  return [];
}

async function variableValue(
  pod: PodObject,
  container: ContainerSpec,
  variable: DeepReadonly<EnvVar>,
  sources: EnvironmentSources,
  lookup: (name: string) => string | undefined,
): Promise<string | undefined> {
  const from = variable.valueFrom;
  if (!from) return expand(variable.value ?? "", lookup);
  const { namespace } = pod.metadata;
  if (from.fieldRef) return orConfigError(() => fieldValue(pod, from.fieldRef!, sources));
  if (from.resourceFieldRef) {
    return orConfigError(() => resourceValue(pod, from.resourceFieldRef!, container.name, sources));
  }
  if (from.configMapKeyRef) {
    const { name = "", key, optional } = from.configMapKeyRef;
    const configMap = await sources.get(ConfigMaps, name);
    const value = configMap?.data?.[key];
    if (value !== undefined || optional) return value;
    if (!configMap) throw new ContainerConfigError(`configmap ${JSON.stringify(name)} not found`);
    throw new ContainerConfigError(`couldn't find key ${key} in ConfigMap ${namespace}/${name}`);
  }
  if (from.secretKeyRef) {
    const { name = "", key, optional } = from.secretKeyRef;
    const secret = await sources.get(Secrets, name);
    const value = secret?.data?.[key];
    if (value !== undefined) return decoded(value);
    if (optional) return undefined;
    if (!secret) throw new ContainerConfigError(`secret ${JSON.stringify(name)} not found`);
    throw new ContainerConfigError(`couldn't find key ${key} in Secret ${namespace}/${name}`);
  }
  if (from.fileKeyRef) {
    const { volumeName, path, key, optional } = from.fileKeyRef;
    const text = orConfigError(() => sources.file(volumeName, path));
    const value = text === undefined ? undefined : orConfigError(() => parseEnvFile(text, path)).get(key);
    if (value !== undefined || optional) return value;
    if (text === undefined)
      throw new ContainerConfigError(`environment variable file ${JSON.stringify(path)} not found`);
    throw new ContainerConfigError(
      `environment variable key ${JSON.stringify(key)} not found in file ${JSON.stringify(path)}`,
    );
  }
  throw new ContainerConfigError(`env ${variable.name}: this kind of valueFrom is not supported by this kubelet`);
}

function orConfigError<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new ContainerConfigError((error as Error).message, { cause: error });
  }
}

function decoded(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}
