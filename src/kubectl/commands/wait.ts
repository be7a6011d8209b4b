/** `kubectl wait`: until objects are as they should be, or gone. */
import { isNotFound } from "../../apimachinery/status-error.ts";
import { jsonLines, type Unstructured } from "../api.ts";
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { cut } from "../flags.ts";
import { JsonPathError, parseJsonPathExpression } from "../jsonpath.ts";
import { manifestFlags } from "../manifests.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";
import { apiVersionOf, kindText } from "../resource-catalog.ts";
import type { Session } from "../session.ts";
import {
  allNamespacesFlag,
  fetchTargets,
  localFlag,
  localTargets,
  selectorFlags,
  type Target,
  targetPath,
  targetsOf,
} from "../targets.ts";

/** Undefined stands for an object that is gone. */
type Condition = (object: Unstructured | undefined) => boolean;

export const wait: Command = {
  summary: "Experimental: Wait for a specific condition on one or many resources",
  usage:
    "([-f FILENAME] | resource.group/resource.name | resource.group [(-l label | --all)]) [--for=create|--for=delete|--for condition=available|--for=jsonpath='{}'[=value]]",
  examples: [
    "wait --for=condition=Ready pod/web",
    "wait --for=delete pod/web --timeout=60s",
    "wait --for=jsonpath='{.status.phase}'=Running pod/web",
  ],
  flags: [
    ...manifestFlags.slice(0, 1),
    { ...manifestFlags[1]!, default: true },
    ...selectorFlags,
    allNamespacesFlag,
    localFlag,
    ...outputFlags,
    { name: "for", kind: "string", help: "create, delete, condition=TYPE[=VALUE] or jsonpath='{PATH}'[=VALUE]" },
    { name: "timeout", kind: "duration", default: "30s", help: "how long; negative for a week, 0 to look once" },
    { name: "all", kind: "bool", help: "all objects of the kind" },
  ],
  async run({ session, flags, args }) {
    const wanted = flags.string("for");
    if (!wanted) throw new CommandError("unrecognized condition: []");
    const condition = conditionOf(wanted);
    const printer = await printerOf(flags);
    const report = async ({ resource, name }: Target, object: Unstructured) =>
      session.print(printer ? await printer(object) : `${kindText(resource)}/${name} condition met\n`);
    if (flags.bool("local")) {
      for (const { target, object } of await localTargets(session, flags, args)) {
        if (!condition(object))
          throw new CommandError(`condition not met for ${target.resource.plural}/${target.name}`);
        await report(target, object);
      }
      return 0;
    }
    const targets = await targetsOf(session, flags, args);
    const selects = flags.bool("all") || flags.string("selector") || flags.string("field-selector");
    if (!selects && targets.some(({ name }) => name === undefined)) {
      throw new CommandError("resource(s) were provided, but no name was specified");
    }
    const named: Target[] = [];
    for (const target of targets) {
      if (target.name !== undefined) named.push(target);
      else named.push(...(await fetchTargets(session, flags, [target])).map((found) => found.target));
    }
    if (named.some(({ name }) => name === "")) throw new CommandError("resource name must be provided");
    if (named.length === 0) {
      if (session.failures.length > 0) return 1;
      if (wanted === "delete") return 0;
      throw new CommandError("no matching resources found");
    }
    const timeoutMs = flags.durationMs("timeout");
    const wasThere = wanted === "delete" ? await presentOf(session, named) : named;
    const results = await Promise.all(
      wasThere.map((target) => until(session, target, condition, timeoutMs < 0 ? weekMs : timeoutMs, wanted)),
    );
    const late: string[] = [];
    for (const { target, isMet, object } of results) {
      const what = `${target.resource.plural}/${target.name}`;
      if (isMet) await report(target, object);
      else if (wanted.toLowerCase() === "create") late.push("timed out waiting for the condition");
      else
        late.push(timeoutMs === 0 ? `condition not met for ${what}` : `timed out waiting for the condition on ${what}`);
    }
    if (late.length === 1) throw new CommandError(late[0]!);
    for (const message of late) session.printError(`${message}\n`);
    return late.length > 0 ? 1 : 0;
  },
};

/** Those that are there: what was never there is gone without a word. */
async function presentOf(session: Session, targets: readonly Target[]): Promise<Target[]> {
  const api = await session.api();
  const found = await Promise.all(
    targets.map(async (target) => {
      try {
        await api.get(targetPath(target));
        return [target];
      } catch (error) {
        if (!isNotFound(error)) throw error;
        return [];
      }
    }),
  );
  return found.flat();
}

