/** A user's own defaults and aliases (KEP-3104): `~/.kube/kuberc`, or the file that `KUBERC` or `--kuberc` names. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, normalize } from "node:path";
import { CommandError } from "./command-error.ts";
import { otherWords } from "./other-words.ts";
import type { Terminal } from "./session.ts";

const group = "kubectl.config.k8s.io";

export interface CommandOption {
  /** A flag's long name. */
  name: string;
  default: string;
}

export interface CommandDefaults {
  command: string;
  options?: CommandOption[] | null;
}

export interface CommandAlias extends CommandDefaults {
  name: string;
  prependArgs?: string[];
  appendArgs?: string[];
}

export interface Preference {
  kind: string;
  apiVersion: string;
  defaults: CommandDefaults[] | null;
  aliases: CommandAlias[] | null;
  credentialPluginPolicy?: string;
  credentialPluginAllowlist?: { command: string }[];
}

/** Where the file is expected; `isNamed` when somebody said so. Undefined where there is to be none. Throws a CommandError for a contradiction. */
export function kubercPath(
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): { path: string; isNamed: boolean } | undefined {
  const end = argv.indexOf("--");
  const before = end < 0 ? argv : argv.slice(0, end);
  const at = before.findIndex((arg) => arg === "--kuberc" || arg.startsWith("--kuberc="));
  const named =
    at < 0 ? "" : before[at]!.includes("=") ? before[at]!.slice("--kuberc=".length) : (before[at + 1] ?? "");
  if (isOff(environment)) {
    if (!named) return undefined;
    throw refusal("kuberc error disabling kuberc via KUBERC=off and passing kuberc flag are mutually exclusive");
  }
  const path = named || environment["KUBERC"];
  if (path) return { path, isNamed: true };
  return { path: join(environment["HOME"] || homedir(), ".kube", "kuberc"), isNamed: false };
}

/** Whether the user wants none of it. */
export const isOff = (environment: NodeJS.ProcessEnv): boolean => environment["KUBERC"] === "off";

/** What the file says; undefined without one, or when it says nothing. Throws a CommandError for one that makes no sense. */
export async function readPreference(argv: readonly string[], terminal: Terminal): Promise<Preference | undefined> {
  const place = kubercPath(argv, terminal.environment);
  if (!place || (!place.isNamed && !existsSync(place.path))) return undefined;
  const { path } = place;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    throw refusal(`kuberc error kuberc: open ${path}: no such file or directory`);
  }
  if (text.trim() === "") return undefined;
  const { parseYaml } = await import("../apimachinery/serializer/yaml.ts");
  const candidates = text.split(/^---\s*$/m).flatMap((document) => {
    try {
      const { value } = parseYaml(document);
      return isPreference(value) ? [decoded(value)] : [];
    } catch {
      return [];
    }
  });
  // A document without a mistake comes before one that has some.
  const chosen = candidates.find(({ unknown }) => unknown.length === 0) ?? candidates[0];
  if (!chosen) throw refusal(`kuberc error kuberc: no valid preferences found in ${path}, use --v=5 to see details`);
  if (chosen.unknown.length > 0) {
    const fields = chosen.unknown.map((field) => `unknown field ${JSON.stringify(field)}`).join(", ");
    terminal.stderr.write(`kuberc: ignoring strict decoding error in ${path}: strict decoding error: ${fields}`);
  }
  check(chosen.preference);
  return chosen.preference;
}

/** The same in the newest version's fields, whatever version it is of; not checked. */
export async function readStored(path: string): Promise<Preference> {
  const { parseYaml } = await import("../apimachinery/serializer/yaml.ts");
  const [first = ""] = readFileSync(path, "utf8").split(/^---\s*$/m);
  const { value } = parseYaml(first);
  return decoded((value ?? {}) as Record<string, unknown>, false).preference;
}

/** What nobody who only wanted to do something can go past. */
function refusal(reason: string): CommandError {
  return new CommandError(`error occurred while applying preferences ${reason}`, { isVerbatim: true });
}

function isPreference(value: unknown): value is Record<string, unknown> {
  const { kind, apiVersion } = (value ?? {}) as { kind?: string; apiVersion?: string };
  return kind === "Preference" && (apiVersion === `${group}/v1alpha1` || apiVersion === `${group}/v1beta1`);
}

const aliasFields = ["name", "command", "prependArgs", "appendArgs"];

/** Fields of a version: the first one called some otherwise, and had no policy. */
function decoded(
  value: Record<string, unknown>,
  isAlpha = value["apiVersion"] === `${group}/v1alpha1`,
): { preference: Preference; unknown: string[] } {
  const [defaultsName, optionsName] = isAlpha ? ["overrides", "flags"] : ["defaults", "options"];
  const unknown: string[] = [];
  const known = (object: Record<string, unknown>, names: readonly string[], place: string) => {
    for (const name of Object.keys(object)) if (!names.includes(name)) unknown.push(place + name);
  };
  const entries = (name: string, names: readonly string[]) =>
    ((value[name] as Record<string, unknown>[] | null | undefined) ?? []).map((entry, i) => {
      known(entry, [...names, optionsName], `${name}[${i}].`);
      const kept = names.flatMap((field) => (entry[field] === undefined ? [] : [[field, entry[field]]]));
      const options = entry[optionsName];
      return { ...Object.fromEntries(kept), ...(options ? { options } : {}) } as CommandAlias;
    });
  const aliases = entries("aliases", aliasFields);
  const defaults = entries(defaultsName, ["command"]);
  const policy = ["credentialPluginPolicy", "credentialPluginAllowlist"] as const;
  known(value, ["kind", "apiVersion", "aliases", defaultsName, ...(isAlpha ? [] : policy)], "");
  return {
    preference: {
      kind: "Preference",
      apiVersion: String(value["apiVersion"]),
      defaults,
      aliases,
      ...Object.fromEntries(policy.flatMap((name) => (value[name] && !isAlpha ? [[name, value[name]]] : []))),
    },
    unknown: unknown.sort(),
  };
}

