/**
 * How values are sealed at rest. A sealed value says how and with which key: `k8s:enc:CIPHER:v1:KEY:` stands before the bytes, as
 * upstream writes it. The key of the store is sealed in, so that a value cannot be moved to another place.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";

export interface Cipher {
  /** What stands before everything it seals; ends with the name of its key. */
  readonly prefix: string;
  seal(value: Uint8Array, storeKey: string): Uint8Array;
  /** Of bytes without the prefix. Throws when they are not what was sealed. */
  open(sealed: Uint8Array, storeKey: string): Uint8Array;
}

export type CipherKind = "aesgcm" | "aescbc" | "secretbox";

/** Sizes of keys in bytes. */
export const keySizes: Readonly<Record<CipherKind, readonly number[]>> = {
  aesgcm: [16, 24, 32],
  aescbc: [16, 24, 32],
  secretbox: [32],
};

export function cipherOf(kind: CipherKind, keyName: string, key: Uint8Array): Cipher {
  const prefix = `k8s:enc:${kind}:v1:${keyName}:`;
  return { prefix, ...makers[kind](key) };
}

const makers: Record<CipherKind, (key: Uint8Array) => Omit<Cipher, "prefix">> = { aesgcm, aescbc, secretbox };

const gcmNonceSize = 12;
const gcmTagSize = 16;

function aesgcm(key: Uint8Array): Omit<Cipher, "prefix"> {
  const algorithm = `aes-${key.length * 8}-gcm` as "aes-256-gcm";
  return {
    seal(value, storeKey) {
      const nonce = randomBytes(gcmNonceSize);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(storeKey));
      return Buffer.concat([nonce, cipher.update(value), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, storeKey) {
      if (sealed.length < gcmNonceSize + gcmTagSize)
        throw new Error("the stored data was shorter than the required size");
      const end = sealed.length - gcmTagSize;
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, gcmNonceSize))
        .setAAD(Buffer.from(storeKey))
        .setAuthTag(sealed.subarray(end));
      return Buffer.concat([decipher.update(sealed.subarray(gcmNonceSize, end)), decipher.final()]);
    },
  };
}

const cbcVectorSize = 16;

/** Keeps secret, but does not notice changes: for what older configurations have written. */
function aescbc(key: Uint8Array): Omit<Cipher, "prefix"> {
  const algorithm = `aes-${key.length * 8}-cbc`;
  return {
    seal(value) {
      const vector = randomBytes(cbcVectorSize);
      const cipher = createCipheriv(algorithm, key, vector);
      return Buffer.concat([vector, cipher.update(value), cipher.final()]);
    },
    open(sealed) {
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, cbcVectorSize));
      return Buffer.concat([decipher.update(sealed.subarray(cbcVectorSize)), decipher.final()]);
    },
  };
}

const boxNonceSize = 24;

function secretbox(key: Uint8Array): Omit<Cipher, "prefix"> {
  return {
    seal(value) {
      const nonce = randomBytes(boxNonceSize);
      return Buffer.concat([nonce, xsalsa20poly1305(key, nonce).encrypt(value)]);
    },
    open(sealed) {
      return xsalsa20poly1305(key, sealed.subarray(0, boxNonceSize)).decrypt(sealed.subarray(boxNonceSize));
    },
  };
}
