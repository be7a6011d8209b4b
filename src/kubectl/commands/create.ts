/** `kubectl create`: from manifests, or an object from flags. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Unstructured } from "../api.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { cut, type Flag } from "../flags.ts";
import { containerNameOf, environmentOf, objectOf, podTemplate, resourceList, servicePort } from "../generators.ts";
import { withLastApplied } from "../last-applied.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { rawFlag, sendRaw } from "../raw-request.ts";
import { pathOf } from "../resource-catalog.ts";
import { targetsOf } from "../targets.ts";
import { dryRunOf, reportWritten, validateFlag, writeFlags, writeQuery } from "../writing.ts";

const manager = "kubectl-create";
const saveConfigFlag: Flag = { name: "save-config", kind: "bool", help: "remember the object for a later apply" };
const commonFlags: readonly Flag[] = [...writeFlags(manager), validateFlag, saveConfigFlag];

/** One kind that flags can describe. `make` gets the name and the arguments after it. */
interface Generator {
  summary: string;
  usage: string;
  flags: readonly Flag[];
  make(invocation: Invocation, name: string, rest: readonly string[]): Unstructured | Promise<Unstructured>;
}

const fromFlags: readonly Flag[] = [
  { name: "from-literal", kind: "list", help: "key=value; may be repeated" },
  { name: "from-file", kind: "list", help: "[key=]file, or a folder of files; may be repeated" },
  { name: "from-env-file", kind: "list", help: "a file of key=value lines" },
];

