/** `kubectl set env`: variables of containers, by value or from a ConfigMap or Secret. */
import { StatusError } from "../../../apimachinery/status-error.ts";
import type { Unstructured } from "../../api.ts";
import type { Command, Invocation } from "../../command.ts";
import { CommandError } from "../../command-error.ts";
import { fetchNamed } from "../../targets.ts";
import { dryRunOf } from "../../writing.ts";
import {
  type Container,
  changeTemplates,
  containersFlag,
  type Found,
  matcher,
  objectsToSet,
  podSpecOf,
  setFlags,
} from "./pod-templates.ts";

type Variable = NonNullable<Container["env"]>[number];

interface ValueSource {
  fieldRef?: { fieldPath: string };
  resourceFieldRef?: { containerName?: string; resource: string };
  secretKeyRef?: { name: string; key: string };
  configMapKeyRef?: { name: string; key: string };
}

export const env: Command = {
  summary: "Update environment variables on a pod template",
  usage: "RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N",
  examples: ["set env deployment/web LEVEL=debug", "set env deploy/web LEVEL-", "set env pods --all --list"],
  flags: [
    ...setFlags("change"),
    containersFlag,
    { name: "list", kind: "bool", help: "print the variables" },
    { name: "resolve", kind: "bool", help: "with --list, the values behind references" },
    { name: "env", short: "e", kind: "list", help: "KEY=value; may be repeated" },
    { name: "from", kind: "string", help: "configmap/NAME or secret/NAME to take keys from" },
    { name: "keys", kind: "list", help: "with --from, only these keys" },
    { name: "prefix", kind: "string", help: "with --from, before each name" },
    { name: "overwrite", kind: "bool", default: true, help: "a variable that is there may change its value" },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    const [objects, words] = resourcesAndWords(args);
    if (flags.bool("local") && dryRunOf(flags) === "server") {
      throw new CommandError("cannot specify --local and --dry-run=server - did you mean --dry-run=client?");
    }
    if (objects.length === 0 && !flags.has("filename") && !flags.has("kustomize")) {
      throw new CommandError("one or more resources must be specified as <resource> <name> or <resource>/<name>");
    }
    if (flags.bool("list") && flags.string("output")) {
      throw new CommandError("--list and --output may not be specified together");
    }
    if (flags.has("keys") && !flags.string("from")) {
      throw new CommandError("when specifying --keys, a configmap or secret must be provided with --from");
    }
    const { added, removed } = assignmentsIn([...flags.list("env"), ...words]);
    if (flags.string("from")) added.push(...(await variablesFrom(invocation)));
    const found = await objectsToSet(invocation, objects);
    if (flags.bool("list")) return list(invocation, found);
    const wanted = matcher(flags.string("containers"));
    return changeTemplates(invocation, found, "env updated", (spec, object) => {
      const containers = [...(spec.initContainers ?? []), ...spec.containers].filter(({ name }) => wanted(name));
      if (containers.length === 0) {
        const pattern = JSON.stringify(flags.string("containers"));
        session.printError(
          `Warning: ${object.kind}/${object.metadata.name} does not have any containers matching ${pattern}\n`,
        );
      }
      if (!flags.bool("overwrite")) refuseOverwriting(containers, added, found, object);
      for (const container of containers) {
        const variables = changed(container.env ?? [], added, removed);
        if (variables.length > 0) container.env = variables;
        else delete container.env;
      }
    });
  },
};

/** Objects come first, then what assigns. */
function resourcesAndWords(args: readonly string[]): [objects: string[], words: string[]] {
  const assigns = (word: string) => word.includes("=") || (word.length > 1 && word.endsWith("-"));
  const at = args.findIndex(assigns);
  if (at < 0) return [[...args], []];
  const words = args.slice(at);
  if (!words.every(assigns)) {
    throw new CommandError(`all resources must be specified before environment changes: ${args.join(" ")}`);
  }
  return [args.slice(0, at), words];
}

const variableName = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

function assignmentsIn(words: readonly string[]): { added: Variable[]; removed: string[] } {
  const added = new Map<string, Variable>();
  const removed: string[] = [];
  for (const word of words) {
    const at = word.indexOf("=");
    if (at < 0 && word.endsWith("-")) {
      removed.push(word.slice(0, -1));
      continue;
    }
    if (at < 1) throw new CommandError(`unknown argument ${JSON.stringify(word)}`);
    const name = word.slice(0, at);
    if (!variableName.test(name)) {
      throw new CommandError(
        `${JSON.stringify(name)} is not a valid key name: a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is '[-._a-zA-Z][-._a-zA-Z0-9]*')`,
      );
    }
    if (!added.has(name)) added.set(name, { name, value: word.slice(at + 1) });
  }
  if (removed.some((name) => added.has(name))) {
    throw new CommandError("can not both modify and remove the same environment variable in the same command");
  }
  return { added: [...added.values()], removed };
}

