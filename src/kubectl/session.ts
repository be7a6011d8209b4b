/** What one invocation works with: its input and output, the kubeconfig's choice, and connections made when they are first needed. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { StatusError } from "../apimachinery/status-error.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { type Connection, connectionOf, type Kubeconfig, loadKubeconfig } from "../client/kubeconfig.ts";
import type { Api } from "./api.ts";
import { CommandError } from "./command-error.ts";
import { cut, type FlagValues, parseDurationMs } from "./flags.ts";
import type { Preference } from "./kuberc.ts";
import { RequestTrace, requestsLevel } from "./request-trace.ts";
import type { ApiResource, ResourceCatalog } from "./resource-catalog.ts";
import { wellKnownResource } from "./well-known-resources.ts";

export interface Terminal {
  stdin: Readable & { isTTY?: boolean };
  stdout: Writable & { isTTY?: boolean; columns?: number; rows?: number };
  stderr: Writable;
  environment: NodeJS.ProcessEnv;
  clock: Clock;
  random(): Promise<Random>;
  /** Fires when the user interrupts. */
  signal: AbortSignal;
}

export class Session {
  readonly terminal: Terminal;
  readonly #flags: FlagValues;
  readonly #preference: Preference | undefined;
  #config: Promise<Kubeconfig> | undefined;
  #connection: Promise<Connection> | undefined;
  #api: Promise<Api> | undefined;
  #catalog: Promise<ResourceCatalog> | undefined;
  #warnings = 0;
  /** What failed while the command went on with the rest: reported at its end, and then it has failed. */
  readonly failures: unknown[] = [];

  constructor(terminal: Terminal, flags: FlagValues, preference?: Preference) {
    this.terminal = terminal;
    this.#flags = flags;
    this.#preference = preference;
  }

  print(text: string): void {
    this.terminal.stdout.write(text);
  }

  printError(text: string): void {
    this.terminal.stderr.write(text);
  }