const generators: Readonly<Record<string, Generator>> = {
  namespace: {
    summary: "Create a namespace with the specified name",
    usage: "NAME [--dry-run=server|client|none]",
    flags: [],
    make: (_, name) => objectOf("v1", "Namespace", name, {}),
  },
  deployment: {
    summary: "Create a deployment with the specified name",
    usage: "NAME --image=image -- [COMMAND] [args...]",
    flags: [
      { name: "image", kind: "list", help: "an image to run; may be repeated" },
      { name: "replicas", short: "r", kind: "int", default: 1, help: "how many pods" },
      { name: "port", kind: "int", default: -1, help: "the port that the containers expose" },
    ],
    make({ flags }, name, command) {
      const images = flags.commaList("image");
      if (images.length === 0) throw new CommandError('required flag(s) "image" not set');
      if (images.length > 1 && command.length > 0) {
        throw new CommandError("cannot specify multiple --image options and command");
      }
      const labels = { app: name };
      const port = flags.number("port");
      const containers = images.map((image) => ({
        image,
        name: containerNameOf(image),
        ...(command.length > 0 ? { command: [...command] } : {}),
        ...(port >= 0 ? { ports: [{ containerPort: port }] } : {}),
        resources: {},
      }));
      return {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name, labels },
        spec: {
          replicas: flags.number("replicas"),
          selector: { matchLabels: labels },
          strategy: {},
          template: podTemplate(labels, { containers }),
        },
      };
    },
  },
  configmap: {
    summary: "Create a config map from a local file, directory or literal value",
    usage: "NAME [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
    flags: fromFlags,
    make(invocation, name) {
      const entries = dataOf(invocation);
      const data: Record<string, string> = {};
      const binaryData: Record<string, string> = {};
      for (const [key, bytes] of entries) {
        if (isText(bytes)) data[key] = bytes.toString();
        else binaryData[key] = bytes.toString("base64");
      }
      return objectOf("v1", "ConfigMap", name, {
        ...(Object.keys(data).length > 0 ? { data } : {}),
        ...(Object.keys(binaryData).length > 0 ? { binaryData } : {}),
      });
    },
  },
  serviceaccount: {
    summary: "Create a service account with the specified name",
    usage: "NAME [--dry-run=server|client|none]",
    flags: [],
    make: (_, name) => objectOf("v1", "ServiceAccount", name, {}),
  },
  job: {
    summary: "Create a job with the specified name",
    usage: "NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]",
    flags: [
      { name: "image", kind: "string", help: "the image to run" },
      { name: "from", kind: "string", help: "cronjob/NAME to take the job from" },
    ],
    async make({ session, flags }, name, command) {
      if (flags.string("from")) {
        const api = await session.api();
        const { name: namespace } = await session.namespace();
        const cron = flags.string("from").replace(/^(cronjobs?|cj)(\.batch)?\//, "");
        const source = await api.get<{
          metadata: Unstructured["metadata"];
          spec: { jobTemplate: Record<string, unknown> };
        }>(pathOf({ group: "batch", version: "v1", plural: "cronjobs" }, namespace, cron));
        const { metadata: template, spec } = source.spec.jobTemplate as { metadata?: object; spec: unknown };
        const annotations = { "cronjob.kubernetes.io/instantiate": "manual" };
        const owner = {
          apiVersion: "batch/v1",
          kind: "CronJob",
          name: source.metadata.name,
          uid: source.metadata.uid!,
          controller: true,
        };
        return {
          apiVersion: "batch/v1",
          kind: "Job",
          metadata: { ...template, name, annotations, ownerReferences: [owner] },
          spec,
        };
      }
      if (!flags.string("image")) throw new CommandError("either --image or --from must be specified");
      const container = {
        image: flags.string("image"),
        name,
        ...(command.length > 0 ? { command: [...command] } : {}),
        resources: {},
      };
      return objectOf("batch/v1", "Job", name, {
        spec: { template: { spec: { containers: [container], restartPolicy: "Never" } } },
      });
    },
  },
  cronjob: {
    summary: "Create a cron job with the specified name",
    usage: "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...] [flags]",
    flags: [
      { name: "image", kind: "string", help: "the image to run" },
      { name: "schedule", kind: "string", help: "when, as a cron line" },
      { name: "restart", kind: "string", default: "OnFailure", help: "the pods' restart policy" },
    ],
    make({ flags }, name, command) {
      if (!flags.string("image")) throw new CommandError("--image must be specified");
      if (!flags.string("schedule")) throw new CommandError("--schedule must be specified");
      const container = {
        image: flags.string("image"),
        name,
        ...(command.length > 0 ? { command: [...command] } : {}),
        resources: {},
      };
      const template = { spec: { containers: [container], restartPolicy: flags.string("restart") } };
      return objectOf("batch/v1", "CronJob", name, {
        spec: {
          jobTemplate: {
            metadata: { creationTimestamp: null, name },
            spec: { template: { metadata: { creationTimestamp: null }, ...template } },
          },
          schedule: flags.string("schedule"),
        },
      });
    },
  },
  quota: {
    summary: "Create a quota with the specified name",
    usage: "NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2]",
    flags: [
      { name: "hard", kind: "string", help: "the limits" },
      { name: "scopes", kind: "string", help: "what they count" },
    ],
    make: ({ flags }, name) =>
      objectOf("v1", "ResourceQuota", name, {
        spec: {
          ...(flags.string("hard") ? { hard: resourceList(flags.string("hard")) } : {}),
          ...(flags.string("scopes") ? { scopes: flags.string("scopes").split(",") } : {}),
        },
      }),
  },
  priorityclass: {
    summary: "Create a priority class with the specified name",
    usage: "NAME --value=VALUE --global-default=BOOL",
    flags: [
      { name: "value", kind: "int", default: 0, help: "the priority" },
      { name: "global-default", kind: "bool", help: "of pods that name none" },
      { name: "description", kind: "string", help: "when to use it" },
      { name: "preemption-policy", kind: "string", default: "PreemptLowerPriority", help: "whether it preempts" },
    ],
    make: ({ flags }, name) =>
      objectOf("scheduling.k8s.io/v1", "PriorityClass", name, {
        value: flags.number("value"),
        ...(flags.bool("global-default") ? { globalDefault: true } : {}),
        description: flags.string("description"),
        preemptionPolicy: flags.string("preemption-policy"),
      }),
  },
  poddisruptionbudget: {
    summary: "Create a pod disruption budget with the specified name",
    usage: "NAME --selector=SELECTOR --min-available=N",
    flags: [
      { name: "selector", kind: "string", help: "the pods" },
      { name: "min-available", kind: "string", help: "how many must stay" },
      { name: "max-unavailable", kind: "string", help: "how many may go" },
    ],
    make({ flags }, name) {
      if (!flags.string("selector")) throw new CommandError("a selector must be specified");
      const amount = (text: string) => (/^\d+$/.test(text) ? Number(text) : text);
      const [least, most] = [flags.string("min-available"), flags.string("max-unavailable")];
      if (!least && !most) throw new CommandError("one of min-available or max-unavailable must be specified");
      const matchLabels = Object.fromEntries(
        flags
          .string("selector")
          .split(",")
          .map((part) => cut(part, "=")),
      );
      return objectOf("policy/v1", "PodDisruptionBudget", name, {
        spec: {
          ...(least ? { minAvailable: amount(least) } : { maxUnavailable: amount(most) }),
          selector: { matchLabels },
        },
      });
    },
  },
  role: {
    summary: "Create a role with single rule",
    usage: "NAME --verb=verb --resource=resource.group/subresource [--resource-name=resourcename]",
    flags: ruleFlags(),
    make: async (invocation, name) =>
      objectOf("rbac.authorization.k8s.io/v1", "Role", name, { rules: await rulesOf(invocation) }),
  },
  clusterrole: {
    summary: "Create a cluster role",
    usage: "NAME --verb=verb --resource=resource.group [--resource-name=resourcename]",
    flags: [...ruleFlags(), { name: "non-resource-url", kind: "list", help: "a path; may be repeated" }],
    make: async (invocation, name) =>
      objectOf("rbac.authorization.k8s.io/v1", "ClusterRole", name, { rules: await rulesOf(invocation) }),
  },
  rolebinding: {
    summary: "Create a role binding for a particular role or cluster role",
    usage:
      "NAME --clusterrole=NAME|--role=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
    flags: [{ name: "role", kind: "string", help: "the role" }, ...subjectFlags()],
    make({ flags }, name) {
      const isRole = flags.string("role") !== "";
      if (isRole === (flags.string("clusterrole") !== "")) {
        throw new CommandError("exactly one of clusterrole or role must be specified");
      }
      return objectOf("rbac.authorization.k8s.io/v1", "RoleBinding", name, {
        subjects: subjectsOf(flags),
        roleRef: roleRef(isRole ? "Role" : "ClusterRole", flags.string(isRole ? "role" : "clusterrole")),
      });
    },
  },
  clusterrolebinding: {
    summary: "Create a cluster role binding for a particular cluster role",
    usage:
      "NAME --clusterrole=NAME [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
    flags: subjectFlags(),
    make: ({ flags }, name) =>
      objectOf("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", name, {
        subjects: subjectsOf(flags),
        roleRef: roleRef("ClusterRole", flags.string("clusterrole")),
      }),
  },
  ingress: {
    summary: "Create an ingress with the specified name",
    usage: "NAME --rule=host/path=service:port[,tls[=secret]]",
    flags: [
      { name: "rule", kind: "list", help: "host/path=service:port; may be repeated" },
      { name: "class", kind: "string", help: "the ingress class" },
    ],
    make: ({ flags }, name) =>
      objectOf("networking.k8s.io/v1", "Ingress", name, {
        spec: {
          ...(flags.string("class") ? { ingressClassName: flags.string("class") } : {}),
          rules: flags.list("rule").map((rule) => {
            const [, host = "", path = "/", service = "", port = ""] =
              /^([^/]*)(\/[^=]*)=([^:]+):([^,]+)/.exec(rule) ?? [];
            const backend = {
              service: { name: service, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } },
            };
            const isPrefix = path.endsWith("*");
            const entry = {
              path: isPrefix ? path.slice(0, -1) : path,
              pathType: isPrefix ? "Prefix" : "Exact",
              backend,
            };
            return { ...(host ? { host } : {}), http: { paths: [entry] } };
          }),
        },
      }),
  },
};