async function variablesFrom({ session, flags }: Invocation): Promise<Variable[]> {
  const from = flags.string("from");
  const prefix = flags.string("prefix");
  const sources = flags.bool("local") ? [] : await fetchNamed(session, flags, [from]);
  const [source] = sources;
  const field = { ConfigMap: "configMapKeyRef", Secret: "secretKeyRef" }[source?.target.resource.kind ?? ""];
  if (!source || !field) throw new CommandError("unsupported resource specified in --from");
  const chosen = flags.commaList("keys");
  const keys = Object.keys((source.object["data"] as object | undefined) ?? {}).sort();
  return keys
    .filter((key) => chosen.length === 0 || chosen.includes(key))
    .map((key) => {
      const name = key.toUpperCase().replaceAll(/[^A-Z0-9_]/g, "_");
      if (name !== key) session.printError(`Warning: key ${key} transferred to ${name}\n`);
      return { name: prefix + name, valueFrom: { [field]: { key, name: source.object.metadata.name } } };
    });
}

function refuseOverwriting(
  containers: readonly Container[],
  added: readonly Variable[],
  found: readonly Found[],
  object: Unstructured,
): void {
  const { target } = found.find((each) => each.object === object)!;
  for (const { name } of added) {
    const present = containers.flatMap((container) => container.env ?? []).find((variable) => variable.name === name);
    if (!present) continue;
    throw new CommandError(
      `${target.resource.plural}/${target.name} '${name}' already has a value (${present.value ?? ""}), and --overwrite is false`,
    );
  }
}

function changed(present: readonly Variable[], added: readonly Variable[], removed: readonly string[]): Variable[] {
  const kept = present.filter(({ name }) => !removed.includes(name));
  const fresh = added.filter(({ name }) => !kept.some((variable) => variable.name === name));
  return [...kept.map((variable) => added.find(({ name }) => name === variable.name) ?? variable), ...fresh];
}

async function list(invocation: Invocation, found: readonly Found[]): Promise<number> {
  const { session, flags } = invocation;
  const wanted = matcher(flags.string("containers"));
  const problems: string[] = [];
  for (const { target, object } of found) {
    const spec = podSpecOf(object);
    if (!spec) continue;
    for (const container of [...(spec.initContainers ?? []), ...spec.containers].filter(({ name }) => wanted(name))) {
      session.print(`# ${target.resource.kind} ${object.metadata.name}, container ${container.name}\n`);
      for (const { name, value, valueFrom } of container.env ?? []) {
        if (!valueFrom) {
          session.print(`${name}=${value ?? ""}\n`);
          continue;
        }
        const source = valueFrom as ValueSource;
        const resolved = flags.bool("resolve") ? await resolvedValue(invocation, object, source) : undefined;
        if (resolved && "problem" in resolved)
          problems.push(`error retrieving reference for ${name}: ${resolved.problem}`);
        session.print(
          resolved && "value" in resolved ? `${name}=${resolved.value}\n` : `# ${name} from ${sourceText(source)}\n`,
        );
      }
    }
  }
  for (const problem of problems) session.printError(`${problem}\n`);
  return 0;
}

function sourceText({ fieldRef, resourceFieldRef, secretKeyRef, configMapKeyRef }: ValueSource): string {
  if (fieldRef) return `field path ${fieldRef.fieldPath}`;
  if (resourceFieldRef) {
    const { containerName, resource } = resourceFieldRef;
    return `resource field ${containerName ? `${containerName}/` : ""}${resource}`;
  }
  if (secretKeyRef) return `secret ${secretKeyRef.name}, key ${secretKeyRef.key}`;
  return configMapKeyRef ? `configmap ${configMapKeyRef.name}, key ${configMapKeyRef.key}` : "invalid valueFrom";
}

/** The value that a container would see, or why only a running one sees it. */
async function resolvedValue(
  { session }: Invocation,
  object: Unstructured,
  { secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef }: ValueSource,
): Promise<{ value: string } | { problem: string }> {
  if (fieldRef) {
    const [, field] = /^metadata\.(name|namespace|uid)$/.exec(fieldRef.fieldPath) ?? [];
    if (!field) return { problem: `unsupported fieldPath: ${fieldRef.fieldPath}` };
    return { value: (object.metadata[field] as string | undefined) ?? "" };
  }
  if (resourceFieldRef) return { problem: `unsupported resource: ${resourceFieldRef.resource}` };
  const reference = secretKeyRef ?? configMapKeyRef;
  if (!reference) return { problem: "invalid valueFrom" };
  const place = `/api/v1/namespaces/${object.metadata.namespace}/${secretKeyRef ? "secrets" : "configmaps"}`;
  try {
    const api = await session.api();
    const { data } = await api.get<{ data?: Record<string, string> }>(`${place}/${encodeURIComponent(reference.name)}`);
    const value = data?.[reference.key];
    if (value !== undefined) return { value: secretKeyRef ? Buffer.from(value, "base64").toString() : value };
    return { problem: `key ${reference.key} not found in ${secretKeyRef ? "secret" : "config map"} ${reference.name}` };
  } catch (error) {
    if (error instanceof StatusError) return { problem: error.message };
    throw error;
  }
}
