/** Which host and path leads to which backend: Ingresses read as one routing table. Pure. */
import type { Secret, Service } from "../api/core/v1.ts";
import type { Ingress, IngressBackend, IngressClass } from "../api/networking/v1.ts";
import type { DeepReadonly } from "../api/object.ts";

export const controllerName = "k8s.io/ingress-nginx";
export const defaultClassAnnotation = "ingressclass.kubernetes.io/is-default-class";
const legacyClassAnnotation = "kubernetes.io/ingress.class";
const annotationPrefix = "nginx.ingress.kubernetes.io/";

/** What is asked while planning, by `namespace/name`. */
export interface IngressView {
  service(key: string): DeepReadonly<Service> | undefined;
  secret(key: string): DeepReadonly<Secret> | undefined;
  /** `address:port` of the ready endpoints of a Service's port: asked for headless ones. */
  endpoints(key: string, portName: string): readonly string[];
}

export interface IngressPlan {
  servers: Server[];
  /** By name, for `Server.certificate`. */
  certificates: Map<string, { certificate: string; key: string }>;
  problems: Problem[];
}

export interface Problem {
  ingress: DeepReadonly<Ingress>;
  reason: string;
  message: string;
}

/** One host. The empty host takes what no other does. */
export interface Server {
  host: string;
  /** Undefined: no TLS asked for; `""`: the controller's own certificate. */
  certificate: string | undefined;
  locations: Location[];
}

export interface Location {
  match: { kind: "exact" | "prefix" | "regex"; path: string };
  /** Undefined: nothing is behind it, and clients are told so (503). */
  upstream: Upstream | undefined;
  options: LocationOptions;
}

export interface Upstream {
  scheme: "http" | "https";
  /** `address:port` each; one is the Service's own address, whose endpoints the node's Service rules choose. */
  servers: string[];
  /** A name to look up in cluster DNS instead, for ExternalName. */
  hostname?: string;
}

export interface LocationOptions {
  rewriteTarget?: string;
  redirectToTls: boolean;
  maxBodySize?: string;
  readTimeoutSeconds?: number;
  sendTimeoutSeconds?: number;
  connectTimeoutSeconds?: number;
}

/** Whether this controller is meant: by the class, by the older annotation, or by neither when its class is the default. */
export function isOurs(ingress: DeepReadonly<Ingress>, classes: readonly DeepReadonly<IngressClass>[]): boolean {
  const ours = classes.filter(({ spec }) => spec.controller === controllerName);
  const named = ingress.spec.ingressClassName ?? ingress.metadata.annotations?.[legacyClassAnnotation];
  if (named !== undefined) return ours.some(({ metadata }) => metadata.name === named);
  return ours.some(({ metadata }) => metadata.annotations?.[defaultClassAnnotation] === "true");
}

/** The table for Ingresses that are ours. Of two that claim one host and path the older has it. */
export function planIngress(ingresses: readonly DeepReadonly<Ingress>[], view: IngressView): IngressPlan {
  const planner = new Planner(view);
  const byAge = [...ingresses].sort((a, b) => ageKey(a).localeCompare(ageKey(b)));
  for (const ingress of byAge) planner.add(ingress);
  return planner.plan();
}

function ageKey({ metadata }: DeepReadonly<Ingress>): string {
  return `${metadata.creationTimestamp} ${metadata.namespace}/${metadata.name}`;
}

class Planner {
  readonly #view: IngressView;
  readonly #servers = new Map<string, { certificate: string | undefined; locations: Map<string, Location> }>();
  readonly #certificates = new Map<string, { certificate: string; key: string }>();
  readonly #problems: Problem[] = [];

  constructor(view: IngressView) {
    this.#view = view;
    this.#server("");
  }