const services: Readonly<Record<string, Generator>> = {
  clusterip: {
    summary: "Create a ClusterIP service",
    usage: "NAME [--tcp=<port>:<targetPort>] [--dry-run=server|client|none]",
    flags: [tcpFlag(), { name: "clusterip", kind: "string", help: "the address, or None" }],
    make({ flags }, name) {
      if (flags.list("tcp").length === 0 && flags.string("clusterip") !== "None") {
        throw new CommandError("at least one tcp port specifier must be provided");
      }
      return serviceOf(
        name,
        "ClusterIP",
        flags.commaList("tcp"),
        flags.string("clusterip") ? { clusterIP: flags.string("clusterip") } : {},
      );
    },
  },
  nodeport: {
    summary: "Create a NodePort service",
    usage: "NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    flags: [tcpFlag(), { name: "node-port", kind: "int", default: 0, help: "the port on each node; 0 for any" }],
    make({ flags }, name) {
      if (flags.commaList("tcp").length === 0) {
        throw new CommandError("at least one tcp port specifier must be provided");
      }
      const service = serviceOf(name, "NodePort", flags.commaList("tcp"), {});
      const nodePort = flags.number("node-port");
      const { ports } = service["spec"] as { ports: Record<string, unknown>[] };
      if (nodePort > 0) for (const port of ports) port["nodePort"] = nodePort;
      return service;
    },
  },
  loadbalancer: {
    summary: "Create a LoadBalancer service",
    usage: "NAME [--tcp=port:targetPort] [--dry-run=server|client|none]",
    flags: [tcpFlag()],
    make: ({ flags }, name) => serviceOf(name, "LoadBalancer", flags.commaList("tcp"), {}),
  },
  externalname: {
    summary: "Create an ExternalName service",
    usage: "NAME --external-name external.name [--dry-run=server|client|none]",
    flags: [tcpFlag(), { name: "external-name", kind: "string", help: "the name that it stands for" }],
    make({ flags }, name) {
      if (!flags.string("external-name")) throw new CommandError('required flag(s) "external-name" not set');
      return serviceOf(name, "ExternalName", flags.commaList("tcp"), { externalName: flags.string("external-name") });
    },
  },
};

