/**
 * Pulls images by the OCI distribution protocol: what is asked for by digest, and everything that a manifest names, is verified
 * on its way to the disk. Its upstream counterpart is containerd's docker resolver.
 */
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import type { Dispatcher } from "undici";
import { type Clock, sleep } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import { systemTrust } from "../../client/authorities.ts";
import { Semaphore } from "../runtime/oci/semaphore.ts";
import { type Descriptor, digestOf } from "./content-store.ts";
import {
  choosePlatform,
  type Manifest,
  machinePlatform,
  manifestMediaTypes,
  parseImageConfig,
  parseManifest,
} from "./image-config.ts";
import { ImageError, type PullOptions, type RegistryCredentials } from "./image-service.ts";
import type { FetchedImage, ImageSource, ImageTarget } from "./image-store.ts";
import { PullProgressMeter } from "./pull-progress.ts";
import { formatReference, type ImageReference } from "./reference.ts";
import { Authorizer } from "./registry-auth.ts";
import {
  brokenTransfer,
  isNoTls,
  readAtMost,
  retryAfterMs,
  serverMessage,
  TransferError,
  unreachable,
} from "./registry-errors.ts";

export interface RegistryConfig {
  /** Asked first, in order: `https://mirror.example` or `http://127.0.0.1:5000`. A path is kept. */
  mirrors?: readonly string[];
  /** Certificates are not checked, and plain HTTP is tried when there is no TLS. Registries on loopback need no such word. */
  insecure?: boolean;
  credentials?: RegistryCredentials;
}

export interface RegistryClientOptions {
  clock: Clock;
  logger: Logger;
  /** By domain: `docker.io`, `registry.example:5000`. `*` is for all others. */
  registries?: Readonly<Record<string, RegistryConfig>>;
  /** Before a registry counts as unreachable. Default 10 s. */
  connectTimeoutMs?: number;
  /** How long a registry may say nothing in the middle of an answer, or before it. Default 60 s. */
  silenceTimeoutMs?: number;
}

interface Endpoint {
  /** Without the `/v2/`. */
  url: string;
  insecure: boolean;
  credentials: readonly (RegistryCredentials | undefined)[];
}

type Undici = typeof import("undici");
type Response = Awaited<ReturnType<Undici["fetch"]>>;

export class RegistryClient implements ImageSource {
  readonly #options: RegistryClientOptions;
  readonly #authorizer: Authorizer;
  readonly #dispatchers = new Map<boolean, Dispatcher>();
  /** Layers on their way, by digest, whichever images want them. */
  readonly #layers = new Map<string, Promise<void>>();
  readonly #downloads = new Semaphore(3);
  readonly #unpacks = new Semaphore(Math.max(1, availableParallelism() - 1));
  #undici: Undici | undefined;

  constructor(options: RegistryClientOptions) {
    this.#options = options;
    this.#authorizer = new Authorizer(options.clock, async (url, init) => {
      const { fetch } = this.#load();
      try {
        return await fetch(url, { ...init, dispatcher: this.#dispatcher(false) });
      } catch (error) {
        if (init.signal?.aborted) throw init.signal.reason;
        throw unreachable(init.method, url, error);
      }
    });
  }

