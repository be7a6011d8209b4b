/** How the devices of drivers are, as these tell in a stream of reports (KEP-4680). What is told of a device holds for a while. */
import type { ResourceHealth } from "../../api/core/v1.ts";
import { type Clock, sleep, type Timer } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { type GrpcChannel, grpcCode, isGrpcError } from "../grpc/channel.ts";
import { type HealthService, watchResources } from "./dra-api.ts";

export interface DeviceHealthOptions {
  clock: Clock;
  log: Logger;
  /** Something else is to be said of this driver's devices now. */
  onChange(driver: string): void;
}

type Health = Pick<ResourceHealth, "health" | "message">;

interface Told {
  health: string;
  message: string;
  untilMs: number;
}

const defaultTimeoutSeconds = 30;
const retryMs = 5000;
const maximumMessage = 1024;
const words: Readonly<Record<number, string>> = { 1: "Healthy", 2: "Unhealthy" };

export class DeviceHealth {
  readonly #options: DeviceHealthOptions;
  /** By driver, then by pool and device. */
  readonly #told = new Map<string, Map<string, Told>>();
  readonly #timers = new Map<string, Timer>();

  constructor(options: DeviceHealthOptions) {
    this.#options = options;
  }

  /** Listens to a driver until the signal, again when the stream has ended. Never rejects. */
  async watch(driver: string, channel: GrpcChannel, service: HealthService, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    while (!signal.aborted) {
      try {
        for await (const { devices } of channel.stream(watchResources(service), {}, { signal }))
          this.#take(driver, devices);
      } catch (error) {
        if (signal.aborted) break;
        if (isGrpcError(error, grpcCode.unimplemented)) return;
        log.debug("listening to the health of devices failed", { driver, error: (error as Error).message });
      }
      this.#forget(driver);
      await sleep(clock, retryMs, signal).catch(() => {});
    }
    this.#forget(driver);
  }

  of(driver: string, pool: string, device: string): Health {
    const told = this.#told.get(driver)?.get(`${pool}/${device}`);
    if (!told || told.untilMs < this.#options.clock.now()) return { health: "Unknown" };
    return { health: told.health, ...(told.message ? { message: told.message } : {}) };
  }

  #take(driver: string, devices: readonly Report[]): void {
    const { clock, onChange } = this.#options;
    const now = clock.now();
    const known = this.#told.get(driver) ?? new Map<string, Told>();
    this.#told.set(driver, known);
    let hasChanged = false;
    for (const { device, health, message, health_check_timeout_seconds: seconds } of devices) {
      const key = `${device?.pool_name ?? ""}/${device?.device_name ?? ""}`;
      const told = {
        health: words[health] ?? "Unknown",
        message: message.length > maximumMessage ? `${message.slice(0, maximumMessage - 3)}...` : message,
        untilMs: now + (seconds > 0 ? seconds : defaultTimeoutSeconds) * 1000,
      };
      const before = known.get(key);
      const isNews = !before || before.untilMs < now || before.health !== told.health;
      hasChanged ||= isNews || before.message !== told.message;
      known.set(key, told);
    }
    this.#wakeAtExpiry(driver);
    if (hasChanged) onChange(driver);
  }

  /** What a driver says no more of is not known any more. */
  #wakeAtExpiry(driver: string): void {
    const { clock, onChange } = this.#options;
    this.#timers.get(driver)?.[Symbol.dispose]();
    this.#timers.delete(driver);
    const known = this.#told.get(driver);
    if (!known || known.size === 0) return;
    const dueMs = Math.min(...[...known.values()].map(({ untilMs }) => untilMs)) + 1 - clock.now();
    const expire = () => {
      for (const [key, { untilMs }] of known) if (untilMs < clock.now()) known.delete(key);
      this.#wakeAtExpiry(driver);
      onChange(driver);
    };
    this.#timers.set(driver, clock.setTimer(Math.max(0, dueMs), expire, { background: true }));
  }

  #forget(driver: string): void {
    this.#timers.get(driver)?.[Symbol.dispose]();
    this.#timers.delete(driver);
    if (this.#told.delete(driver)) this.#options.onChange(driver);
  }
}

interface Report {
  device?: { pool_name: string; device_name: string } | undefined;
  health: number;
  health_check_timeout_seconds: number;
  message: string;
}