const secrets: Readonly<Record<string, Generator>> = {
  generic: {
    summary: "Create a secret from a local file, directory, or literal value",
    usage:
      "NAME [--type=string] [--from-file=[key=]source] [--from-literal=key1=value1] [--dry-run=server|client|none]",
    flags: [...fromFlags, { name: "type", kind: "string", help: "the secret's type" }],
    make(invocation, name) {
      const data = Object.fromEntries(dataOf(invocation).map(([key, bytes]) => [key, bytes.toString("base64")]));
      const type = invocation.flags.string("type");
      return objectOf("v1", "Secret", name, {
        ...(Object.keys(data).length > 0 ? { data } : {}),
        ...(type ? { type } : {}),
      });
    },
  },
  "docker-registry": {
    summary: "Create a secret for use with a Docker registry",
    usage: "NAME --docker-username=user --docker-password=password --docker-email=email [--docker-server=string]",
    flags: [
      { name: "docker-server", kind: "string", default: "https://index.docker.io/v1/", help: "the registry" },
      { name: "docker-username", kind: "string", help: "who pulls" },
      { name: "docker-password", kind: "string", help: "with which password" },
      { name: "docker-email", kind: "string", help: "the user's address" },
    ],
    make({ flags }, name) {
      const [username, password, email] = ["username", "password", "email"].map((part) =>
        flags.string(`docker-${part}`),
      );
      const auth = Buffer.from(`${username}:${password}`).toString("base64");
      const config = {
        auths: { [flags.string("docker-server")]: { username, password, ...(email ? { email } : {}), auth } },
      };
      const data = { ".dockerconfigjson": Buffer.from(JSON.stringify(config)).toString("base64") };
      return objectOf("v1", "Secret", name, { data, type: "kubernetes.io/dockerconfigjson" });
    },
  },
  tls: {
    summary: "Create a TLS secret",
    usage: "NAME --cert=path/to/cert/file --key=path/to/key/file [--dry-run=server|client|none]",
    flags: [
      { name: "cert", kind: "string", help: "the certificate's file" },
      { name: "key", kind: "string", help: "its key's file" },
    ],
    make({ flags }, name) {
      const file = (flag: string) => {
        const path = flags.string(flag);
        try {
          return readFileSync(path).toString("base64");
        } catch {
          throw new CommandError(`Cannot read file ${path}, open ${path}: no such file or directory`);
        }
      };
      return objectOf("v1", "Secret", name, {
        data: { "tls.crt": file("cert"), "tls.key": file("key") },
        type: "kubernetes.io/tls",
      });
    },
  },
};

