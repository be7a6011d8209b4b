/** `kubectl set`: image, env, resources, selector, serviceaccount, subject. */
import type { Unstructured } from "../api.ts";
import { changeObjects, parseAssignments, splitAssignments } from "../changing.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import type { Flag } from "../flags.ts";
import { parseLabels, resourceList } from "../generators.ts";
import { manifestFlags } from "../manifests.ts";
import { fetchTargets, selectorFlags, targetsOf } from "../targets.ts";
import { writeFlags } from "../writing.ts";

interface Container {
  name: string;
  image?: string;
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  resources?: { limits?: Record<string, string>; requests?: Record<string, string> };
}

interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  serviceAccountName?: string;
}

const setFlags = (verb: string): Flag[] => [
  ...manifestFlags,
  ...writeFlags(`kubectl-set`),
  ...selectorFlags,
  { name: "all", kind: "bool", help: `${verb} all objects of the kind` },
  { name: "local", kind: "bool", help: "accepted" },
];

const containersFlag: Flag = { name: "containers", short: "c", kind: "string", default: "*", help: "which containers" };

const image: Command = {
  summary: "Update the image of a pod template",
  usage: "(-f FILENAME | TYPE NAME) CONTAINER_NAME_1=CONTAINER_IMAGE_1 ... CONTAINER_NAME_N=CONTAINER_IMAGE_N",
  examples: ["set image deployment/web nginx=nginx:1.27", "set image deploy web *=nginx:1.27"],
  flags: setFlags("change"),
  async run(invocation) {
    const [objects, words] = splitArguments(invocation);
    const { set } = parseAssignments(words);
    if (set.size === 0) throw new CommandError("at least one image update is required");
    return changeTemplates(invocation, objects, "image updated", (spec, object) => {
      const change = (containers: Container[]) =>
        containers.map((container) => {
          const wanted = set.get(container.name) ?? set.get("*");
          return wanted ? { ...container, image: wanted } : container;
        });
      const all = [...spec.containers, ...(spec.initContainers ?? [])];
      for (const name of set.keys()) {
        if (name !== "*" && !all.some((container) => container.name === name)) {
          throw new CommandError(`unable to find container named ${JSON.stringify(name)}`);
        }
      }
      void object;
      return {
        containers: change(spec.containers),
        ...(spec.initContainers ? { initContainers: change(spec.initContainers) } : {}),
      };
    });
  },
};

const env: Command = {
  summary: "Update environment variables on a pod template",
  usage: "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
  examples: ["set env deployment/web LEVEL=debug", "set env deploy/web LEVEL-", "set env pods --all --list"],
  flags: [
    ...setFlags("change"),
    containersFlag,
    { name: "list", kind: "bool", help: "print the variables" },
    { name: "env", short: "e", kind: "list", help: "KEY=value; may be repeated" },
    { name: "from", kind: "string", help: "configmap/NAME or secret/NAME to take keys from" },
    { name: "prefix", kind: "string", help: "with --from, before each name" },
    { name: "overwrite", kind: "bool", default: true, help: "accepted" },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    const [objects, words] = splitArguments(invocation);
    if (flags.bool("list")) {
      const targets = await targetsOf(session, flags, objects);
      for (const { target, object } of await fetchTargets(session, flags, targets)) {
        for (const container of podSpecOf(object).containers) {
          session.print(`# ${target.resource.kind} ${object.metadata.name}, container ${container.name}\n`);
          for (const { name, value, valueFrom } of container.env ?? []) {
            session.print(
              valueFrom ? `# ${name} from ${sourceText(valueFrom as ValueSource)}\n` : `${name}=${value ?? ""}\n`,
            );
          }
        }
      }
      return 0;
    }
    const { set, remove } = parseAssignments([...words, ...flags.list("env")]);
    const added: NonNullable<Container["env"]> = [...set].map(([name, value]) => ({ name, value }));
    if (flags.string("from"))
      added.push(...(await variablesFrom(invocation, flags.string("from"), flags.string("prefix"))));
    if (added.length === 0 && remove.length === 0) {
      throw new CommandError("at least one environment variable must be provided");
    }
    const wanted = matcher(flags.string("containers"));
    return changeTemplates(invocation, objects, "env updated", (spec) => ({
      containers: spec.containers.map((container) => {
        if (!wanted(container.name)) return container;
        const kept = (container.env ?? []).filter(({ name }) => !remove.includes(name));
        const changed = kept.map((variable) => added.find(({ name }) => name === variable.name) ?? variable);
        const fresh = added.filter(({ name }) => !kept.some((variable) => variable.name === name));
        return { ...container, env: [...changed, ...fresh] };
      }),
    }));
  },
};

