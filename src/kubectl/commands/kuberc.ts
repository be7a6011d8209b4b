/** `kubectl kuberc`: what the user's own file says, and what it is to say. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Unstructured } from "../api.ts";
import type { Command, CommandGroup, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { cut, type FlagValues } from "../flags.ts";
import { type CommandOption, isOff, kubercPath, type Preference, readStored } from "../kuberc.ts";
import { encodeKyaml } from "../printers/kyaml.ts";
import { goJsonInOrder } from "../printers/printable.ts";
import { outputFlags, printerOf } from "../printers/printer.ts";

const emptyPreference = (): Preference => ({
  kind: "Preference",
  apiVersion: "kubectl.config.k8s.io/v1beta1",
  defaults: null,
  aliases: null,
});

/** What kubectl recommends to everybody. */
const recommended: Preference = {
  ...emptyPreference(),
  defaults: [
    { command: "apply", options: [{ name: "server-side", default: "true" }] },
    { command: "delete", options: [{ name: "interactive", default: "true" }] },
  ],
};

const view: Command = {
  summary: "Display the current kuberc configuration",
  usage: "[options]",
  examples: ["kuberc view", "kuberc view -o json"],
  flags: [{ ...outputFlags[0]!, default: "yaml" }, ...outputFlags.slice(1)],
  async run(invocation) {
    const { session, flags } = invocation;
    const path = pathOf(invocation);
    const printer = await printerOf(flags);
    if (!existsSync(path)) return offerRecommended(invocation, path);
    const preference = await readStored(path);
    const output = flags.string("output");
    if (output === "json") session.print(`${goJsonInOrder(preference, 4)}\n`);
    else if (output === "kyaml") session.print(encodeKyaml(preference));
    else session.print(await printer!(preference as unknown as Unstructured));
    return 0;
  },
};

const set: Command = {
  summary: "Set values in the kuberc configuration",
  usage: "--section (defaults|aliases|credentialplugin) --command COMMAND [options]",
  examples: [
    "kuberc set --section defaults --command get --option output=wide",
    "kuberc set --section aliases --name getn --command get --prependarg nodes --option output=wide",
    "kuberc set --section credentialplugin --policy Allowlist --allowlist-entry command=cloud-login",
  ],
  flags: [
    { name: "section", kind: "string", help: "defaults, aliases or credentialplugin" },
    { name: "command", kind: "string", help: "whose defaults these are, or what the alias stands for" },
    { name: "name", kind: "string", help: "the alias" },
    { name: "option", kind: "list", help: "flag=value; may be repeated" },
    { name: "prependarg", kind: "list", help: "what an alias puts before your words; may be repeated" },
    { name: "appendarg", kind: "list", help: "what an alias puts after them; may be repeated" },
    { name: "policy", kind: "string", help: "which programs may hand out credentials: AllowAll, DenyAll, Allowlist" },
    { name: "allowlist-entry", kind: "list", help: "command=PROGRAM that may; may be repeated" },
    { name: "overwrite", kind: "bool", help: "replace what is there" },
  ],
  async run(invocation) {
    const { session, flags } = invocation;
    if (!flags.has("section")) throw new CommandError('required flag(s) "section" not set');
    checkFlags(flags);
    const path = pathOf(invocation);
    const present = existsSync(path) ? await readStored(path) : undefined;
    const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
    const changed = sections[flags.string("section")]!(present ?? emptyPreference(), flags);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, encodeYaml(changed));
    session.print(`Updated ${path}\n`);
    return 0;
  },
};

export const kuberc: CommandGroup = {
  summary: "Manage kuberc configuration files",
  subcommands: { set, view },
};

/** Where the file is, or is to be. Throws a CommandError where the user wants none. */
function pathOf({ session, flags }: Invocation): string {
  const { environment } = session.terminal;
  if (isOff(environment)) throw new CommandError("KUBERC is disabled via KUBERC=off environment variable");
  return kubercPath(flags.string("kuberc") ? ["--kuberc", flags.string("kuberc")] : [], environment)!.path;
}

async function offerRecommended({ session }: Invocation, path: string): Promise<number> {
  session.print(
    `kuberc file not found at ${path}\nWould you like to generate a default kuberc file with recommended options? (y/N): `,
  );
  const { readAnswer } = await import("../ask.ts");
  if (!/^y$/i.test(await readAnswer(session))) return 0;
  const { encodeYaml } = await import("../../apimachinery/serializer/yaml.ts");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, encodeYaml(recommended));
  session.print(`Updated ${path}\n`);
  return 0;
}