const aliases: Readonly<Record<string, string>> = {
  ns: "namespace",
  deploy: "deployment",
  cm: "configmap",
  sa: "serviceaccount",
  cj: "cronjob",
  resourcequota: "quota",
  pc: "priorityclass",
  pdb: "poddisruptionbudget",
  svc: "service",
  ing: "ingress",
};

const fromManifests: Command = {
  summary: "Create a resource from a file or from stdin",
  usage: "-f FILENAME",
  examples: [
    "create -f pod.yaml",
    "create deployment web --image=nginx",
    "create configmap settings --from-literal=a=1",
  ],
  flags: [...manifestFlags, ...commonFlags, { name: "edit", kind: "bool", help: "edit before creating" }, rawFlag],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (args.length > 0) {
      throw new CommandError(`Unexpected args: [${args.join(" ")}]\nSee 'kubectl create -h' for help and examples`);
    }
    if (!namesManifests(flags)) throw new CommandError("must specify one of -f and -k");
    if (flags.has("raw")) return sendRaw(invocation, "POST");
    const targets = await targetsOf(session, flags, args);
    const failures: unknown[] = [];
    for (const { local } of targets) {
      try {
        await createObject(invocation, local!);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures);
    return 0;
  },
};

const tokenCommand: Command = {
  summary: "Request a service account token",
  usage: "SERVICE_ACCOUNT_NAME",
  flags: [
    { name: "audience", kind: "list", help: "who the token is for" },
    { name: "duration", kind: "duration", default: "0s", help: "how long it holds" },
  ],
  async run({ session, flags, args: [name] }) {
    if (!name) throw new CommandError("exactly one NAME is required, got 0");
    const api = await session.api();
    const { name: namespace } = await session.namespace();
    const seconds = flags.durationMs("duration") / 1000;
    const spec = { audiences: flags.list("audience"), ...(seconds > 0 ? { expirationSeconds: seconds } : {}) };
    const path = pathOf({ group: "", version: "v1", plural: "serviceaccounts" }, namespace, name, "token");
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    const { status } = await api.call<{ status: { token: string } }>("POST", path, { body });
    session.print(`${status.token}\n`);
    return 0;
  },
};

/** `create service nodeport web`: the kind and its sort are one name here, with a blank. */
export const create: CommandGroup = {
  summary: fromManifests.summary,
  command: fromManifests,
  subcommands: Object.fromEntries([
    ...Object.entries(generators).map(([kind, generator]) => [kind, commandOf(kind, generator)] as const),
    ...Object.entries(services).map(
      ([kind, generator]) => [`service ${kind}`, commandOf(`service ${kind}`, generator)] as const,
    ),
    ...Object.entries(secrets).map(
      ([kind, generator]) => [`secret ${kind}`, commandOf(`secret ${kind}`, generator)] as const,
    ),
    ["token", tokenCommand] as const,
    ...Object.entries(aliases).flatMap(([alias, kind]) => {
      const generator = generators[kind];
      return generator ? [[alias, commandOf(kind, generator)] as const] : [];
    }),
    ...Object.entries(services).map(
      ([kind, generator]) => [`svc ${kind}`, commandOf(`service ${kind}`, generator)] as const,
    ),
  ]),
};

