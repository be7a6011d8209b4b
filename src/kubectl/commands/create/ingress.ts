/** `kubectl create ingress`: rules, TLS and a default backend from one-line forms. */
import type { Unstructured } from "../../api.ts";
import { CommandError } from "../../command-error.ts";
import { cut } from "../../flags.ts";
import { objectOf } from "../../generators.ts";
import type { Generators } from "./generator.ts";

/** `host/path=service:port`, then perhaps `,tls` or `,tls=secret`. */
interface Rule {
  host: string;
  path: string;
  service: string;
  port: string;
  hasTls: boolean;
  secretName: string;
}

export const ingresses: Generators = {
  ingress: {
    summary: "Create an ingress with the specified name",
    usage: "NAME --rule=host/path=service:port[,tls[=secret]]",
    flags: [
      { name: "rule", kind: "list", help: "host/path=service:port[,tls[=secret]]; may be repeated" },
      { name: "class", kind: "string", help: "the ingress class" },
      { name: "annotation", kind: "list", help: "key=value; may be repeated" },
      { name: "default-backend", kind: "string", help: "service:port for what no rule matches" },
    ],
    failure: "failed to create ingress",
    make({ flags }, name) {
      const backend = flags.string("default-backend");
      const lines = flags.list("rule");
      if (lines.length === 0 && !backend) {
        throw new CommandError(
          "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
        );
      }
      const rules = lines.map(parseRule);
      const annotations = annotationsOf(flags.list("annotation"));
      if (backend && backend.split(":").length !== 2) {
        throw new CommandError("default-backend should be in format servicename:serviceport");
      }
      const [service = "", port = ""] = backend.split(":");
      const tls = tlsOf(rules);
      const ingress = objectOf("networking.k8s.io/v1", "Ingress", name, {
        spec: {
          ...(flags.string("class") ? { ingressClassName: flags.string("class") } : {}),
          ...(backend ? { defaultBackend: backendOf(service, port) } : {}),
          ...(rules.length > 0 ? { rules: rulesByHost(rules) } : {}),
          ...(tls.length > 0 ? { tls } : {}),
        },
      });
      return annotations ? ({ ...ingress, metadata: { ...ingress.metadata, annotations } } as Unstructured) : ingress;
    },
  },
};

function parseRule(text: string): Rule {
  const match = /^([\w*.-]*)(\/.*)=([\w-]+):([\w-]+)(?:,(tls)=?([\w-]+)?)?$/.exec(text);
  if (!match) {
    throw new CommandError(`rule ${text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]`);
  }
  const [, host = "", path = "", service = "", port = "", tls, secretName = ""] = match;
  return { host, path, service, port, hasTls: tls !== undefined, secretName };
}

function annotationsOf(pairs: readonly string[]): Record<string, string> | undefined {
  const entries = pairs.map((pair) => {
    const [key, value] = cut(pair, "=");
    if (value === undefined) {
      throw new CommandError(`annotation ${pair} is invalid and should be in format key=[value]`);
    }
    return [key, value] as const;
  });
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

const backendOf = (name: string, port: string) => ({
  service: { name, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } },
});

function rulesByHost(rules: readonly Rule[]) {
  const hosts = [...new Set(rules.map(({ host }) => host))];
  return hosts.map((host) => ({
    ...(host ? { host } : {}),
    http: {
      paths: rules
        .filter((rule) => rule.host === host)
        .map(({ path, service, port }) => ({
          backend: backendOf(service, port),
          path: path.replace(/\*$/, ""),
          pathType: path.endsWith("*") ? "Prefix" : "Exact",
        })),
    },
  }));
}

/** One entry a secret; each host stands in the first that names it. */
function tlsOf(rules: readonly Rule[]): { hosts?: string[]; secretName?: string }[] {
  const seen = new Set<string>();
  const entries = new Map<string, string[]>();
  for (const { host, hasTls, secretName } of rules) {
    if (!hasTls || seen.has(host)) continue;
    seen.add(host);
    entries.set(secretName, [...(entries.get(secretName) ?? []), ...(host ? [host] : [])]);
  }
  return [...entries]
    .filter(([secretName, hosts]) => secretName !== "" || hosts.length > 0)
    .map(([secretName, hosts]) => ({
      ...(hosts.length > 0 ? { hosts } : {}),
      ...(secretName ? { secretName } : {}),
    }));
}