const policies = ["AllowAll", "DenyAll", "Allowlist"];

function checkFlags(flags: FlagValues): void {
  const section = flags.string("section");
  if (!sections[section]) {
    throw new CommandError(`--section must be "defaults", "aliases", or "credentialplugin", got: ${section}`);
  }
  if (section === "credentialplugin") {
    checkPolicy(flags);
    return;
  }
  if (!flags.string("command")) {
    throw new CommandError("--command is required when --section=aliases or --section=defaults");
  }
  if (section === "aliases") {
    if (!flags.string("name")) throw new CommandError("--name is required when --section=aliases");
    return;
  }
  if (flags.string("name")) throw new CommandError("--name should not be specified when --section=defaults");
  if (flags.list("prependarg").length + flags.list("appendarg").length > 0) {
    throw new CommandError("--prependarg and --appendarg are only valid for --section=aliases");
  }
}

function checkPolicy(flags: FlagValues): void {
  const [policy, entries] = [flags.string("policy"), flags.list("allowlist-entry")];
  if (!policy) throw new CommandError("--policy is required when --section=credentialplugin");
  if (!policies.includes(policy)) {
    throw new CommandError(` --policy must be  "AllowAll", "DenyAll", or "Allowlist", got: ${policy}`);
  }
  const place = "--section=credentialplugin and --policy=Allowlist";
  if (policy !== "Allowlist" && entries.length > 0) {
    throw new CommandError(`--allowlist-entry may only be used when ${place}`);
  }
  if (policy === "Allowlist" && entries.length === 0) {
    throw new CommandError(`--allowlist-entry is required when ${place}`);
  }
}

const sections: Readonly<Record<string, (preference: Preference, flags: FlagValues) => Preference>> = {
  defaults(preference, flags) {
    const command = flags.string("command");
    const entry = { command, options: optionsOf(flags) ?? null };
    const exists = `defaults for command ${JSON.stringify(command)} already exist`;
    return {
      ...preference,
      defaults: withEntry(preference.defaults ?? [], entry, (each) => each.command === command, flags, exists),
    };
  },
  aliases(preference, flags) {
    const [name, command] = [flags.string("name"), flags.string("command")];
    const [prependArgs, appendArgs, options] = [flags.list("prependarg"), flags.list("appendarg"), optionsOf(flags)];
    const entry = {
      name,
      command,
      ...(prependArgs.length > 0 ? { prependArgs } : {}),
      ...(appendArgs.length > 0 ? { appendArgs } : {}),
      ...(options ? { options } : {}),
    };
    const exists = `alias ${JSON.stringify(name)} already exists`;
    return {
      ...preference,
      aliases: withEntry(preference.aliases ?? [], entry, (each) => each.name === name, flags, exists),
    };
  },
  credentialplugin({ credentialPluginAllowlist: _, ...preference }, flags) {
    const allowed = flags.list("allowlist-entry").map((entry) => {
      const [field, command] = cut(entry, "=");
      if (command === undefined)
        throw new CommandError(`improperly formatted allowlist entry: ${JSON.stringify(entry)}`);
      if (field !== "command") throw new CommandError(`unrecognized allowlist entry field: ${JSON.stringify(field)}`);
      return { command };
    });
    return {
      ...preference,
      credentialPluginPolicy: flags.string("policy"),
      ...(allowed.length > 0 ? { credentialPluginAllowlist: allowed } : {}),
    };
  },
};

function optionsOf(flags: FlagValues): CommandOption[] | undefined {
  const options = flags.list("option").map((option) => {
    const [name, value] = cut(option, "=");
    if (value === undefined) {
      throw new CommandError(`invalid option format ${JSON.stringify(option)}, expected flag=value`);
    }
    return { name, default: value };
  });
  return options.length > 0 ? options : undefined;
}

/** In the place of the one that is there, if it may be replaced. */
function withEntry<T>(
  entries: readonly T[],
  entry: T,
  isSame: (each: T) => boolean,
  flags: FlagValues,
  exists: string,
): T[] {
  const at = entries.findIndex(isSame);
  if (at < 0) return [...entries, entry];
  if (!flags.bool("overwrite")) throw new CommandError(`${exists}, use --overwrite to replace`);
  return entries.with(at, entry);
}
