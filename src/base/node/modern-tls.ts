/** What every door of this program speaks: TLS 1.2 and 1.3. */

/** Forward secrecy and authenticated encryption throughout: what upstream's servers offer by default. */
const suites = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** For a server's or a context's options. */
export const modernTls = { minVersion: "TLSv1.2", ciphers: suites } as const;