function commandOf(kind: string, generator: Generator): Command {
  return {
    summary: generator.summary,
    usage: generator.usage,
    flags: [...generator.flags, ...commonFlags],
    async run(invocation) {
      const { args, dashAt } = invocation;
      const before = args.slice(0, dashAt ?? args.length);
      if (before.length !== 1 && !(dashAt === undefined && ["deployment", "job", "cronjob"].includes(kind))) {
        throw new CommandError(
          `exactly one NAME is required, got ${before.length}\nSee 'kubectl create ${kind} -h' for help and examples`,
        );
      }
      const object = await generator.make(invocation, args[0] ?? "", args.slice(1));
      await createObject(invocation, object, { what: kind });
      return 0;
    },
  };
}

/** Sends the object, or prints it when that is all the user wants. `what` names it in a failure. */
export async function createObject(
  { session, flags }: Invocation,
  object: Unstructured,
  { what, done = "created" }: { what?: string; done?: string } = {},
): Promise<void> {
  const catalog = await session.catalog();
  const resource = catalog.ofKind(object.apiVersion!, object.kind!);
  if (!resource) throw new CommandError(`the server doesn't have a resource type ${JSON.stringify(object.kind)}`);
  const { name: namespace } = await session.namespace();
  if (resource.isNamespaced && (dryRunOf(flags) !== "client" || flags.has("namespace")))
    object.metadata.namespace ??= namespace;
  const complete = flags.knows("save-config") && flags.bool("save-config") ? withLastApplied(object) : object;
  if (dryRunOf(flags) === "client") {
    return reportWritten(session, flags, resource, asTyped(complete), done);
  }
  const api = await session.api();
  const place = resource.isNamespaced ? object.metadata.namespace : undefined;
  try {
    const made = await api.call("POST", pathOf(resource, place) + writeQuery(flags), { body: complete });
    await reportWritten(session, flags, resource, made, done);
  } catch (error) {
    throw what === undefined ? error : withContext(error, `failed to create ${what.split(" ")[0]}`);
  }
}

/** With the fields that a typed object always writes, as manifests made by `--dry-run=client -o yaml` have them. */
function asTyped(object: Unstructured): Unstructured {
  const hasLoadBalancer = object.kind === "Service" || object.kind === "Ingress";
  const hasStatus = ["Deployment", "Pod", "Job", "CronJob", "Namespace", "ResourceQuota"].includes(object.kind!);
  const template = (object["spec"] as { template?: { metadata?: object } } | undefined)?.template;
  const spec = template && {
    ...(object["spec"] as object),
    template: { ...template, metadata: { creationTimestamp: null, ...template.metadata } },
  };
  return {
    ...object,
    metadata: { creationTimestamp: null, ...object.metadata } as unknown as Unstructured["metadata"],
    ...(object.kind === "Namespace" ? { spec: {} } : spec ? { spec } : {}),
    ...(hasLoadBalancer ? { status: { loadBalancer: {} } } : hasStatus ? { status: {} } : {}),
  };
}

function withContext(error: unknown, context: string): unknown {
  const { reason, message } = error as { reason?: string; message: string };
  if (reason === "AlreadyExists" || reason === "Invalid" || reason === "NotFound" || reason === undefined) {
    return reason === "AlreadyExists" || reason === "NotFound" ? new CommandError(`${context}: ${message}`) : error;
  }
  return new CommandError(`${context}: ${message}`);
}

function serviceOf(name: string, type: string, ports: readonly string[], more: Record<string, unknown>): Unstructured {
  const labels = { app: name };
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, labels },
    spec: { ...(ports.length > 0 ? { ports: ports.map(servicePort) } : {}), selector: labels, type, ...more },
  };
}

function tcpFlag(): Flag {
  return { name: "tcp", kind: "list", help: "port or port:targetPort; may be repeated" };
}

