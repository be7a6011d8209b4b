/** The routing table as nginx reads it. Pure. */
import type { IngressPlan, Location, Server, Upstream } from "./plan-ingress.ts";

export interface NginxSettings {
  /** Holds the configuration, the certificates and everything nginx writes. */
  folder: string;
  /** The node's addresses. */
  listen: readonly string[];
  /** Looks up the names of ExternalName Services. */
  resolver: string;
  /** Whom the worker runs as: `nobody nogroup`. */
  user: string;
}

export const defaultCertificate = "default";

/** Where a certificate lies in the folder, by its name in the plan (`""` is the default). */
export function certificateFile(name: string, part: "crt" | "key"): string {
  return `${(name || defaultCertificate).replaceAll("/", "_")}.${part}`;
}

/** The whole configuration of one node's nginx. */
export function compileNginx(plan: IngressPlan, settings: NginxSettings): string {
  const { folder, listen, resolver, user } = settings;
  const upstreams = new Upstreams();
  // A plan's hosts in a stable order: equal plans print equally.
  const servers = [...plan.servers].sort((a, b) => a.host.localeCompare(b.host));
  const printed = servers.map((server) => printServer(server, listen, upstreams));
  return `${[
    "daemon off;",
    `user ${user};`,
    "worker_processes 1;",
    `pid ${folder}/nginx.pid;`,
    `error_log ${folder}/error.log warn;`,
    "events { worker_connections 4096; }",
    "http {",
    "  access_log off;",
    "  server_tokens off;",
    "  server_names_hash_bucket_size 128;",
    "  variables_hash_max_size 2048;",
    "  types_hash_max_size 2048;",
    ...["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `  ${name}_temp_path ${folder}/${name};`),
    `  resolver ${resolver} valid=5s;`,
    "  ssl_protocols TLSv1.2 TLSv1.3;",
    "  keepalive_timeout 75s;",
    "  proxy_http_version 1.1;",
    "  proxy_buffering off;",
    "  proxy_request_buffering off;",
    "  proxy_next_upstream off;",
    "  proxy_connect_timeout 5s;",
    "  proxy_ssl_server_name on;",
    "  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }",
    "  proxy_set_header Host $http_host;",
    "  proxy_set_header Upgrade $http_upgrade;",
    "  proxy_set_header Connection $connection_upgrade;",
    "  proxy_set_header X-Request-ID $request_id;",
    "  proxy_set_header X-Real-IP $remote_addr;",
    "  proxy_set_header X-Forwarded-For $remote_addr;",
    "  proxy_set_header X-Forwarded-Host $http_host;",
    "  proxy_set_header X-Forwarded-Port $server_port;",
    "  proxy_set_header X-Forwarded-Proto $scheme;",
    "  proxy_set_header X-Forwarded-Scheme $scheme;",
    "  proxy_set_header X-Scheme $scheme;",
    // Whoever refuses or hangs up is no answer: the Service is unavailable, as ingress-nginx says it.
    "  error_page 502 =503 @unavailable;",
    ...upstreams.print(),
    ...printed.flat(),
    "}",
  ].join("\n")}\n`;
}

function printServer(server: Server, listen: readonly string[], upstreams: Upstreams): string[] {
  const isDefault = server.host === "";
  const suffix = isDefault ? " default_server" : "";
  const hasTls = server.certificate !== undefined;
  return [
    "  server {",
    ...listen.map((address) => `    listen ${bracketed(address)}:80${suffix};`),
    ...(hasTls ? listen.map((address) => `    listen ${bracketed(address)}:443 ssl http2${suffix};`) : []),
    `    server_name ${serverName(server.host)};`,
    ...(hasTls
      ? [
          `    ssl_certificate ${certificateFile(server.certificate!, "crt")};`,
          `    ssl_certificate_key ${certificateFile(server.certificate!, "key")};`,
        ]
      : []),
    "    location @unavailable { internal; return 503; }",
    ...server.locations.flatMap((location) => printLocation(location, upstreams)),
    ...(server.locations.some(({ match }) => match.kind === "prefix" && match.path === "/")
      ? []
      : ["    location / { return 404; }"]),
    "  }",
  ];
}

/** A wildcard stands for one label. */
function serverName(host: string): string {
  if (host === "") return "_";
  if (!host.startsWith("*.")) return host;
  return `"~^[^.]+\\.${host.slice(2).replaceAll(".", "\\.")}$"`;
}

function printLocation({ match, upstream, options }: Location, upstreams: Upstreams): string[] {
  const place = {
    exact: () => `= ${quote(match.path)}`,
    prefix: () => quote(match.path),
    regex: () => `~* ${quote(`^${match.path}`)}`,
  }[match.kind]();
  const out = [`    location ${place} {`];
  if (options.redirectToTls) out.push('      if ($scheme = http) { return 308 "https://$host$request_uri"; }');
  if (!upstream) return [...out, "      return 503;", "    }"];
  out.push(`      client_max_body_size ${options.maxBodySize ?? "1m"};`);
  for (const which of ["read", "send", "connect"] as const) {
    const seconds = options[`${which}TimeoutSeconds`];
    if (seconds !== undefined) out.push(`      proxy_${which}_timeout ${seconds}s;`);
  }
  if (options.rewriteTarget !== undefined) {
    out.push(`      rewrite ${quote(`(?i)${match.path}`)} ${quote(options.rewriteTarget)} break;`);
  }
  out.push(`      ${upstreams.pass(upstream)}`);
  return [...out, "    }"];
}

/** Backends with several servers need a name; the others stand where they are used. */
class Upstreams {
  readonly #named = new Map<string, string>();

  pass({ scheme, servers, hostname }: Upstream): string {
    // A name in a variable is looked up as it changes, not once at the start.
    if (hostname) {
      return `set $backend ${quote(hostname)}; proxy_set_header Host ${quote(hostname.replace(/:\d+$/, ""))}; proxy_pass ${scheme}://$backend;`;
    }
    if (servers.length === 1) return `proxy_pass ${scheme}://${servers[0]};`;
    const key = servers.join(" ");
    let name = this.#named.get(key);
    if (!name) this.#named.set(key, (name = `backend-${this.#named.size}`));
    return `proxy_pass ${scheme}://${name};`;
  }

  print(): string[] {
    return [...this.#named].map(
      ([servers, name]) =>
        `  upstream ${name} { random; ${servers
          .split(" ")
          .map((each) => `server ${each};`)
          .join(" ")} }`,
    );
  }
}

/** Between quotes nginx knows a backslash before a quote; other backslashes stay as they are, for regular expressions. */
function quote(text: string): string {
  return `"${text.replaceAll('"', '\\"').replace(/\\$/, "\\\\")}"`;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}
