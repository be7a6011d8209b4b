/** Whether writing a status would change anything: the server leaves out counts of 0 and empty texts. */
import { semanticEqual } from "../apimachinery/semantic-equal.ts";

export function isSameStatus(next: object | undefined, stored: object | undefined): boolean {
  return semanticEqual(withoutZeros(next), withoutZeros(stored));
}

function withoutZeros(status: object | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(status ?? {}).filter(([, value]) => value !== 0 && value !== ""));
}
