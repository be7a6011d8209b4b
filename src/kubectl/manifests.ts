/** Objects from `-f`: files, folders, URLs and standard input, in YAML or JSON, one or many to a document. */
import { readdirSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { text } from "node:stream/consumers";
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import { compactGoJson } from "./printers/printable.ts";
import type { Session } from "./session.ts";

export interface ManifestObject {
  /** What messages call its origin: the file's path, the URL, `STDIN`. */
  source: string;
  object: Unstructured;
}

export const manifestFlags: readonly Flag[] = [
  { name: "filename", short: "f", kind: "list", help: "a file, folder, URL or - with the objects" },
  { name: "recursive", short: "R", kind: "bool", help: "go through folders below the given one, too" },
  { name: "kustomize", short: "k", kind: "string", help: "a folder, URL or repository with a kustomization" },
];

const manifestExtensions = [".json", ".yaml", ".yml"];

/** Whether the command line names objects by `-f`. */
export function namesManifests(flags: FlagValues): boolean {
  return flags.has("filename") || flags.has("kustomize");
}

/** What cannot be read is kept in `session.failures`, beside those objects that can. */
export async function readManifests(session: Session, flags: FlagValues): Promise<ManifestObject[]> {
  if (flags.has("kustomize")) {
    if (flags.has("filename")) throw new CommandError("only one of -f or -k can be specified");
    const { kustomizationObjects } = await import("./kustomize/session.ts");
    const folder = flags.string("kustomize");
    const built = await kustomizationObjects(session, folder);
    return built.map((object) => ({ source: folder, object }));
  }
  const isRecursive = flags.knows("recursive") && flags.bool("recursive");
  const sources: ManifestSource[] = [];
  for (const name of flags.commaList("filename")) sources.push(...(await sourcesOf(session, name, isRecursive)));
  const check = flags.knows("validate") && isChecking(flags.string("validate")) ? complain : undefined;
  const objects: ManifestObject[] = [];
  for (const { source, read } of sources) {
    await session.attempt(async () => {
      for (const value of await documentsOf(await read(), source)) {
        await session.attempt(() => {
          for (const each of flatten(value, source, check)) objects.push(each);
        });
      }
    });
  }
  return objects;
}

/** A document that holds nothing stands for nothing. */
function flatten(value: unknown, source: string, check?: typeof complain): ManifestObject[] {
  if (value === null || value === undefined) return [];
  check?.(value, source);
  const doing = `unable to decode ${JSON.stringify(source)}`;
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new CommandError(
      `${doing}: json: cannot unmarshal ${jsonKindOf(value)} into Go value of type unstructured.detector`,
    );
  }
  const object = value as Unstructured;
  if (!object.kind) throw new CommandError(`${doing}: Object 'Kind' is missing in '${compactGoJson(object)}'`);
  if (object.kind.endsWith("List") && Array.isArray(object["items"])) {
    return (object["items"] as unknown[]).flatMap((item) => flatten(item, source));
  }
  object.metadata ??= { name: "" };
  return [{ source, object }];
}

const isChecking = (validate: string): boolean => !/^(?:false|ignore)$/i.test(validate);

/** What is wrong without knowing any kind. */
function complain(value: unknown, source: string): void {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const { apiVersion, kind } = (isObject ? value : {}) as Partial<Unstructured>;
  const lacking = [...(apiVersion ? [] : ["apiVersion not set"]), ...(kind ? [] : ["kind not set"])];
  const problem = lacking.length > 1 ? `[${lacking.join(", ")}]` : lacking[0];
  if (isObject && !problem) return;
  throw new CommandError(
    `error validating ${JSON.stringify(source)}: error validating data: ${isObject ? problem : "invalid object to validate"}; if you choose to ignore these errors, turn validation off with --validate=false`,
  );
}

function jsonKindOf(value: unknown): string {
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "array" : typeof value;
}

async function documentsOf(content: string, source: string): Promise<unknown[]> {
  if (/^\s*[{[]/.test(content)) {
    try {
      return [JSON.parse(content)];
    } catch (error) {
      // Perhaps several, or YAML in flow style; what only breaks off is neither.
      if (/Unexpected end of JSON input|Unterminated string/.test((error as Error).message)) {
        throw new CommandError(`error parsing ${source}: unexpected EOF`);
      }
    }
  }
  const { parseYamlStream } = await import("../apimachinery/serializer/yaml.ts");
  try {
    return parseYamlStream(content).map(({ value }) => value);
  } catch (error) {
    throw new CommandError(
      `error parsing ${source}: error converting YAML to JSON: ${(error as Error).message.replace(/^error converting YAML to JSON: /, "")}`,
    );
  }
}

interface ManifestSource {
  source: string;
  read(): Promise<string>;
}

/** Throws a CommandError for a file that is not there; what it holds is read later. */
async function sourcesOf(session: Session, name: string, isRecursive: boolean): Promise<ManifestSource[]> {
  if (name === "-") return [{ source: "STDIN", read: () => text(session.terminal.stdin) }];
  if (/^https?:\/\//.test(name)) {
    const { download } = await import("./download.ts");
    return [{ source: name, read: () => download(name, session.terminal) }];
  }
  return filesOf(name, isRecursive).map((source) => ({ source, read: () => readFile(source, "utf8") }));
}

function filesOf(path: string, isRecursive: boolean): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new CommandError(`the path ${JSON.stringify(path)} does not exist`);
  if (!stat.isDirectory()) return [path];
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = entries.flatMap((entry) => {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) return isRecursive ? filesOf(inner, true) : [];
    return manifestExtensions.includes(extname(entry.name)) ? [inner] : [];
  });
  if (files.length === 0) {
    throw new CommandError(`error reading [${path}]: recognized file extensions are [${manifestExtensions.join(" ")}]`);
  }
  return files;
}
