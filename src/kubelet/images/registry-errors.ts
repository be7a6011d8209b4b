/** What registries and the network say when something goes wrong, in the words in which the kubelet reports it. */
import { ImageError } from "./image-service.ts";

/** As far as a fetch's answer matters here. */
export interface RegistryResponse {
  url: string;
  headers: { get(name: string): string | null };
  body: AsyncIterable<Uint8Array> | null;
}

/** Worth another attempt. */
export class TransferError extends Error {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

export async function readAtMost(response: RegistryResponse, maximum: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maximum) throw new ImageError("Corrupt", `${response.url} is larger than ${maximum} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The registry's own words, when it has some. */
export async function serverMessage(response: RegistryResponse): Promise<string | undefined> {
  try {
    const { errors } = JSON.parse((await readAtMost(response, 64 << 10)).toString("utf8")) as {
      errors?: { code?: string; message?: string }[];
    };
    const first = errors?.[0];
    return first && `${(first.code ?? "").toLowerCase()}: ${first.message ?? ""}`;
  } catch {
    return undefined;
  }
}

export function retryAfterMs(response: RegistryResponse): number | undefined {
  const seconds = Number(response.headers.get("retry-after"));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** In the words in which Go's network library, and so the kubelet, reports it. */
export function unreachable(method: string, url: string, error: unknown): ImageError {
  const cause = rootCause(error);
  const { host, hostname } = new URL(url);
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  const words: Record<string, string> = {
    ENOTFOUND: `dial tcp: lookup ${hostname}: no such host`,
    EAI_AGAIN: `dial tcp: lookup ${hostname}: Temporary failure in name resolution`,
    ECONNREFUSED: `dial tcp ${host}: connect: connection refused`,
    EHOSTUNREACH: `dial tcp ${host}: connect: no route to host`,
    ENETUNREACH: `dial tcp ${host}: connect: network is unreachable`,
    ETIMEDOUT: `dial tcp ${host}: i/o timeout`,
    UND_ERR_CONNECT_TIMEOUT: `dial tcp ${host}: i/o timeout`,
    UND_ERR_HEADERS_TIMEOUT: "net/http: timeout awaiting response headers",
    ECONNRESET: `read tcp ${host}: connection reset by peer`,
  };
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO/.test(code);
  const what = isCertificate
    ? `tls: failed to verify certificate: x509: ${cause.message}`
    : (words[code] ?? cause.message);
  return new ImageError("RegistryUnavailable", `failed to do request: ${method} "${url}": ${what}`, {
    cause: error as Error,
  });
}

/** What is told of a transfer that broke off again and again. */
export function brokenTransfer(error: Error): string {
  const { code } = rootCause(error) as NodeJS.ErrnoException;
  return code === "UND_ERR_BODY_TIMEOUT"
    ? "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
    : error.message;
}

function rootCause(error: unknown): Error {
  let current = error as Error & { errors?: Error[] };
  for (let depth = 0; depth < 5; depth++) {
    const next = (current.cause ?? current.errors?.[0]) as typeof current | undefined;
    if (!next) break;
    current = next;
  }
  return current;
}

export function isNoTls(error: unknown): boolean {
  const { code, message } = rootCause(error) as NodeJS.ErrnoException;
  return (
    code === "ERR_SSL_WRONG_VERSION_NUMBER" ||
    code === "ERR_SSL_PACKET_LENGTH_TOO_LONG" ||
    /wrong version number|packet length/.test(message)
  );
}
