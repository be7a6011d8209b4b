/** The system's randomness: the one place that touches Math.random and crypto's UUIDs. */
import { randomUUID } from "node:crypto";
import type { Random } from "../random.ts";

export const systemRandom: Random = {
  float: () => Math.random(),
  int: (bound) => Math.floor(Math.random() * bound),
  uuid: () => randomUUID(),
};