const weekMs = 7 * 24 * 3_600_000;

function conditionOf(text: string): Condition {
  const lower = text.toLowerCase();
  if (lower === "delete") return (object) => object === undefined;
  if (lower === "create") return (object) => object !== undefined;
  if (lower.startsWith("condition=")) {
    const [type, value = "true"] = cut(text.slice("condition=".length), "=");
    return (object) =>
      conditionsOf(object).some(
        (condition) =>
          condition.type.toLowerCase() === type.toLowerCase() && condition.status.toLowerCase() === value.toLowerCase(),
      );
  }
  if (lower.startsWith("jsonpath=")) {
    const wanted = text.slice("jsonpath=".length);
    const [, path = "", , value] = /^(\{[^}]*\}|[^=]*)(=(.*))?$/s.exec(wanted) ?? [];
    if (path === "") throw new CommandError("jsonpath expression cannot be empty");
    if (value === "") {
      throw new CommandError(
        "jsonpath wait has to have a value after equal sign, like --for=jsonpath='{.status.readyReplicas}'=3",
      );
    }
    if (path.startsWith("{") !== path.endsWith("}")) {
      throw new CommandError(
        "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or '{.name1.name2}'",
      );
    }
    const read = pathOfWait(path.replace(/^'|'$/g, ""));
    return (object) => {
      const found = object === undefined ? [] : read(object);
      if (found.length === 0) return false;
      if (found.length > 1) throw new CommandError("given jsonpath expression matches more than one value");
      if (value === undefined) return true;
      if (typeof found[0] === "object" && found[0] !== null) {
        throw new CommandError("jsonpath leads to a nested object or list which is not supported");
      }
      return String(found[0]) === value.trim().replace(/^(["'])(.*)\1$/s, "$2");
    };
  }
  throw new CommandError(`unrecognized condition: ${JSON.stringify(text)}`);
}

function pathOfWait(path: string): (object: unknown) => unknown[] {
  try {
    return parseJsonPathExpression(path);
  } catch (error) {
    throw error instanceof JsonPathError ? new CommandError(error.message) : error;
  }
}

function conditionsOf(object: Unstructured | undefined): { type: string; status: string }[] {
  const status = object?.["status"] as { conditions?: { type: string; status: string }[] } | undefined;
  return status?.conditions ?? [];
}

async function until(session: Session, target: Target, condition: Condition, timeoutMs: number, wanted: string) {
  const api = await session.api();
  const { clock } = session.terminal;
  const deadlineMs = clock.now() + timeoutMs;
  const one: Target = { ...target, name: undefined };
  const query = { fieldSelector: `metadata.name=${target.name}` };
  let wasThere = false;
  // What is gone is reported as it was seen last.
  let last: Unstructured = {
    apiVersion: apiVersionOf(target.resource),
    kind: target.resource.kind,
    metadata: { name: target.name! },
  };
  for (;;) {
    const list = await api.get<{ items?: Unstructured[]; metadata: { resourceVersion: string } }>(
      targetPath(one, undefined, query),
    );
    const [item] = list.items ?? [];
    const { kind } = target.resource;
    const present = item && { ...item, apiVersion: apiVersionOf(target.resource), kind };
    if (!present && !wasThere && wanted !== "delete" && wanted !== "create") {
      // As kubectl: what is not there at all is an error, not something to wait for.
      await api.get(targetPath(target)).catch((error: unknown) => {
        if (isNotFound(error)) throw error;
      });
    }
    wasThere ||= present !== undefined;
    last = present ?? last;
    if (condition(present)) return { target, isMet: true, object: last };
    const leftMs = deadlineMs - clock.now();
    if (leftMs <= 0) return { target, isMet: false, object: last };
    const stream = await api.stream(
      targetPath(one, undefined, {
        ...query,
        watch: "true",
        resourceVersion: list.metadata.resourceVersion,
        timeoutSeconds: String(Math.max(1, Math.ceil(leftMs / 1000))),
      }),
    );
    for await (const { type, object } of jsonLines<{ type: string; object: Unstructured }>(stream)) {
      if (type === "ERROR") break;
      last = object;
      if (condition(type === "DELETED" ? undefined : object)) {
        stream.destroy();
        return { target, isMet: true, object };
      }
    }
  }
}