  async close(): Promise<void> {
    for (const dispatcher of this.#dispatchers.values()) await dispatcher.destroy();
  }

  async fetch(reference: ImageReference, target: ImageTarget, options: PullOptions): Promise<FetchedImage> {
    const { endpoint, credentials, top, manifest } = await this.#resolve(reference, options);
    const access = { endpoint, credentials, repository: reference.path };
    const configBytes = target.content.has(manifest.config.digest)
      ? target.content.read(manifest.config.digest)
      : await this.#small(access, manifest.config, options.signal);
    const { diffIds } = parseImageConfig(configBytes);
    if (diffIds.length !== manifest.layers.length) {
      throw new ImageError(
        "Corrupt",
        `mismatched image rootfs and manifest layers: ${diffIds.length} and ${manifest.layers.length}`,
      );
    }
    const progress = new PullProgressMeter(manifest.layers, options.onProgress);
    // One layer's failure stops the others.
    const failure = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal;
    const fetched = await Promise.allSettled(
      manifest.layers.map(async (layer, i) => {
        try {
          await this.#layer(access, layer, diffIds[i]!, target, signal, (bytes) => progress.set(layer.digest, bytes));
        } catch (error) {
          failure.abort(error);
          throw error;
        }
      }),
    );
    if (fetched.some((result) => result.status === "rejected")) {
      // The first failure, not what it did to the other layers.
      throw failure.signal.reason;
    }
    // Last, so that an interrupted pull leaves no config without its layers.
    target.content.write(configBytes, manifest.config.digest);
    const sizeBytes = manifest.config.size + manifest.layers.reduce((sum, layer) => sum + Math.max(0, layer.size), 0);
    // The machine's own credentials are for all of its pods.
    const pulledWith = credentials && options.credentials?.includes(credentials) ? credentials : "none";
    return { id: manifest.config.digest, manifestDigest: top, sizeBytes, pulledWith };
  }

  /** Finds the manifest for this machine, at the first endpoint that has it. */
  async #resolve(reference: ImageReference, options: PullOptions) {
    const name = formatReference(reference);
    let last: ImageError | undefined;
    for (const endpoint of this.#endpoints(reference.domain, options.credentials ?? [])) {
      for (const credentials of endpoint.credentials) {
        try {
          return {
            endpoint,
            credentials,
            ...(await this.#manifest({ endpoint, credentials, repository: reference.path }, reference, options.signal)),
          };
        } catch (error) {
          if (options.signal?.aborted) throw options.signal.reason;
          if (!(error instanceof ImageError)) throw error;
          this.#options.logger.debug("a registry endpoint did not give a manifest", {
            image: name,
            endpoint: endpoint.url,
            error: error.message,
          });
          last = error;
          // Other credentials may help against a refusal, and against nothing else.
          if (error.reason !== "Unauthorized") break;
        }
      }
      if (last && (last.reason === "Corrupt" || last.reason === "NoMatchingPlatform")) throw last;
    }
    const why = last!.reason === "NotFound" ? `${name}: not found` : last!.message;
    throw new ImageError(last!.reason, `failed to resolve reference "${name}": ${why}`, { cause: last });
  }

  async #manifest(
    access: Access,
    reference: ImageReference,
    signal: AbortSignal | undefined,
  ): Promise<{ top: string; manifest: Manifest }> {
    const bytes = await this.#manifestBytes(access, reference.digest ?? reference.tag ?? "latest", signal);
    const top = digestOf(bytes);
    if (reference.digest && top !== reference.digest) {
      throw new ImageError("Corrupt", `manifest has digest ${top}, but ${reference.digest} was asked for`);
    }
    let parsed = parseManifest(bytes);
    // An index may hold an index.
    for (let depth = 0; parsed.kind === "index"; depth++) {
      if (depth > 3) throw new ImageError("Corrupt", "indexes within indexes within indexes");
      const chosen: Descriptor = choosePlatform(parsed.manifests, machinePlatform());
      const inner = await this.#manifestBytes(access, chosen.digest, signal);
      if (digestOf(inner) !== chosen.digest) {
        throw new ImageError("Corrupt", `manifest has digest ${digestOf(inner)}, but the index says ${chosen.digest}`);
      }
      parsed = parseManifest(inner);
    }
    return { top, manifest: parsed.manifest };
  }

  async #manifestBytes(access: Access, which: string, signal: AbortSignal | undefined): Promise<Buffer> {
    return this.#retrying(signal, async () => {
      const response = await this.#request(
        access,
        `manifests/${which}`,
        { accept: manifestMediaTypes.join(", ") },
        signal,
      );
      return readAtMost(response, largestManifest);
    });
  }

  async #small(access: Access, descriptor: Descriptor, signal: AbortSignal | undefined): Promise<Buffer> {
    const bytes = await this.#retrying(signal, async () => {
      const response = await this.#request(access, `blobs/${descriptor.digest}`, {}, signal);
      return readAtMost(response, largestManifest);
    });
    const digest = digestOf(bytes);
    if (digest !== descriptor.digest) {
      throw new ImageError(
        "Corrupt",
        `unexpected commit digest ${digest}, expected ${descriptor.digest}: failed precondition`,
      );
    }
    return bytes;
  }

  #layer(
    access: Access,
    layer: Descriptor,
    diffId: string,
    target: ImageTarget,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    if (target.layers.has(diffId)) {
      target.layers.addBlob(diffId, layer.digest);
      onBytes(layer.size);
      return Promise.resolve();
    }
    const running = this.#layers.get(diffId);
    // When the pull that fetches it fails or is given up, this one fetches it itself.
    if (running) return running.catch(() => this.#layer(access, layer, diffId, target, signal, onBytes));
    const fetching = this.#fetchLayer(access, layer, diffId, target, signal, onBytes).finally(() =>
      this.#layers.delete(diffId),
    );
    this.#layers.set(diffId, fetching);
    return fetching;
  }

  async #fetchLayer(
    access: Access,
    layer: Descriptor,
    diffId: string,
    target: ImageTarget,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    await this.#downloads.run(() => this.#download(access, layer, target, signal, onBytes));
    signal.throwIfAborted();
    await this.#unpacks.run(() => target.layers.unpack(diffId, target.content.path(layer.digest), layer.digest));
    // Unpacked, it is not needed again.
    target.content.remove(layer.digest);
  }

  /** Goes on where a broken transfer stopped. */
  async #download(
    access: Access,
    layer: Descriptor,
    target: ImageTarget,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<void> {
    signal.throwIfAborted();
    if (target.content.has(layer.digest)) return;
    const ingest = await target.content.ingest();
    try {
      await this.#retrying(signal, async () => {
        const headers: Record<string, string> = ingest.size > 0 ? { range: `bytes=${ingest.size}-` } : {};
        const response = await this.#request(access, `blobs/${layer.digest}`, headers, signal);
        if (ingest.size > 0 && response.status !== 206) await ingest.restart();
        for await (const chunk of response.body ?? []) {
          await ingest.write(chunk as Uint8Array);
          if (layer.size >= 0 && ingest.size > layer.size) {
            throw new ImageError(
              "Corrupt",
              `layer ${layer.digest} is larger than the ${layer.size} bytes that its manifest promises`,
            );
          }
          onBytes(ingest.size);
        }
        if (layer.size >= 0 && ingest.size < layer.size)
          throw new TransferError(`layer ${layer.digest} ended after ${ingest.size} of ${layer.size} bytes`);
      });
      await ingest.commit({ digest: layer.digest, size: layer.size >= 0 ? layer.size : undefined });
    } catch (error) {
      await ingest.abort();
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
        throw new ImageError("NoSpace", `no space left on device while downloading layer ${layer.digest}`, {
          cause: error,
        });
      }
      throw error;
    }
  }

  /** Transfers that break and servers that are busy are asked again, some times and ever later. */
  async #retrying<T>(signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        return await attempt();
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        const isTransfer = error instanceof TransferError;
        if (!isTransfer && (error instanceof ImageError || (error as NodeJS.ErrnoException).syscall !== undefined))
          throw error;
        if (failures >= attempts)
          throw new ImageError("RegistryUnavailable", brokenTransfer(error as Error), { cause: error });
        this.#options.logger.debug("a registry transfer broke off", { failures, error: String(error) });
        const delayMs = isTransfer && error.retryAfterMs !== undefined ? error.retryAfterMs : 250 * 2 ** failures;
        await sleep(this.#options.clock, Math.min(delayMs, 30_000), signal);
      }
    }
  }

  async #request(
    access: Access,
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const { endpoint, credentials, repository } = access;
    const known = this.#authorizer.known(endpoint.url, repository, credentials);
    let response = await this.#send(
      endpoint,
      repository,
      path,
      known ? { ...headers, authorization: known } : headers,
      signal,
    );
    if (response.status === 401) {
      const challenge = response.headers.get("www-authenticate") ?? "";
      await response.body?.cancel();
      this.#authorizer.forget(endpoint.url, repository, credentials);
      const authorization = await this.#authorizer.answer(challenge, endpoint.url, repository, credentials, signal);
      response = await this.#send(endpoint, repository, path, { ...headers, authorization }, signal);
    }
    if (response.ok) return response;
    const { url, status, statusText } = response;
    const server = await serverMessage(response);
    if (status === 401 || status === 403) {
      throw new ImageError(
        "Unauthorized",
        `pull access denied, repository does not exist or may require authorization: server message: ${server ?? "insufficient_scope: authorization failed"}`,
      );
    }
    if (status === 404) throw new ImageError("NotFound", `${url}: not found`);
    const message = `unexpected status from GET request to ${url}: ${status} ${statusText}${server ? `: ${server}` : ""}`;
    if (status === 429 || status >= 500) throw new TransferError(message, retryAfterMs(response));
    throw new ImageError("Internal", message);
  }

  async #send(
    endpoint: Endpoint,
    repository: string,
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const { fetch } = this.#load();
    const url = `${endpoint.url}/v2/${repository}/${path}`;
    const init = {
      headers: { "user-agent": "pinnace", ...headers },
      signal,
      dispatcher: this.#dispatcher(endpoint.insecure),
    };
    try {
      return await fetch(url, init);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (endpoint.insecure && url.startsWith("https:") && isNoTls(error)) {
        endpoint.url = endpoint.url.replace(/^https:/, "http:");
        return this.#send(endpoint, repository, path, headers, signal);
      }
      throw unreachable("Get", url, error);
    }
  }

  #endpoints(domain: string, given: readonly RegistryCredentials[]): Endpoint[] {
    const config = this.#options.registries?.[domain] ?? this.#options.registries?.["*"] ?? {};
    const own = config.credentials ? [config.credentials] : [];
    const origin = domain === "docker.io" ? "registry-1.docker.io" : domain;
    const scheme = isLoopback(origin) ? "http" : "https";
    // Anonymous last: a wrong password must not hide a public image.
    const endpoints: Endpoint[] = [
      {
        url: `${scheme}://${origin}`,
        insecure: config.insecure ?? isLoopback(origin),
        credentials: [...given, ...own, undefined],
      },
    ];
    for (const mirror of [...(config.mirrors ?? [])].reverse()) {
      const url = (/^https?:\/\//.test(mirror) ? mirror : `https://${mirror}`).replace(/\/+(v2\/*)?$/, "");
      const host = new URL(url).host;
      const forMirror = this.#options.registries?.[host];
      // The user's credentials are for the registry that they named, and are not shown to others.
      const credentials = forMirror?.credentials ? [forMirror.credentials, undefined] : [undefined];
      endpoints.unshift({ url, insecure: forMirror?.insecure ?? config.insecure ?? isLoopback(host), credentials });
    }
    return endpoints;
  }

  /** Loaded when something is pulled: most servers never do. By require, which works however this file was compiled. */
  #load(): Undici {
    this.#undici ??= createRequire(import.meta.url)("undici") as Undici;
    return this.#undici;
  }

  /** Honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
  #dispatcher(insecure: boolean): Dispatcher {
    const { EnvHttpProxyAgent } = this.#load();
    const silenceMs = this.#options.silenceTimeoutMs ?? 60_000;
    let dispatcher = this.#dispatchers.get(insecure);
    if (!dispatcher) {
      const trust = insecure ? { rejectUnauthorized: false } : { secureContext: systemTrust() };
      dispatcher = new EnvHttpProxyAgent({
        connect: { timeout: this.#options.connectTimeoutMs ?? 10_000, ...trust },
        requestTls: trust,
        proxyTls: { secureContext: systemTrust() },
        headersTimeout: silenceMs,
        bodyTimeout: silenceMs,
      });
      this.#dispatchers.set(insecure, dispatcher);
    }
    return dispatcher;
  }
}

interface Access {
  endpoint: Endpoint;
  credentials: RegistryCredentials | undefined;
  repository: string;
}

const attempts = 5;
const largestManifest = 8 << 20;

function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(name);
}
