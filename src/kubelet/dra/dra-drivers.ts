/** Drivers for dynamic resources on the node. The ResourceSlices of one that stays away are removed: nobody could use its devices. */
import { ResourceSlices } from "../../api/resources.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Client } from "../../client/client.ts";
import { GrpcChannel } from "../grpc/channel.ts";
import type { PluginHandler, PluginInfo } from "../plugin-registration.ts";
import type { DeviceHealth } from "./device-health.ts";
import { type DraService, healthServices, services } from "./dra-api.ts";

export interface DraDriver {
  name: string;
  endpoint: string;
  channel: GrpcChannel;
  service: DraService;
  /** It has gone, or the node ends. */
  gone: AbortController;
}

export interface DraDriversOptions {
  nodeName: string;
  client: Client;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  /** How long a driver may be away, as it is while it is upgraded. Default: 30 s, upstream's. */
  patienceMs?: number;
  health: DeviceHealth;
  /** A driver has come: who waited for it may try again. */
  onRegistered(): void;
}

const defaultPatienceMs = 30_000;
const tries = 5;

export class DraDrivers implements PluginHandler {
  readonly type = "DRAPlugin";
  readonly #options: DraDriversOptions;
  /** By name, the newest last: a driver's successor registers before it goes. */
  readonly #drivers = new Map<string, DraDriver[]>();

  constructor(options: DraDriversOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#close(), { once: true });
  }

  /** Throws in upstream's words when there is no such driver. */
  driver(name: string): DraDriver {
    const driver = this.#drivers.get(name)?.at(-1);
    if (!driver) throw new Error(`DRA driver ${name} is not registered`);
    return driver;
  }

  async register({ name, endpoint, versions }: PluginInfo): Promise<void> {
    const service = services.find((each) => versions.includes(each));
    if (!service) {
      const problem =
        versions.length === 0
          ? "empty list of supported gRPC services (aka supported versions)"
          : `none of services supported by the plugin (${listed(versions)}) are supported by the kubelet (${listed(services)})`;
      throw new Error(
        `invalid supported gRPC versions of DRA driver plugin ${name} at endpoint ${endpoint}: ${problem}`,
      );
    }
    const others = this.#without(name, endpoint);
    const channel = new GrpcChannel(endpoint, this.#options.clock);
    const driver = { name, endpoint, channel, service, gone: new AbortController() };
    this.#drivers.set(name, [...others, driver]);
    const healthService = healthServices.find((each) => versions.includes(each));
    if (healthService) void this.#options.health.watch(name, channel, healthService, driver.gone.signal);
    this.#options.onRegistered();
  }

  async deregister({ name, endpoint }: PluginInfo): Promise<void> {
    const others = this.#without(name, endpoint);
    if (others.length > 0) this.#drivers.set(name, others);
    else {
      this.#drivers.delete(name);
      void this.#removeSlices(name);
    }
  }

  /** Slices that a driver left which was on the node before this kubelet. */
  async removeOldSlices(): Promise<void> {
    await this.#removeSlices(undefined);
  }

  async #removeSlices(driver: string | undefined): Promise<void> {
    const { client, clock, log, nodeName, signal, patienceMs = defaultPatienceMs } = this.#options;
    try {
      await sleep(clock, patienceMs, signal);
    } catch {
      return;
    }
    const fieldSelector = `spec.nodeName=${nodeName}${driver === undefined ? "" : `,spec.driver=${driver}`}`;
    for (let failures = 0; failures < tries && !signal.aborted; failures++) {
      try {
        const { items } = await client.list(ResourceSlices, { fieldSelector, signal });
        for (const { metadata, spec } of items) {
          if (this.#drivers.has(spec.driver)) continue;
          log.info("removing the slice of a driver that is not there", { slice: metadata.name, driver: spec.driver });
          await client.deleteCollection(
            ResourceSlices,
            { fieldSelector: `spec.nodeName=${nodeName},spec.driver=${spec.driver}` },
            { signal },
          );
        }
        return;
      } catch (error) {
        log.warn("removing a driver's slices failed", { driver, error: (error as Error).message });
        await sleep(clock, 1000 * 2 ** failures, signal).catch(() => {});
      }
    }
  }

  #without(name: string, endpoint: string): DraDriver[] {
    const known = this.#drivers.get(name) ?? [];
    for (const driver of known) if (driver.endpoint === endpoint) end(driver);
    return known.filter((driver) => driver.endpoint !== endpoint);
  }

  #close(): void {
    for (const drivers of this.#drivers.values()) for (const driver of drivers) end(driver);
  }
}

function end({ gone, channel }: DraDriver): void {
  gone.abort();
  channel.close();
}

const listed = (names: readonly string[]) => `[${names.map((name) => JSON.stringify(name)).join(" ")}]`;
