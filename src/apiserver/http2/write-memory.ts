/** Memory in which connections put together what they write next; used again once that is written. */

const smallBytes = 16 * 1024;
/** What one write holds at most, but for heads of responses and control frames, which are never held back. */
export const mostWrittenBytes = 256 * 1024;
const kept = { small: 64, large: 4 };

const small: Buffer[] = [];
const large: Buffer[] = [];

/** Room for `bytes` and perhaps more. */
export function takeMemory(bytes: number): Buffer {
  if (bytes <= smallBytes) return small.pop() ?? Buffer.allocUnsafeSlow(smallBytes);
  if (bytes <= mostWrittenBytes) return large.pop() ?? Buffer.allocUnsafeSlow(mostWrittenBytes);
  return Buffer.allocUnsafeSlow(bytes);
}

/** Nothing reads or writes it any more. */
export function giveMemory(memory: Buffer): void {
  if (memory.length === smallBytes && small.length < kept.small) small.push(memory);
  else if (memory.length === mostWrittenBytes && large.length < kept.large) large.push(memory);
}
