import type { Client } from "../client/client.ts";
export async function adminClient(..._: unknown[]): Promise<{ api: Client; close(): Promise<void> }> {
  throw new Error("not yet");
}