  /** Undefined where the work failed as works may: that is kept for the command's end. */
  async attempt<T>(work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      // A server that cannot be reached, told verbatim, is no failure of one object.
      const isOfOne = error instanceof StatusError || (error instanceof CommandError && !error.isVerbatim);
      if (!isOfOne) throw error;
      this.failures.push(error);
      return undefined;
    }
  }

  /** What went wrong with files so far is told without a word before it. */
  tellBarely(): void {
    for (const [i, failure] of this.failures.entries()) {
      if (failure instanceof CommandError) this.failures[i] = new CommandError(failure.message, { isVerbatim: true });
    }
  }

  /** How many warnings the server sent. */
  get warnings(): number {
    return this.#warnings;
  }

  /** The file that --kubeconfig names; the empty string without one. */
  get kubeconfigFlag(): string {
    return this.#flags.string("kubeconfig");
  }

  /** The context that --context names; the empty string without one. */
  get contextFlag(): string {
    return this.#flags.string("context");
  }

  /** The files that the kubeconfig is read from; undefined for the one in the home folder. */
  kubeconfigFiles(): string[] | undefined {
    const named = this.kubeconfigFlag;
    if (named) return [named];
    const fromEnvironment = this.terminal.environment["KUBECONFIG"]?.split(delimiter).filter(Boolean);
    return fromEnvironment?.length ? fromEnvironment : undefined;
  }

  config(): Promise<Kubeconfig> {
    return (this.#config ??= loadKubeconfig(this.kubeconfigFiles()));
  }

  connection(): Promise<Connection> {
    return (this.#connection ??= this.#connect());
  }

  api(): Promise<Api> {
    return (this.#api ??= Promise.all([this.connection(), import("./api.ts")]).then(
      ([connection, { Api }]) =>
        new Api(connection, this.terminal.clock, {
          requestTimeout: this.#flags.string("request-timeout"),
          signal: this.terminal.signal,
          ...(this.#flags.number("v") >= requestsLevel ? { trace: this.#trace() } : {}),
          onWarning: (message) => {
            this.#warnings++;
            this.printError(`Warning: ${message}\n`);
          },
        }),
    ));
  }

  catalog(): Promise<ResourceCatalog> {
    return (this.#catalog ??= this.#discover(false));
  }

  /** The same, asked for anew whatever is remembered. */
  freshCatalog(): Promise<ResourceCatalog> {
    this.#catalog = this.#discover(true);
    return this.#catalog;
  }

  async #discover(isFresh: boolean): Promise<ResourceCatalog> {
    const [api, { rememberedCatalog }] = await Promise.all([this.api(), import("./discovery-cache.ts")]);
    return rememberedCatalog(api, this.#cacheFolder(), this.terminal.clock, isFresh);
  }

  #cacheFolder(): string {
    const { environment } = this.terminal;
    const named = this.#flags.string("cache-dir") || environment["KUBECACHEDIR"];
    return named || join(environment["HOME"] || homedir(), ".kube", "cache");
  }

  #trace(): RequestTrace {
    const files = this.kubeconfigFiles() ?? [join(homedir(), ".kube", "config")];
    return new RequestTrace(this.#flags.number("v"), this.terminal, files);
  }

  /** The resource a user's word means. Rejects with a CommandError when the server has no such one. */
  async resource(word: string): Promise<ApiResource> {
    return wellKnownResource(word) ?? (await this.catalogWith((catalog) => catalog.lookUp(word))).find(word);
  }

  /** What the server serves: as it is remembered if that holds what is sought, else as it is now. */
  async catalogWith(sought: (catalog: ResourceCatalog) => unknown): Promise<ResourceCatalog> {
    const catalog = await this.catalog();
    return !catalog.isRemembered || sought(catalog) ? catalog : this.freshCatalog();
  }

  /** The namespace that the user works in; `isChosen` when the command line named it. */
  async namespace(): Promise<{ name: string; isChosen: boolean }> {
    const chosen = this.#flags.string("namespace");
    if (chosen) return { name: chosen, isChosen: true };
    return { name: (await this.connection()).namespace ?? "default", isChosen: false };
  }

  close(): void {
    void this.#api?.then(
      (api) => api.close(),
      () => {},
    );
  }

  /** What the user's own file says of programs that hand out credentials. */
  async #credentialPolicy(): Promise<(command: string) => void> {
    const preference = this.#preference;
    if (!preference?.credentialPluginPolicy) return () => {};
    const [{ checkCredentialPlugin }, { findProgram }] = await Promise.all([
      import("./kuberc.ts"),
      import("../base/node/find-program.ts"),
    ]);
    return (command) => checkCredentialPlugin(preference, command, findProgram);
  }

  async #connect(): Promise<Connection> {
    const flags = this.#flags;
    const timeout = flags.string("request-timeout");
    if (parseDurationMs(timeout || "0") === undefined) {
      throw new CommandError(
        "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)",
      );
    }
    const config = await this.config();
    const context = flags.string("context") || config.currentContext;
    const chosen = flags.string("context");
    if (chosen && !config.contexts.has(chosen)) {
      const message = `Error in configuration: context was not found for specified context: ${chosen}`;
      throw new CommandError(message, { isVerbatim: true });
    }
    const isBare = !context && (flags.string("server") || !config.currentContext);
    const base: Connection = isBare
      ? { server: flags.string("server") || "http://localhost:8080" }
      : connectionOf(
          withOverrides(config, context, flags.string("cluster"), flags.string("user")),
          context,
          () => this.terminal.clock.now(),
          await this.#credentialPolicy(),
        );
    const file = (name: string) => (flags.string(name) ? readFileSync(flags.string(name), "utf8") : undefined);
    const [ca, certificate, key] = [file("certificate-authority"), file("client-certificate"), file("client-key")];
    const [token, username, password] = ["token", "username", "password"].map((name) => flags.string(name)) as [
      string,
      string,
      string,
    ];
    const extra = extraOf(flags.list("as-user-extra"));
    const isMore = flags.string("as-uid") || flags.list("as-group").length > 0 || Object.keys(extra).length > 0;
    if (!flags.string("as") && isMore) {
      const user = flags.string("user") || config.contexts.get(context ?? "")?.user || "";
      throw new CommandError(`requesting uid, groups or user-extra for ${user} without impersonating a user`);
    }
    return {
      ...base,
      ...(flags.string("server") ? { server: flags.string("server") } : {}),
      ...(ca ? { ca } : {}),
      ...(certificate && key ? { certificate, key } : {}),
      ...(flags.bool("insecure-skip-tls-verify") ? { insecureSkipTlsVerify: true } : {}),
      ...(flags.string("tls-server-name") ? { tlsServerName: flags.string("tls-server-name") } : {}),
      ...(token ? { token: () => token } : {}),
      ...(username || password ? { basic: { username, password } } : {}),
      ...(flags.string("as")
        ? {
            impersonate: {
              user: flags.string("as"),
              ...(flags.string("as-uid") ? { uid: flags.string("as-uid") } : {}),
              ...(flags.list("as-group").length > 0 ? { groups: flags.list("as-group") } : {}),
              ...(Object.keys(extra).length > 0 ? { extra } : {}),
            },
          }
        : {}),
    };
  }
}

/** `key=value`, of which one key may have several. */
function extraOf(pairs: readonly string[]): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const pair of pairs) {
    const [key, value] = cut(pair, "=");
    if (value !== undefined) extra[key] = [...(extra[key] ?? []), value];
  }
  return extra;
}

/** The same kubeconfig with the context's cluster and user replaced by what the command line named. */
function withOverrides(config: Kubeconfig, name: string | undefined, cluster: string, user: string): Kubeconfig {
  const context = name === undefined ? undefined : config.contexts.get(name);
  if (!context || (!cluster && !user)) return config;
  const contexts = new Map(config.contexts);
  contexts.set(name!, { ...context, ...(cluster ? { cluster } : {}), ...(user ? { user } : {}) });
  return { ...config, contexts };
}
