/** Objects from `-f`: files, folders, URLs and standard input, in YAML or JSON, one or many to a document. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { text } from "node:stream/consumers";
import type { Unstructured } from "./api.ts";
import { CommandError } from "./command-error.ts";
import type { Flag, FlagValues } from "./flags.ts";
import type { Session } from "./session.ts";

export interface ManifestObject {
  /** What messages call its origin: the file's path, the URL, `STDIN`. */
  source: string;
  object: Unstructured;
}

export const manifestFlags: readonly Flag[] = [
  { name: "filename", short: "f", kind: "list", help: "a file, folder, URL or - with the objects" },
  { name: "recursive", short: "R", kind: "bool", help: "go through folders below the given one, too" },
  { name: "kustomize", short: "k", kind: "string", help: "a folder with a kustomization" },
];

const manifestExtensions = [".json", ".yaml", ".yml"];

/** Whether the command line names objects by `-f`. */
export function namesManifests(flags: FlagValues): boolean {
  return flags.has("filename") || flags.has("kustomize");
}

export async function readManifests(session: Session, flags: FlagValues): Promise<ManifestObject[]> {
  if (flags.has("kustomize")) {
    if (flags.has("filename")) throw new CommandError("only one of -f or -k can be specified");
    const { buildKustomization } = await import("./kustomize/build.ts");
    const folder = flags.string("kustomize");
    const built = buildKustomization(folder, (line) => session.printError(line));
    return built.map((object) => ({ source: folder, object }));
  }
  const objects: ManifestObject[] = [];
  for (const name of flags.commaList("filename")) {
    for (const { source, content } of await contentsOf(
      session,
      name,
      flags.knows("recursive") && flags.bool("recursive"),
    )) {
      objects.push(...(await parseManifests(content, source)));
    }
  }
  return objects;
}

/** One entry an object; the members of Lists are entries of their own. Throws a CommandError for what is no object. */
export async function parseManifests(content: string, source: string): Promise<ManifestObject[]> {
  const objects: ManifestObject[] = [];
  for (const value of await documentsOf(content, source)) {
    if (value === null || value === undefined) continue;
    objects.push(...flatten(value as Unstructured, source));
  }
  return objects;
}

function flatten(value: Unstructured, source: string): ManifestObject[] {
  const lacking = [...(value?.apiVersion ? [] : ["apiVersion not set"]), ...(value?.kind ? [] : ["kind not set"])];
  if (lacking.length > 0) {
    const problem = lacking.length > 1 ? `[${lacking.join(", ")}]` : lacking[0];
    throw new CommandError(
      `error validating ${JSON.stringify(source)}: error validating data: ${problem}; if you choose to ignore these errors, turn validation off with --validate=false`,
    );
  }
  if (value.kind === "List" && Array.isArray(value["items"])) {
    return (value["items"] as Unstructured[]).flatMap((item) => flatten(item, source));
  }
  value.metadata ??= { name: "" };
  return [{ source, object: value }];
}

async function documentsOf(content: string, source: string): Promise<unknown[]> {
  if (/^\s*[{[]/.test(content)) {
    try {
      return [JSON.parse(content)];
    } catch {
      // Perhaps several, or YAML in flow style.
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

async function contentsOf(
  session: Session,
  name: string,
  isRecursive: boolean,
): Promise<{ source: string; content: string }[]> {
  if (name === "-") return [{ source: "STDIN", content: await text(session.terminal.stdin) }];
  if (/^https?:\/\//.test(name)) {
    const { download } = await import("./download.ts");
    return [{ source: name, content: await download(name, session.terminal) }];
  }
  return filesOf(name, isRecursive).map((file) => ({ source: file, content: readFileSync(file, "utf8") }));
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
