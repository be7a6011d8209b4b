/** What a user asks about: `svc/web`, `pod/web-0`, `web.shop`, `10.0.2.5:30000`, `http://web/`. */
import { formatIp, parseIp } from "../base/ip.ts";

export type Target =
  | { kind: "service"; namespace: string; name: string; port?: number | string }
  | { kind: "pod"; namespace: string; name: string; port?: number | string }
  | { kind: "workload"; namespace: string; resource: WorkloadKind; name: string }
  | { kind: "name"; name: string; port?: number; path?: string }
  | { kind: "address"; address: string; port?: number; path?: string };

export type WorkloadKind = "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job";

const kinds: Record<string, "service" | "pod" | WorkloadKind> = {
  service: "service",
  services: "service",
  svc: "service",
  pod: "pod",
  pods: "pod",
  po: "pod",
  deployment: "Deployment",
  deployments: "Deployment",
  deploy: "Deployment",
  replicaset: "ReplicaSet",
  replicasets: "ReplicaSet",
  rs: "ReplicaSet",
  statefulset: "StatefulSet",
  statefulsets: "StatefulSet",
  sts: "StatefulSet",
  daemonset: "DaemonSet",
  daemonsets: "DaemonSet",
  ds: "DaemonSet",
  job: "Job",
  jobs: "Job",
};

/** Throws an Error that says how a target is written. `port` is of `--port`. */
export function parseTarget(text: string, { namespace, port }: { namespace: string; port?: string }): Target {
  const url = /^(https?):\/\//i.exec(text);
  if (url) return ofUrl(text);
  const slash = text.indexOf("/");
  if (slash >= 0) {
    const kind = kinds[text.slice(0, slash).toLowerCase()];
    const [name = "", inlinePort] = text.slice(slash + 1).split(":");
    if (!kind || !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) throw new Error(howToWrite(text));
    if (kind !== "service" && kind !== "pod") return { kind: "workload", namespace, resource: kind, name };
    const asked = inlinePort ?? port;
    return { kind, namespace, name, ...(asked === undefined ? {} : { port: numberOrName(asked) }) };
  }
  const bracketed = /^\[([0-9a-f:]+)\](?::(\d+))?$/i.exec(text);
  const [host = "", inlinePort] = bracketed
    ? [bracketed[1], bracketed[2]]
    : parseIp(text)
      ? [text, undefined]
      : text.split(":");
  const asked = inlinePort ?? port;
  if (asked !== undefined && !/^\d{1,5}$/.test(asked)) throw new Error(`"${asked}" is no port: write a number`);
  return hostTarget(host, asked === undefined ? undefined : Number(asked), undefined, text);
}

function ofUrl(text: string): Target {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Error(howToWrite(text));
  }
  const port = url.port ? Number(url.port) : url.protocol === "https:" ? 443 : 80;
  const path = url.protocol === "http:" ? `${url.pathname}${url.search}` : undefined;
  return hostTarget(url.hostname.replace(/^\[|\]$/g, ""), port, path, text);
}

function hostTarget(host: string, port: number | undefined, path: string | undefined, text: string): Target {
  const rest = { ...(port === undefined ? {} : { port }), ...(path === undefined ? {} : { path }) };
  const address = parseIp(host);
  // As the API writes it: an IPv6 address may be written in many ways.
  if (address) return { kind: "address", address: formatIp(address), ...rest };
  if (!/^[a-z0-9_]([-a-z0-9_.]*[a-z0-9_.])?$/i.test(host)) throw new Error(howToWrite(text));
  return { kind: "name", name: host.toLowerCase(), ...rest };
}

const numberOrName = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text);

const howToWrite = (text: string): string =>
  `"${text}" is no target: write svc/NAME, pod/NAME, deployment/NAME, a host name, an address with a port, or a URL`;
