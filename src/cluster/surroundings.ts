/** What every part of a cluster is handed: time, chance, a log, and the end. */
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";

export interface Surroundings {
  clock: Clock;
  random: Random;
  log: Logger;
  signal: AbortSignal;
}
