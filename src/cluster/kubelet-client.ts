/** The API server's way to a kubelet that does not run in its process: HTTPS to the node's port 10250, and streams handed through as they are. */
import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import type { Node, Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { badRequestError, StatusError } from "../apimachinery/status-error.ts";
import { kubeletPort } from "../kubelet/node-object.ts";
import type { KeyPair } from "./certificates.ts";

export interface KubeletAddress {
  host: string;
  port: number;
}

/** Undefined while the Node names no address. */
export function kubeletAddress(node: DeepReadonly<Node>): KubeletAddress | undefined {
  const host = node.status?.addresses?.find(({ type }) => type === "InternalIP")?.address;
  return host ? { host, port: node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? kubeletPort } : undefined;
}

/** The container that is meant when none is named: the only one, or the one that the pod says. */
export function defaultContainer(pod: DeepReadonly<Pod>): string {
  const wanted = pod.metadata.annotations?.["kubectl.kubernetes.io/default-container"];
  const names = pod.spec.containers.map(({ name }) => name);
  const name = wanted && names.includes(wanted) ? wanted : names.length === 1 ? names[0] : undefined;
  if (name) return name;
  throw badRequestError(
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${names.join(" ")}]`,
  );
}

export class KubeletClient {
  readonly #identity: () => KeyPair;

  /** `identity`: the API server's client certificate of now. */
  constructor(identity: () => KeyPair) {
    this.#identity = identity;
  }

  /** Rejects with the kubelet's own words where it refuses. */
  async get(
    at: KubeletAddress,
    pathAndQuery: string,
    signal: AbortSignal,
    how: { method?: string; headers?: Record<string, string> } = {},
  ): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const asking = httpsRequest({ ...this.#tls(at), ...at, ...how, path: pathAndQuery, signal });
      asking.once("response", resolve);
      asking.once("error", (error) => reject(dialFailed(error)));
      asking.end();
    });
    return response;
  }

  /** Sends the client's upgrade on to the kubelet, under another path, and joins the two connections. Resolves when both are over. */
  async upgrade(
    at: KubeletAddress,
    pathAndQuery: string,
    incoming: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const upstream = await new Promise<ReturnType<typeof tlsConnect>>((resolve, reject) => {
      const connection = tlsConnect({ ...this.#tls(at), ...at }, () => resolve(connection));
      connection.once("error", (error) => reject(dialFailed(error)));
    });
    const lines = [`${incoming.method ?? "GET"} ${pathAndQuery} HTTP/1.1`, `Host: ${at.host}:${at.port}`];
    for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) {
      const name = incoming.rawHeaders[i]!;
      // Who asks was settled here; the kubelet hears from the API server.
      if (!/^(host|authorization|impersonate-.*|content-length)$/i.test(name))
        lines.push(`${name}: ${incoming.rawHeaders[i + 1]}`);
    }
    upstream.write(`${lines.join("\r\n")}\r\n\r\n`);
    if (head.length > 0) upstream.write(head);
    await new Promise<void>((resolve) => {
      const end = () => {
        upstream.destroy();
        socket.destroy();
        resolve();
      };
      for (const side of [upstream, socket]) {
        side.on("error", end);
        side.once("close", end);
      }
      upstream.pipe(socket);
      socket.pipe(upstream);
    });
  }

  #tls({ host }: KubeletAddress) {
    const { certificatePem: cert, privateKeyPem: key } = this.#identity();
    // Kubelets serve with certificates of their own making, as with kubeadm.
    return { cert, key, rejectUnauthorized: false, servername: /^[\d.:]+$/.test(host) ? "" : host };
  }
}

function dialFailed(error: Error): StatusError {
  return new StatusError(500, "InternalError", `error dialing backend: ${error.message}`);
}
