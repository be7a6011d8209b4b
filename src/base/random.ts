/** Randomness as an argument: seeded in simulations, the system's elsewhere. */

export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, bound). */
  int(bound: number): number;
  /** A version 4 UUID. */
  uuid(): string;
}

// No vowels and no look-alikes, as upstream's generated names.
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789";

/** A suffix for generated names, of the alphabet that upstream uses. */
export function nameSuffix(random: Random, length = 5): string {
  let suffix = "";
  for (let i = 0; i < length; i++) suffix += nameAlphabet[random.int(nameAlphabet.length)];
  return suffix;
}

/** A deterministic stream from a 32-bit seed (mulberry32). Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const float = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (bound: number) => Math.floor(float() * bound);
  const hex = (length: number) => Array.from({ length }, () => int(16).toString(16)).join("");
  return {
    float,
    int,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${(8 + int(4)).toString(16)}${hex(3)}-${hex(12)}`,
  };
}
