/** Lists of resource amounts: how they are stored, and which names they may hold. */
import { Quantity } from "../../apimachinery/quantity.ts";

export type ResourceList = Record<string, string>;

/** Rewrites amounts in canonical form, rounded up to thousandths, as resource lists are stored. Text that is no quantity is left for the decoder to refuse. */
export function canonicalizeResourceList(list: ResourceList | undefined | null): void {
  if (!list) return;
  for (const name of Object.keys(list)) {
    const text = list[name]!;
    if (isPlainInteger(text)) continue;
    list[name] = Quantity.parse(text).roundedUpToMilli().toString();
  }
}

/** Small integers without trailing zeros in threes are canonical already: most amounts of pods. */
function isPlainInteger(text: string): boolean {
  return /^[1-9][0-9]{0,2}$/.test(text);
}
