/** Blocks of addresses as nft takes them into one set: those that lie inside another go. Pure. */
import { cidrContains, formatCidr, networkOf, parseCidr } from "../base/ip.ts";

/** The given blocks without those covered by another, each with its host bits cleared. What is no block goes, too. */
export function disjointBlocks(blocks: readonly string[]): string[] {
  const parsed = blocks.flatMap((block) => parseCidr(block.trim()) ?? []).map(networkOf);
  return parsed
    .filter(
      (block, i) =>
        !parsed.some(
          (other, j) =>
            j !== i &&
            cidrContains(other, block.address) &&
            (other.prefixLength < block.prefixLength || (other.prefixLength === block.prefixLength && j < i)),
        ),
    )
    .map(formatCidr);
}