  plan(): IngressPlan {
    const servers = [...this.#servers].map(([host, { certificate, locations }]) => ({
      host,
      certificate,
      locations: [...locations.values()].sort((a, b) => b.match.path.length - a.match.path.length),
    }));
    return { servers, certificates: this.#certificates, problems: this.#problems };
  }

  add(ingress: DeepReadonly<Ingress>): void {
    const { spec } = ingress;
    this.#certify(ingress);
    for (const { host = "", http } of spec.rules ?? []) {
      const server = this.#server(host);
      for (const { path = "/", pathType, backend } of http?.paths ?? []) {
        if (!isWritable(path)) {
          this.#problems.push({
            ingress,
            reason: "Rejected",
            message: `the path ${JSON.stringify(path)} cannot be served`,
          });
          continue;
        }
        const options = this.#options(ingress, server.certificate);
        const upstream = this.#upstream(ingress, backend);
        if (isRegex(ingress)) put(server.locations, { kind: "regex", path }, upstream, options);
        else if (pathType === "Exact") put(server.locations, { kind: "exact", path }, upstream, options);
        else putPrefix(server.locations, path, upstream, options);
      }
    }
    if (!spec.defaultBackend) return;
    const upstream = this.#upstream(ingress, spec.defaultBackend);
    // What none of its rules match; and, from an Ingress without rules, what no Ingress matches.
    const hosts = spec.rules?.length ? spec.rules.map(({ host = "" }) => host) : [""];
    for (const host of new Set(hosts)) {
      const server = this.#server(host);
      putPrefix(server.locations, "/", upstream, this.#options(ingress, server.certificate));
    }
  }

  #server(host: string) {
    let server = this.#servers.get(host);
    if (!server)
      this.#servers.set(host, (server = { certificate: host === "" ? "" : undefined, locations: new Map() }));
    return server;
  }

  /** An entry without hosts is for all of the Ingress. */
  #certify(ingress: DeepReadonly<Ingress>): void {
    const { spec, metadata } = ingress;
    for (const { hosts, secretName } of spec.tls ?? []) {
      const name = secretName ? this.#certificate(ingress, `${metadata.namespace}/${secretName}`) : "";
      for (const host of hosts?.length ? hosts : (spec.rules ?? []).map(({ host = "" }) => host)) {
        const server = this.#server(host);
        server.certificate ||= name;
      }
    }
  }

  #certificate(ingress: DeepReadonly<Ingress>, key: string): string {
    const data = this.#view.secret(key)?.data;
    const [certificate, privateKey] = [data?.["tls.crt"], data?.["tls.key"]];
    if (!certificate || !privateKey) {
      const message = data
        ? `Secret "${key}" has no tls.crt and tls.key; the default certificate is used`
        : `Secret "${key}" not found; the default certificate is used`;
      this.#problems.push({ ingress, reason: "TLSSecret", message });
      return "";
    }
    const decode = (text: string) => Buffer.from(text, "base64").toString("utf8");
    this.#certificates.set(key, { certificate: decode(certificate), key: decode(privateKey) });
    return key;
  }

  #upstream(ingress: DeepReadonly<Ingress>, backend: DeepReadonly<IngressBackend>): Upstream | undefined {
    const { namespace } = ingress.metadata;
    const reference = backend.service;
    if (!reference) {
      const message = "backends that are resources are not supported; use a Service";
      this.#problems.push({ ingress, reason: "Rejected", message });
      return undefined;
    }
    const key = `${namespace}/${reference.name}`;
    const scheme = annotation(ingress, "backend-protocol")?.toUpperCase() === "HTTPS" ? "https" : "http";
    const service = this.#view.service(key);
    if (!service) {
      this.#problems.push({ ingress, reason: "ServiceNotFound", message: `Service "${key}" does not exist` });
      return undefined;
    }
    const { name, number } = reference.port ?? {};
    const port = service.spec.ports?.find((each) => (name ? each.name === name : each.port === number));
    if (service.spec.type === "ExternalName") {
      return { scheme, servers: [], hostname: `${service.spec.externalName}:${port?.port ?? number ?? 80}` };
    }
    if (!port) {
      this.#problems.push({
        ingress,
        reason: "ServicePort",
        message: `Service "${key}" has no port ${name ?? number}`,
      });
      return undefined;
    }
    if (service.spec.clusterIP && service.spec.clusterIP !== "None") {
      const { clusterIP } = service.spec;
      return { scheme, servers: [`${clusterIP.includes(":") ? `[${clusterIP}]` : clusterIP}:${port.port}`] };
    }
    const servers = this.#view.endpoints(key, port.name ?? "");
    return servers.length > 0 ? { scheme, servers: [...servers] } : undefined;
  }

  #options(ingress: DeepReadonly<Ingress>, certificate: string | undefined): LocationOptions {
    const target = annotation(ingress, "rewrite-target");
    const size = annotation(ingress, "proxy-body-size");
    const seconds = (name: string) => {
      const value = annotation(ingress, name);
      return value && /^\d+$/.test(value) ? Number(value) : undefined;
    };
    const [read, send, connect] = ["read", "send", "connect"].map((name) => seconds(`proxy-${name}-timeout`));
    const hasTls = certificate !== undefined && (ingress.spec.tls?.length ?? 0) > 0;
    return {
      ...(target && isWritable(target) ? { rewriteTarget: target } : {}),
      redirectToTls:
        annotation(ingress, "force-ssl-redirect") === "true" ||
        (hasTls && annotation(ingress, "ssl-redirect") !== "false"),
      ...(size && /^\d+[kKmMgG]?$/.test(size) ? { maxBodySize: size } : {}),
      ...(read !== undefined ? { readTimeoutSeconds: read } : {}),
      ...(send !== undefined ? { sendTimeoutSeconds: send } : {}),
      ...(connect !== undefined ? { connectTimeoutSeconds: connect } : {}),
    };
  }
}

/** A prefix counts by whole elements: /foo is /foo and /foo/bar, never /foobar. */
function putPrefix(
  locations: Map<string, Location>,
  path: string,
  upstream: Upstream | undefined,
  options: LocationOptions,
): void {
  const bare = path.replace(/\/+$/, "");
  if (bare !== "") put(locations, { kind: "exact", path: bare }, upstream, options, "prefix");
  put(locations, { kind: "prefix", path: `${bare}/` }, upstream, options);
}

/** The first has it; yet an Exact path goes before the element that a Prefix matches. */
function put(
  locations: Map<string, Location>,
  match: Location["match"],
  upstream: Upstream | undefined,
  options: LocationOptions,
  origin: string = match.kind,
): void {
  const key = `${match.kind} ${match.path}`;
  const known = locations.get(key);
  if (known && !(match.kind === "exact" && origin === "exact" && fromPrefix.has(known))) return;
  const location: Location = { match, upstream, options };
  if (match.kind === "exact" && origin === "prefix") fromPrefix.add(location);
  locations.set(key, location);
}

const fromPrefix = new WeakSet<Location>();

function isRegex(ingress: DeepReadonly<Ingress>): boolean {
  return annotation(ingress, "use-regex") === "true" || annotation(ingress, "rewrite-target") !== undefined;
}

function annotation(ingress: DeepReadonly<Ingress>, name: string): string | undefined {
  return ingress.metadata.annotations?.[`${annotationPrefix}${name}`];
}

/** What the server's configuration can carry between quotes. */
function isWritable(text: string): boolean {
  return !/[\u0000-\u001f\u007f]/.test(text);
}
