/** The library for certificates, loaded on demand: a cluster that already has its certificates never pays for it. */
import { webcrypto } from "node:crypto";

export async function x509() {
  await import("reflect-metadata");
  const library = await import("@peculiar/x509");
  library.cryptoProvider.set(webcrypto);
  return library;
}
