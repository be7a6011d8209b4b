/** Another implementation of certificates and requests for them, which ours is held against. */
import { webcrypto } from "node:crypto";

export async function x509() {
  await import("reflect-metadata");
  const library = await import("@peculiar/x509");
  library.cryptoProvider.set(webcrypto);
  return library;
}