function check({ aliases, credentialPluginPolicy: policy = "", credentialPluginAllowlist: allowed }: Preference): void {
  const seen = new Set<string>();
  for (const { name = "" } of aliases ?? []) {
    if (!/^[a-zA-Z]+$/.test(name)) throw refusal("invalid alias name, can only include alphabetical characters");
    if (seen.has(name)) throw refusal(`duplicate alias name ${name}`);
    seen.add(name);
  }
  if (!["", "AllowAll", "DenyAll", "Allowlist"].includes(policy)) {
    throw refusal(`unknown plugin policy: ${JSON.stringify(policy)}`);
  }
  const misconfigured = "misconfigured credential plugin allowlist:";
  if (policy !== "Allowlist") {
    if (allowed) throw refusal(`${misconfigured} plugin policy is ${JSON.stringify(policy)} but allowlist is non-nil`);
    return;
  }
  if (!allowed) throw refusal('credential plugin policy set to "Allowlist", but allowlist is unspecified');
  if (allowed.length === 0) {
    throw refusal('credential plugin policy set to "Allowlist", but allowlist is empty; use "DenyAll" policy instead');
  }
  for (const [i, { command = "" }] of allowed.entries()) {
    if (command === "") throw refusal(`${misconfigured} empty allowlist entry #${i + 1}`);
    const clean = normalize(command);
    if (clean !== command) {
      throw refusal(`non-normalized file path: ${JSON.stringify(command)} vs ${JSON.stringify(clean)}`);
    }
  }
}

/** A command line as kubectl itself would have it, and what of it the alias says of flags that are not on it. */
export interface Resolved {
  argv: readonly string[];
  /** Undefined: no alias was used, so the command's defaults count. */
  alias?: CommandAlias;
}

/** `exists`: whether kubectl has such a command of its own. */
export async function withAlias(
  { aliases }: Preference,
  argv: readonly string[],
  exists: (words: readonly string[]) => Promise<boolean>,
): Promise<Resolved> {
  const [first = "", ...rest] = argv;
  const alias = (aliases ?? []).find(({ name }) => name === first);
  if (!alias || (await exists([first]))) return { argv };
  const words = (alias.command ?? "").split(/\s+/).filter(Boolean);
  if (words.length > 0 && !(await exists(words))) {
    throw refusal(
      `command ${JSON.stringify(alias.command)} not found to set alias ${JSON.stringify(alias.name)}: [${words.join(" ")}]`,
    );
  }
  return { argv: [...words, ...(alias.prependArgs ?? []), ...rest, ...(alias.appendArgs ?? [])], alias };
}

/** Says which defaults are of no command. */
export async function warnOfUnknown(
  { defaults }: Preference,
  exists: (words: readonly string[]) => Promise<boolean>,
  { stderr }: Terminal,
): Promise<void> {
  for (const { command } of defaults ?? []) {
    if (!(await exists(command.split(/\s+/)))) {
      stderr.write(`Warning: command ${JSON.stringify(command)} not found to set kuberc override\n`);
    }
  }
}

/** `create cm` → `create configmap` */
function properName(name: string): string {
  const [verb = "", word = "", ...rest] = name.split(/\s+/);
  const words: Readonly<Record<string, string>> = otherWords[verb as keyof typeof otherWords] ?? {};
  return [verb, words[word] ?? word, ...rest].filter(Boolean).join(" ");
}

/** A flag's value that the user did not give, and how a mistake in it is told. */
export interface PreferredValue extends CommandOption {
  unknown: string;
  invalid: string;
}

/** What the command takes where the command line says nothing. */
export function preferredValues(
  { defaults }: Preference,
  alias: CommandAlias | undefined,
  name: string,
): PreferredValue[] {
  if (alias) {
    return (alias.options ?? []).map((option) => ({
      ...option,
      unknown: `invalid alias flag ${option.name} in alias kubectl`,
      invalid: `could not apply value ${option.default} to flag ${option.name} in alias kubectl err`,
    }));
  }
  return (defaults ?? [])
    .filter(({ command }) => properName(command) === properName(name))
    .flatMap(({ options }) => options ?? [])
    .map((option) => ({
      ...option,
      unknown: `invalid flag ${option.name} for command ${name.split(" ").at(-1)}`,
      invalid: `could not apply override value ${option.default} to flag ${option.name} in command ${name.split(" ").at(-1)} err`,
    }));
}

/** A mistake in the file that only shows with the command's own flags. */
export const preferenceError = refusal;

/**
 * Throws an Error with client-go's words unless the policy lets this program hand out credentials. `find` says where a program of a
 * bare name lies.
 */
export function checkCredentialPlugin(
  { credentialPluginPolicy: policy, credentialPluginAllowlist: allowed = [] }: Preference,
  command: string,
  find: (name: string) => string | undefined,
): void {
  if (policy === "DenyAll") {
    throw new Error(`getting credentials: plugin ${JSON.stringify(command)} not allowed: policy set to "DenyAll"`);
  }
  if (policy !== "Allowlist") return;
  const located = (name: string) => (name.includes("/") ? name : (find(name) ?? name));
  const path = located(command);
  if (allowed.some((entry) => located(entry.command) === path)) return;
  throw new Error(
    `getting credentials: plugin path ${JSON.stringify(path)} is not permitted by the credential plugin allowlist`,
  );
}
