import { expect, test } from "vitest";
import type { Ingress, IngressSpec } from "../api/networking/v1.ts";
import { compileNginx } from "./compile-nginx.ts";
import { type IngressView, isOurs, planIngress } from "./plan-ingress.ts";

const meta = (name: string, more = {}) => ({
  name,
  namespace: "default",
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  ...more,
});

function ingress(name: string, spec: IngressSpec, annotations: Record<string, string> = {}): Ingress {
  const prefixed = Object.entries(annotations).map(([key, value]) => [`nginx.ingress.kubernetes.io/${key}`, value]);
  return {
    kind: "Ingress",
    apiVersion: "networking.k8s.io/v1",
    metadata: meta(name, { annotations: Object.fromEntries(prefixed) }),
    spec,
    status: {},
  };
}

const to = (name: string, number = 80) => ({ service: { name, port: { number } } });
const path = (path: string, pathType: string, backend = to("web")) => ({ path, pathType, backend });
const rule = (host: string | undefined, ...paths: ReturnType<typeof path>[]) => ({
  ...(host ? { host } : {}),
  http: { paths },
});

const services: Record<string, object> = {
  "default/web": { clusterIP: "10.96.0.20", ports: [{ name: "http", port: 80 }] },
  "default/api": { clusterIP: "10.96.0.30", ports: [{ port: 80 }] },
  "default/db": { clusterIP: "None", ports: [{ name: "sql", port: 80 }] },
  "default/far": { type: "ExternalName", externalName: "far.example" },
};

const view: IngressView = {
  service: (key) => services[key] && ({ metadata: meta(key), spec: services[key] } as never),
  secret: (key) =>
    key === "default/cert"
      ? ({ data: { "tls.crt": btoa("CERTIFICATE"), "tls.key": btoa("KEY") } } as never)
      : undefined,
  endpoints: () => ["10.244.1.2:5432", "10.244.1.3:5432"],
};

const table = (...ingresses: Ingress[]) =>
  planIngress(ingresses, view).servers.flatMap(({ host, certificate, locations }) =>
    locations.map(
      ({ match, upstream }) =>
        `${certificate === undefined || host === "" ? "" : `[${certificate || "default"}] `}${host || "*"} ${match.kind} ${match.path} → ${upstream?.servers.join(" ") || upstream?.hostname || "503"}`,
    ),
  );

test("a prefix is matched by whole elements, and an exact path goes before it", () => {
  expect(
    table(
      ingress("a", {
        rules: [rule("a.example", path("/foo/", "Prefix"), path("/foo", "Exact", to("api")), path("/", "Prefix"))],
      }),
    ),
  ).toEqual([
    "a.example prefix /foo/ → 10.96.0.20:80",
    "a.example exact /foo → 10.96.0.30:80",
    "a.example prefix / → 10.96.0.20:80",
  ]);
});

test("of two that claim one host and path the older has it", () => {
  const younger = ingress("younger", { rules: [rule("a.example", path("/", "Prefix", to("api")))] });
  younger.metadata.creationTimestamp = "2026-01-02T00:00:00Z";
  const older = ingress("older", { rules: [rule("a.example", path("/", "Prefix"))] });
  expect(table(younger, older)).toEqual(["a.example prefix / → 10.96.0.20:80"]);
});

test("a default backend takes what no rule matches, on its hosts or everywhere", () => {
  expect(
    table(
      ingress("alone", { defaultBackend: to("api") }),
      ingress("with-rules", {
        defaultBackend: to("web"),
        rules: [rule("a.example", path("/api", "Exact", to("api")))],
      }),
    ),
  ).toEqual([
    "* prefix / → 10.96.0.30:80",
    "a.example exact /api → 10.96.0.30:80",
    "a.example prefix / → 10.96.0.20:80",
  ]);
});

test("backends are found by the port's number or name, in endpoints where the Service has no address, or by a name outside", () => {
  expect(
    table(
      ingress("a", {
        rules: [
          rule(
            undefined,
            { path: "/a", pathType: "Exact", backend: { service: { name: "web", port: { name: "http" } } as never } },
            path("/b", "Exact", to("db")),
            path("/c", "Exact", to("far", 8080)),
            path("/d", "Exact", to("web", 81)),
            path("/e", "Exact", to("absent")),
          ),
        ],
      }),
    ),
  ).toEqual([
    "* exact /a → 10.96.0.20:80",
    "* exact /b → 10.244.1.2:5432 10.244.1.3:5432",
    "* exact /c → far.example:8080",
    "* exact /d → 503",
    "* exact /e → 503",
  ]);
});

