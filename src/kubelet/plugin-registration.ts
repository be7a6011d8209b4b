/**
 * Plugins on the node: each puts a socket into the registration folder, is asked who it is, and from then on is known to those
 * who work with its kind (upstream's plugin watcher).
 */
import { type FSWatcher, mkdirSync, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { GrpcChannel } from "./grpc/channel.ts";
import { registration } from "./grpc/registration-api.ts";

export interface PluginInfo {
  name: string;
  endpoint: string;
  versions: readonly string[];
}

/** Works with the plugins of one kind. */
export interface PluginHandler {
  /** `CSIPlugin`, `DRAPlugin`. */
  readonly type: string;
  /** A rejection's message is told to the plugin, which is then not known. May come again for the same plugin. */
  register(plugin: PluginInfo): Promise<void>;
  /** Its socket is gone. */
  deregister(plugin: PluginInfo): Promise<void>;
}

export interface PluginRegistrationOptions {
  /** Made when it is not there. */
  folder: string;
  handlers: readonly PluginHandler[];
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

const settleMs = 50;
const answerMs = 15_000;

export class PluginRegistration {
  readonly #options: PluginRegistrationOptions;
  /** By the path of the registration socket, with its inode: a plugin that starts anew makes another. */
  readonly #sockets = new Map<string, { inode: number; handler: PluginHandler; plugin: PluginInfo }>();
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #work: Promise<void> = Promise.resolve();

  constructor(options: PluginRegistrationOptions) {
    this.#options = options;
  }

  start(): void {
    const { folder, clock, signal, log } = this.#options;
    mkdirSync(folder, { recursive: true });
    this.#watcher = watch(folder, { persistent: false }, () => {
      this.#timer?.[Symbol.dispose]();
      this.#timer = clock.setTimer(settleMs, () => this.look(), { background: true });
    });
    this.#watcher.on("error", (error) => log.warn("watching for plugins failed", { folder, error: error.message }));
    signal.addEventListener("abort", () => this.#close(), { once: true });
    this.look();
  }

  /** Registers what is new and forgets what is gone. */
  look(): void {
    this.#work = this.#work.then(() => this.#look());
  }

  async #look(): Promise<void> {
    const { folder, log, signal } = this.#options;
    if (signal.aborted) return;
    const names = (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith("."));
    const present = new Set<string>();
    for (const name of names) {
      const path = join(folder, name);
      const found = await stat(path).catch(() => undefined);
      if (!found?.isSocket()) continue;
      present.add(path);
      if (this.#sockets.get(path)?.inode === found.ino) continue;
      try {
        this.#sockets.set(path, { inode: found.ino, ...(await this.#register(path)) });
      } catch (error) {
        log.warn("registering a plugin failed", { path, error: (error as Error).message });
      }
    }
    for (const [path, { handler, plugin }] of this.#sockets) {
      if (present.has(path)) continue;
      this.#sockets.delete(path);
      await handler.deregister(plugin);
    }
  }

  async #register(path: string): Promise<{ handler: PluginHandler; plugin: PluginInfo }> {
    const { clock, log, handlers } = this.#options;
    const channel = new GrpcChannel(path, clock);
    try {
      const {
        type,
        name,
        endpoint,
        supported_versions: versions,
      } = await channel.call(registration.getInfo, {}, { timeoutMs: answerMs });
      const plugin = { name, endpoint: endpoint || path, versions };
      const handler = handlers.find((each) => each.type === type);
      try {
        if (!handler) throw new Error(`no handler registered for plugin type: ${type} at socket ${path}`);
        await handler.register(plugin);
      } catch (error) {
        const status = { plugin_registered: false, error: (error as Error).message };
        await channel.call(registration.notify, status, { timeoutMs: answerMs });
        throw error;
      }
      await channel.call(registration.notify, { plugin_registered: true }, { timeoutMs: answerMs });
      log.info("a plugin registered", { type, name });
      return { handler, plugin };
    } finally {
      channel.close();
    }
  }

  #close(): void {
    this.#watcher?.close();
    this.#timer?.[Symbol.dispose]();
  }
}
