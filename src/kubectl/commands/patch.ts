/** `kubectl patch` and `kubectl replace`. */
import { readFileSync } from "node:fs";
import { schemaForKind } from "../../api/schema.ts";
import { deepEqual } from "../../apimachinery/patch/deep-equal.ts";
import { isNotFound } from "../../apimachinery/status-error.ts";
import type { Unstructured } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError, nameless } from "../command-error.ts";
import type { FlagValues } from "../flags.ts";
import { lastAppliedOf, withLastApplied } from "../last-applied.ts";
import { type PatchType, patchLocally } from "../local-patch.ts";
import { manifestFlags, namesManifests } from "../manifests.ts";
import { printerOf } from "../printers/printer.ts";
import { rawFlag, sendRaw } from "../raw-request.ts";
import { kindText, pathOf } from "../resource-catalog.ts";
import { fetchTargets, localFlag, localTargets, type Target, targetsOf } from "../targets.ts";
import { together, whileDoing } from "../while-doing.ts";
import { dryRunOf, reportWritten, validateFlag, writeFlags, writeQuery } from "../writing.ts";
import { deleteObject, propagationOf } from "./delete.ts";

const contentTypes: Readonly<Record<string, string>> = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
};

export const patch: Command = {
  summary: "Update fields of a resource",
  usage: "(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE]",
  examples: [
    `patch deploy web -p '{"spec":{"replicas":2}}'`,
    `patch pod web --type=json -p '[{"op":"remove","path":"/metadata/labels/a"}]'`,
  ],
  flags: [
    ...manifestFlags,
    ...writeFlags("kubectl-patch"),
    { name: "patch", short: "p", kind: "string", help: "the patch, in JSON or YAML" },
    { name: "patch-file", kind: "string", help: "the file with the patch" },
    { name: "type", kind: "string", default: "strategic", help: "strategic, merge or json" },
    { name: "subresource", kind: "string", help: "status, scale or another subresource" },
    localFlag,
  ],
  async run({ session, flags, args }) {
    const contentType = contentTypes[flags.string("type")];
    if (!contentType) {
      throw new CommandError(
        `--type must be one of [json merge strategic], not ${JSON.stringify(flags.string("type"))}`,
      );
    }
    const text = flags.string("patch-file") ? readFileSync(flags.string("patch-file"), "utf8") : flags.string("patch");
    if (!text) throw new CommandError("must specify --patch or --patch-file containing the contents of the patch");
    const { parseYaml } = await import("../../apimachinery/serializer/yaml.ts");
    let body: unknown;
    try {
      body = parseYaml(text).value;
    } catch (error) {
      throw new CommandError(`unable to parse ${JSON.stringify(text)}: ${(error as Error).message}`);
    }
    const isLocal = flags.bool("local");
    if (isLocal && args.length > 0) throw new CommandError("cannot specify --local and server resources");
    const subresource = flags.string("subresource") || undefined;
    const found = isLocal
      ? await localTargets(session, flags, args)
      : await fetchTargets(session, flags, await targetsOf(session, flags, args));
    const patchOne = async ({ target, object }: (typeof found)[number]): Promise<void> => {
      const { resource, namespace, name } = target;
      if (name === "" && !isLocal) throw nameless();
      const hasSchema = schemaForKind(resource.group, resource.version, resource.kind) !== undefined;
      const type = flags.has("type") || hasSchema ? contentType : contentTypes["merge"]!;
      const changed =
        isLocal || dryRunOf(flags) === "client"
          ? await patchedHere(object, body, flags)
          : await (await session.api()).call(
              "PATCH",
              pathOf(resource, namespace, name, subresource) + writeQuery(flags),
              {
                body,
                contentType: type,
              },
            );
      const isSame = deepEqual(changed, object);
      const printer = await printerOf(flags);
      if (printer) session.print(await printer(changed));
      else session.print(`${kindText(resource)}/${name} ${isSame ? "patched (no change)" : "patched"}\n`);
    };
    for (const each of found) await session.attempt(() => patchOne(each));
    return 0;
  },
};

async function patchedHere(object: Unstructured, patch: unknown, flags: FlagValues): Promise<Unstructured> {
  try {
    return await patchLocally(object, patch, flags.string("type") as PatchType);
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

export const replace: Command = {
  summary: "Replace a resource by file name or stdin",
  usage: "-f FILENAME",
  examples: ["replace -f pod.yaml", "replace --force -f pod.yaml"],
  flags: [
    ...manifestFlags,
    ...writeFlags("kubectl-replace"),
    validateFlag,
    { name: "force", kind: "bool", help: "delete and create anew" },
    { name: "grace-period", kind: "int", default: -1, help: "with --force, seconds to end in" },
    { name: "timeout", kind: "duration", default: "0s", help: "with --force, how long to wait" },
    {
      name: "cascade",
      kind: "string",
      default: "background",
      bare: "background",
      help: "with --force: background, orphan or foreground",
    },
    { name: "save-config", kind: "bool", help: "remember the object for a later apply" },
    { name: "subresource", kind: "string", help: "status or scale" },
    { name: "wait", kind: "bool", help: "accepted: --force always waits until the old object is gone" },
    rawFlag,
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (!namesManifests(flags)) throw new CommandError("must specify one of -f and -k");
    if (flags.has("raw")) return sendRaw(invocation, "PUT");
    if (!flags.bool("force")) {
      if (flags.number("grace-period") >= 0) throw new CommandError("--grace-period must have --force specified");
      if (flags.durationMs("timeout") !== 0) throw new CommandError("--timeout must have --force specified");
    } else if (dryRunOf(flags) !== "none") throw new CommandError("--dry-run can not be used when --force is set");
    const failures: unknown[] = [];
    for (const target of await targetsOf(session, flags, args)) {
      try {
        await replaceOne(invocation, target);
      } catch (error) {
        failures.push(whileDoing(`error when replacing ${JSON.stringify(target.source)}`, error));
      }
    }
    if (failures.length > 0) throw together(failures);
    return 0;
  },
};

async function replaceOne({ session, flags }: Invocation, target: Target): Promise<void> {
  const api = await session.api();
  const { resource, namespace, name, local } = target;
  if (!name) throw nameless();
  if (flags.bool("force")) {
    const grace = flags.number("grace-period");
    const before = await api.get(pathOf(resource, namespace, name)).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
    if (before) {
      const options = { ...propagationOf(flags), ...(grace >= 0 ? { gracePeriodSeconds: grace } : {}) };
      await deleteObject(session, target, options, {
        waits: true,
        timeoutMs: flags.durationMs("timeout"),
      });
      session.print(
        `${kindText(resource)} "${name}" deleted${resource.isNamespaced && namespace ? ` from ${namespace} namespace` : ""}\n`,
      );
    }
    const made = await api.call("POST", pathOf(resource, namespace) + writeQuery(flags), { body: local });
    await reportWritten(session, flags, resource, made, "replaced");
    return;
  }
  const path = pathOf(resource, namespace, name, flags.string("subresource") || undefined);
  // Some kinds can be made by replacing what is not there.
  const present = await api.get(path).catch((error: unknown) => {
    if (!isNotFound(error)) throw error;
  });
  const body = flags.bool("save-config") || (present && lastAppliedOf(present)) ? withLastApplied(local!) : local!;
  if (present) body.metadata.resourceVersion ??= present.metadata.resourceVersion!;
  const changed = dryRunOf(flags) === "client" ? body : await api.call("PUT", path + writeQuery(flags), { body });
  await reportWritten(session, flags, resource, changed, "replaced");
}