function ruleFlags(): Flag[] {
  return [
    { name: "verb", kind: "list", help: "what may be done; may be repeated" },
    { name: "resource", kind: "list", help: "to what: resource.group/subresource" },
    { name: "resource-name", kind: "list", help: "only to objects of this name" },
  ];
}

async function rulesOf({ session, flags }: Invocation): Promise<object[]> {
  const verbs = flags.commaList("verb");
  if (verbs.length === 0) throw new CommandError("at least one verb must be specified");
  const urls = flags.knows("non-resource-url") ? flags.commaList("non-resource-url") : [];
  if (urls.length > 0) return [{ nonResourceURLs: urls, verbs }];
  const words = flags.commaList("resource");
  if (words.length === 0) throw new CommandError("at least one resource must be specified");
  const catalog = await session.catalog();
  const byGroup = new Map<string, string[]>();
  for (const word of words) {
    const [name = "", subresource] = cut(word, "/");
    const resource = name === "*" ? { group: "*", plural: "*" } : catalog.find(name);
    const plural = subresource ? `${resource.plural}/${subresource}` : resource.plural;
    byGroup.set(resource.group, [...(byGroup.get(resource.group) ?? []), plural]);
  }
  const resourceNames = flags.commaList("resource-name");
  return [...byGroup].map(([group, resources]) => ({
    apiGroups: [group],
    ...(resourceNames.length > 0 ? { resourceNames } : {}),
    resources,
    verbs,
  }));
}

function subjectFlags(): Flag[] {
  return [
    { name: "clusterrole", kind: "string", help: "the cluster role" },
    { name: "user", kind: "list", help: "a user; may be repeated" },
    { name: "group", kind: "list", help: "a group; may be repeated" },
    { name: "serviceaccount", kind: "list", help: "namespace:name; may be repeated" },
  ];
}

function subjectsOf(flags: Invocation["flags"]): object[] {
  const apiGroup = "rbac.authorization.k8s.io";
  return [
    ...flags.commaList("user").map((name) => ({ apiGroup, kind: "User", name })),
    ...flags.commaList("group").map((name) => ({ apiGroup, kind: "Group", name })),
    ...flags.commaList("serviceaccount").map((text) => {
      const [namespace, name] = cut(text, ":");
      if (!name) throw new CommandError("serviceaccount must be <namespace>:<name>");
      return { kind: "ServiceAccount", name, namespace };
    }),
  ];
}

const roleRef = (kind: string, name: string) => ({ apiGroup: "rbac.authorization.k8s.io", kind, name });

/** What `--from-literal`, `--from-file` and `--from-env-file` say. */
function dataOf({ flags }: Invocation): [key: string, bytes: Buffer][] {
  const entries: [string, Buffer][] = [];
  const add = (key: string, bytes: Buffer) => {
    if (entries.some(([known]) => known === key)) {
      throw new CommandError(`cannot add key ${JSON.stringify(key)}, another key by that name already exists`);
    }
    entries.push([key, bytes]);
  };
  for (const literal of flags.list("from-literal")) {
    const [key, value] = cut(literal, "=");
    if (value === undefined) throw new CommandError(`invalid literal source ${literal}, expected key=value`);
    add(key, Buffer.from(value.replace(/^(["'])(.*)\1$/s, "$2")));
  }
  for (const source of flags.list("from-file")) {
    const [first, second] = cut(source, "=");
    const path = second ?? first;
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) throw new CommandError(`error reading ${path}: no such file or directory`);
    if (!stat.isDirectory()) add(second === undefined ? basename(path) : first, readFileSync(path));
    else
      for (const name of readdirSync(path).sort())
        if (statSync(join(path, name)).isFile()) add(name, readFileSync(join(path, name)));
  }
  for (const file of flags.list("from-env-file")) {
    const lines = readFileSync(file, "utf8").split("\n");
    for (const { name, value } of environmentOf(lines.filter((line) => line.trim() && !line.trim().startsWith("#")))) {
      add(name, Buffer.from(value));
    }
  }
  return entries;
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString()).equals(bytes);
}
