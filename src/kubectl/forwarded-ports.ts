/** Which local port leads to which port of the pod: what `port-forward` reads from its arguments. Pure. */
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Pod } from "./pods.ts";

export interface ForwardedPort {
  /** 0: any that is free. */
  local: number;
  remote: number;
}

interface ServicePort {
  name?: string;
  port: number;
  targetPort?: number | string;
}

/** `8080`, `8080:80`, `:80`, `8080:http`. Throws a CommandError in kubectl's words. */
export function forwardedPorts(words: readonly string[], object: Unstructured, pod: Pod): ForwardedPort[] {
  return words.map((word) => {
    const [local, remote] = split(word);
    return object.kind === "Service" ? ofService(local, remote, object, pod) : ofPod(local, remote, pod);
  });
}

function split(word: string): [local: string, remote: string] {
  const parts = word.split(":");
  return parts.length === 2 ? [parts[0]!, parts[1]!] : [parts[0]!, parts[0]!];
}

function ofService(local: string, remote: string, service: Unstructured, pod: Pod): ForwardedPort {
  const { name } = service.metadata;
  const { ports = [], clusterIP } = service["spec"] as { ports?: ServicePort[]; clusterIP?: string };
  const isNumber = /^\d+$/.test(remote);
  const port = ports.find((each) => (isNumber ? each.port === Number(remote) : each.name === remote));
  if (!port) {
    throw new CommandError(
      isNumber
        ? `Service ${name} does not have a service port ${remote}`
        : `Service '${name}' does not have a named port '${remote}'`,
    );
  }
  const localText = local === remote ? String(port.port) : local;
  const target = clusterIP === "None" ? port.port : (port.targetPort ?? port.port);
  return { local: portNumber(localText || "0"), remote: typeof target === "number" ? target : namedPort(pod, target) };
}

function ofPod(local: string, remote: string, pod: Pod): ForwardedPort {
  const number = /^\d+$/.test(remote) ? portNumber(remote) : namedPort(pod, remote);
  if (number === 0) throw new CommandError("remote port must be > 0");
  return { local: local === remote ? number : portNumber(local || "0"), remote: number };
}

function namedPort({ metadata, spec }: Pod, name: string): number {
  const containers = [...spec.containers, ...((spec.initContainers ?? []) as Pod["spec"]["containers"])];
  const port = containers.flatMap(({ ports = [] }) => ports).find((each) => each.name === name);
  if (port) return port.containerPort;
  throw new CommandError(`Pod '${metadata.name}' does not have a named port '${name}'`);
}

function portNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 65_535) return number;
  const problem = /^\d+$/.test(text) ? "value out of range" : "invalid syntax";
  throw new CommandError(
    `error parsing local port '${text}': strconv.ParseUint: parsing ${JSON.stringify(text)}: ${problem}`,
  );
}