async function variablesFrom({ session, flags }: Invocation, from: string, prefix: string) {
  const [{ object, target } = { object: undefined, target: undefined }] = await fetchTargets(
    session,
    flags,
    await targetsOf(session, flags, [from]),
  );
  const field = target?.resource.kind === "Secret" ? "secretKeyRef" : "configMapKeyRef";
  return Object.keys((object?.["data"] as object | undefined) ?? {}).map((key) => ({
    name: prefix + key.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_"),
    valueFrom: { [field]: { key, name: object!.metadata.name } },
  }));
}

interface ValueSource {
  fieldRef?: { fieldPath: string };
  resourceFieldRef?: { resource: string };
  secretKeyRef?: { name: string; key: string };
  configMapKeyRef?: { name: string; key: string };
}

function sourceText({ fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef }: ValueSource): string {
  if (fieldRef) return `field path ${fieldRef.fieldPath}`;
  if (resourceFieldRef) return `resource field ${resourceFieldRef.resource}`;
  const [kind, ref] = secretKeyRef ? ["secret", secretKeyRef] : ["configmap", configMapKeyRef];
  return `${kind} ${ref?.name}, key ${ref?.key}`;
}

const resources: Command = {
  summary: "Update resource requests/limits on objects with pod templates",
  usage: "(-f FILENAME | TYPE NAME) ([--limits=LIMITS & --requests=REQUESTS]",
  examples: ["set resources deployment web --limits=cpu=200m,memory=512Mi --requests=cpu=100m"],
  flags: [
    ...setFlags("change"),
    containersFlag,
    { name: "limits", kind: "string", help: "cpu=…,memory=…" },
    { name: "requests", kind: "string", help: "cpu=…,memory=…" },
  ],
  async run(invocation) {
    const { flags, args } = invocation;
    const [limits, requests] = [resourceList(flags.string("limits")), resourceList(flags.string("requests"))];
    if (Object.keys({ ...limits, ...requests }).length === 0) {
      throw new CommandError("you must specify an update to requests or limits (in the form of --requests/--limits)");
    }
    const wanted = matcher(flags.string("containers"));
    const merge = (present: Record<string, string> | undefined, more: Record<string, string>) =>
      Object.keys(more).length > 0 ? { ...present, ...more } : present;
    return changeTemplates(invocation, [...args], "resource requirements updated", (spec) => ({
      containers: spec.containers.map((container) =>
        wanted(container.name)
          ? {
              ...container,
              resources: {
                ...container.resources,
                ...(merge(container.resources?.limits, limits)
                  ? { limits: merge(container.resources?.limits, limits)! }
                  : {}),
                ...(merge(container.resources?.requests, requests)
                  ? { requests: merge(container.resources?.requests, requests)! }
                  : {}),
              },
            }
          : container,
      ),
    }));
  },
};

const selector: Command = {
  summary: "Set the selector on a resource",
  usage: "(-f FILENAME | TYPE NAME) EXPRESSIONS [--resource-version=version]",
  examples: ["set selector service web app=web,tier=front"],
  flags: setFlags("change"),
  async run(invocation) {
    const { session, flags } = invocation;
    const [objects, words] = splitArguments(invocation);
    const labels = parseLabels(words.join(","));
    await changeObjects(
      invocation,
      await targetsOf(session, flags, objects),
      (object) => {
        const present = ((object["spec"] as { selector?: Record<string, string> }).selector ?? {}) as Record<
          string,
          string
        >;
        const gone = Object.keys(present).filter((key) => !(key in labels));
        return { spec: { selector: { ...labels, ...Object.fromEntries(gone.map((key) => [key, null])) } } };
      },
      { done: "selector updated" },
    );
    return 0;
  },
};