test("a host has the certificate of its Secret, or the default one, and clients of HTTP are sent on", () => {
  const tls = ingress("tls", {
    tls: [
      { hosts: ["a.example"], secretName: "cert" },
      { hosts: ["b.example"], secretName: "absent" },
    ],
    rules: [
      rule("a.example", path("/", "Prefix")),
      rule("b.example", path("/", "Prefix")),
      rule("c.example", path("/", "Prefix")),
    ],
  });
  expect(table(tls)).toEqual([
    "[default/cert] a.example prefix / → 10.96.0.20:80",
    "[default] b.example prefix / → 10.96.0.20:80",
    "c.example prefix / → 10.96.0.20:80",
  ]);
  const { certificates, problems, servers } = planIngress([tls], view);
  expect(certificates.get("default/cert")).toEqual({ certificate: "CERTIFICATE", key: "KEY" });
  expect(problems.map(({ message }) => message)).toEqual([
    'Secret "default/absent" not found; the default certificate is used',
  ]);
  expect(servers.find(({ host }) => host === "a.example")!.locations[0]!.options.redirectToTls).toBe(true);
});

test("the class decides whose an Ingress is", () => {
  const classes = (isDefault: string) =>
    [
      {
        metadata: { name: "nginx", annotations: { "ingressclass.kubernetes.io/is-default-class": isDefault } },
        spec: { controller: "k8s.io/ingress-nginx" },
      },
      { metadata: { name: "other" }, spec: { controller: "example.com/other" } },
    ] as never;
  const of = (ingressClassName?: string, annotations = {}) =>
    ({ metadata: meta("a", { annotations }), spec: ingressClassName ? { ingressClassName } : {} }) as never;
  expect(isOurs(of("nginx"), classes("false"))).toBe(true);
  expect(isOurs(of("other"), classes("true"))).toBe(false);
  expect(isOurs(of(undefined), classes("true"))).toBe(true);
  expect(isOurs(of(undefined), classes("false"))).toBe(false);
  expect(isOurs(of(undefined, { "kubernetes.io/ingress.class": "nginx" }), classes("false"))).toBe(true);
});

test("nginx gets hosts, wildcards of one label, rewrites and quoted paths", () => {
  const plan = planIngress(
    [
      ingress("a", { rules: [rule("*.a.example", path('/say "hi"', "Exact"))] }),
      ingress(
        "b",
        { rules: [rule("b.example", path("/old(/|$)(.*)", "ImplementationSpecific"))] },
        { "rewrite-target": "/$2" },
      ),
    ],
    view,
  );
  const config = compileNginx(plan, { folder: "/f", listen: ["192.0.2.1"], resolver: "10.96.0.10", user: "nobody" });
  expect(config.slice(config.indexOf("  error_page"))).toMatchInlineSnapshot(`
    "  error_page 502 =503 @unavailable;
      server {
        listen 192.0.2.1:80 default_server;
        listen 192.0.2.1:443 ssl http2 default_server;
        server_name _;
        ssl_certificate default.crt;
        ssl_certificate_key default.key;
        location @unavailable { internal; return 503; }
        location / { return 404; }
      }
      server {
        listen 192.0.2.1:80;
        server_name "~^[^.]+\\.a\\.example$";
        location @unavailable { internal; return 503; }
        location = "/say \\"hi\\"" {
          client_max_body_size 1m;
          proxy_pass http://10.96.0.20:80;
        }
        location / { return 404; }
      }
      server {
        listen 192.0.2.1:80;
        server_name b.example;
        location @unavailable { internal; return 503; }
        location ~* "^/old(/|$)(.*)" {
          client_max_body_size 1m;
          rewrite "(?i)/old(/|$)(.*)" "/$2" break;
          proxy_pass http://10.96.0.20:80;
        }
        location / { return 404; }
      }
    }
    "
  `);
});
