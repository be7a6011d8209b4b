/** kubeconfig files as `kubectl config` reads, merges and rewrites them (client-go's clientcmd): what a file says stays with that file. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { deepEqual } from "../apimachinery/patch/deep-equal.ts";
import type { Session } from "./session.ts";

export interface NamedEntry {
  name: string;
  [field: string]: unknown;
}

/** The lists of a kubeconfig, and what an entry of each is called. */
export const entryNames = { clusters: "cluster", contexts: "context", users: "user" } as const;
export type EntryList = keyof typeof entryNames;
export const entryLists = Object.keys(entryNames) as EntryList[];

export interface KubeconfigFile {
  preferences: object;
  clusters: NamedEntry[];
  contexts: NamedEntry[];
  users: NamedEntry[];
  "current-context": string;
}

/** The fields of one entry. */
export type Fields = Record<string, unknown>;

const emptyFile = (): KubeconfigFile => ({
  preferences: {},
  clusters: [],
  contexts: [],
  users: [],
  "current-context": "",
});

export class KubeconfigFiles {
  readonly paths: readonly string[];
  readonly #files: readonly KubeconfigFile[];
  readonly #write: (path: string, file: KubeconfigFile) => void;

  private constructor(
    paths: readonly string[],
    files: readonly KubeconfigFile[],
    write: (path: string, file: KubeconfigFile) => void,
  ) {
    this.paths = paths;
    this.#files = files;
    this.#write = write;
  }

  /** Those that the command line, the environment or the home folder name; one that does not exist counts as empty. */
  static async read(session: Session): Promise<KubeconfigFiles> {
    const { encodeYaml, parseYaml } = await import("../apimachinery/serializer/yaml.ts");
    const paths = session.kubeconfigFiles() ?? [join(homedir(), ".kube", "config")];
    const files = paths.map((path): KubeconfigFile => {
      const read = existsSync(path) ? (parseYaml(readFileSync(path, "utf8")).value as Partial<KubeconfigFile>) : {};
      const given = Object.entries(read ?? {}).filter(([, value]) => value !== null && value !== undefined);
      return { ...emptyFile(), ...Object.fromEntries(given) };
    });
    return new KubeconfigFiles(paths, files, (path, file) => writeAnew(path, encodeYaml(complete(file))));
  }

  /** The file that new entries go into: the first one that exists, or the last one named. */
  get target(): string {
    return this.paths.find((path) => existsSync(path)) ?? this.paths.at(-1)!;
  }

  /** All of them as one: the first to name a thing decides it. Entries by their names. */
  merged(): KubeconfigFile {
    const merged = emptyFile();
    for (const list of entryLists) {
      const found = new Map<string, NamedEntry>();
      for (const file of this.#files) {
        for (const entry of file[list]) if (!found.has(entry.name)) found.set(entry.name, entry);
      }
      merged[list] = inOrder([...found.values()]);
    }
    merged["current-context"] = this.#files.map((file) => file["current-context"]).find(Boolean) ?? "";
    merged.preferences = Object.assign({}, ...this.#files.map(({ preferences }) => preferences).reverse()) as object;
    return merged;
  }

  /** The fields of an entry; undefined without one. */
  entry(list: EntryList, name: string): Fields | undefined {
    const found = this.merged()[list].find((entry) => entry.name === name);
    return found && ((found[entryNames[list]] ?? {}) as Fields);
  }

  /** Where an entry stands. */
  fileOf(list: EntryList, name: string): string {
    const at = this.#files.findIndex((file) => file[list].some((entry) => entry.name === name));
    return at < 0 ? this.target : this.paths[at]!;
  }

  /** Puts an entry in the place of the one of its name, or among the others. Undefined takes it away. */
  setEntry(list: EntryList, name: string, fields: Fields | undefined): void {
    const present = this.entry(list, name);
    if (present && fields && deepEqual(present, fields)) return;
    this.#change(this.fileOf(list, name), (file) => {
      const others = file[list].filter((entry) => entry.name !== name);
      file[list] = fields ? [...others, { name, [entryNames[list]]: fields }] : others;
    });
  }

  /** Takes every entry of a list away, wherever it stands. */
  clear(list: EntryList): void {
    for (const [i, file] of this.#files.entries()) {
      if (file[list].length > 0) {
        this.#change(this.paths[i]!, (changed) => {
          changed[list] = [];
        });
      }
    }
  }

  setPreferences(preferences: object): void {
    this.#change(this.target, (file) => {
      file.preferences = preferences;
    });
  }

  /** The empty string unsets it, in the file that says it. */
  setCurrentContext(name: string): void {
    if (name === this.merged()["current-context"]) return;
    const saying = this.#files.findIndex((file) => file["current-context"] !== "");
    this.#change(name === "" && saying >= 0 ? this.paths[saying]! : this.target, (file) => {
      file["current-context"] = name;
    });
  }

  #change(path: string, edit: (file: KubeconfigFile) => void): void {
    const file = this.#files[this.paths.indexOf(path)]!;
    edit(file);
    this.#write(path, file);
  }
}

/** As the file has it: lists in the order of names, and `null` for an empty one. */
export function complete({ preferences, ...file }: KubeconfigFile) {
  const list = (entries: NamedEntry[]) => (entries.length > 0 ? inOrder(entries) : null);
  return {
    apiVersion: "v1",
    kind: "Config",
    ...(Object.keys(preferences).length > 0 ? { preferences } : {}),
    ...file,
    clusters: list(file.clusters),
    contexts: list(file.contexts),
    users: list(file.users),
  };
}

function inOrder(entries: readonly NamedEntry[]): NamedEntry[] {
  return [...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Others' eyes must not read it, and nobody half of it. */
function writeAnew(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.new`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}