const serviceaccount: Command = {
  summary: "Update the service account of a resource",
  usage: "(-f FILENAME | TYPE NAME) SERVICE_ACCOUNT",
  examples: ["set serviceaccount deployment web builder"],
  flags: setFlags("change"),
  async run(invocation) {
    const { args } = invocation;
    const account = args.at(-1);
    if (!account || args.length < 2) throw new CommandError("serviceaccount is required");
    return changeTemplates(invocation, args.slice(0, -1), "serviceaccount updated", () => ({
      serviceAccountName: account,
      serviceAccount: account,
    }));
  },
};

const subject: Command = {
  summary: "Update the user, group, or service account in a role binding or cluster role binding",
  usage:
    "(-f FILENAME | TYPE NAME) [--user=username] [--group=groupname] [--serviceaccount=namespace:serviceaccountname]",
  flags: [
    ...setFlags("change"),
    { name: "user", kind: "list", help: "a user; may be repeated" },
    { name: "group", kind: "list", help: "a group; may be repeated" },
    { name: "serviceaccount", kind: "list", help: "namespace:name; may be repeated" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const apiGroup = "rbac.authorization.k8s.io";
    const added = [
      ...flags.commaList("user").map((name) => ({ apiGroup, kind: "User", name })),
      ...flags.commaList("group").map((name) => ({ apiGroup, kind: "Group", name })),
      ...flags.commaList("serviceaccount").map((text) => {
        const [namespace, name] = text.split(":");
        return { kind: "ServiceAccount", name, namespace };
      }),
    ];
    if (added.length === 0)
      throw new CommandError("you must specify at least one value of user, group or serviceaccount");
    await changeObjects(
      invocation,
      await targetsOf(session, flags, args),
      (object) => {
        const present = (object["subjects"] as object[] | undefined) ?? [];
        const fresh = added.filter((one) => !present.some((other) => JSON.stringify(other) === JSON.stringify(one)));
        return fresh.length > 0 ? { subjects: [...present, ...fresh] } : undefined;
      },
      { done: "subjects updated", unchanged: "subjects updated" },
    );
    return 0;
  },
};

export const set: CommandGroup = {
  summary: "Set specific features on objects",
  subcommands: { image, env, resources, selector, serviceaccount, sa: serviceaccount, subject },
};

function splitArguments({ flags, args }: Invocation): [objects: string[], words: string[]] {
  return flags.has("filename") ? [[], [...args]] : splitAssignments(args);
}

/** `*`, a name, or a pattern with `*`. */
function matcher(pattern: string): (name: string) => boolean {
  const expression = new RegExp(`^${pattern.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`);
  return (name) => expression.test(name);
}

function podSpecOf(object: Unstructured): PodSpec {
  const spec = object["spec"] as PodSpec & {
    template?: { spec: PodSpec };
    jobTemplate?: { spec: { template: { spec: PodSpec } } };
  };
  return spec.jobTemplate?.spec.template.spec ?? spec.template?.spec ?? spec;
}

/** Changes the pod template wherever the kind has it. */
async function changeTemplates(
  invocation: Invocation,
  args: readonly string[],
  done: string,
  change: (spec: PodSpec, object: Unstructured) => object,
): Promise<number> {
  const { session, flags } = invocation;
  const targets = await targetsOf(session, flags, args);
  const found = await fetchTargets(session, flags, targets);
  for (const { target, object } of found) {
    const spec = object["spec"] as { template?: unknown; jobTemplate?: unknown };
    const inner = change(podSpecOf(object), object);
    const wrapped = spec.jobTemplate
      ? { jobTemplate: { spec: { template: { spec: inner } } } }
      : spec.template
        ? { template: { spec: inner } }
        : inner;
    await changeObjects(invocation, [target], () => ({ spec: wrapped }), { done, isSilentWhenUnchanged: true });
  }
  return 0;
}
