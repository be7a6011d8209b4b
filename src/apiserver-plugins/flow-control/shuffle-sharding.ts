/** Deals each flow a hand of queues, so that two flows seldom share all of theirs. */

/** `handSize` different numbers below `deckSize`, the same for the same flow. */
export function dealHand(flow: string, deckSize: number, handSize: number): number[] {
  let entropy = hash53(flow);
  const hand: number[] = [];
  for (let dealt = 0; dealt < Math.min(handSize, deckSize); dealt++) {
    const left = deckSize - dealt;
    let card = entropy % left;
    entropy = Math.floor(entropy / left);
    // The card counts among those that are left: those already dealt are stepped over, lowest first.
    for (const taken of hand.toSorted((a, b) => a - b)) if (taken <= card) card++;
    hand.push(card);
  }
  return hand;
}

/** 53 bits of two multiplicative hashes; 128 queues and hands of 6 use 42 of them. */
function hash53(text: string): number {
  let [low, high] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    low = Math.imul(low ^ code, 0x9e3779b1);
    high = Math.imul(high ^ code, 0x5f356495);
  }
  low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
  high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
  return 4294967296 * (high & 0x1fffff) + (low >>> 0);
}
