/** Bare HTTPS requests to an API server, as a kubeconfig's user or as nobody. */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { parse } from "yaml";

export interface Outgoing {
  method: string;
  path: string;
  /** Null leaves a header out that would be sent otherwise. */
  headers?: Record<string, string | null>;
  body?: string | Uint8Array;
  query?: string;
  anonymous?: boolean;
}

export interface Answer {
  status: number;
  contentType: string | null;
  warnings: string[];
  text: string;
}

interface Kubeconfig {
  clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
  users: { user: { "client-certificate-data": string; "client-key-data": string } }[];
}

const requestMs = 20_000;

export class ApiConnection implements Disposable {
  readonly #server: URL;
  readonly #known: Agent;
  readonly #anonymous: Agent;

  /** The first cluster and the first user of a kubeconfig's text, whose certificates it must hold. */
  constructor(kubeconfig: string) {
    const { clusters, users } = parse(kubeconfig) as Kubeconfig;
    const bytes = (text: string) => Buffer.from(text, "base64");
    const { server, "certificate-authority-data": ca } = clusters[0]!.cluster;
    const { user } = users[0]!;
    this.#server = new URL(server);
    const cert = bytes(user["client-certificate-data"]);
    const key = bytes(user["client-key-data"]);
    this.#known = new Agent({ keepAlive: true, ca: bytes(ca), cert, key });
    this.#anonymous = new Agent({ keepAlive: true, ca: bytes(ca) });
  }

  static fromFile(path: string): ApiConnection {
    return new ApiConnection(readFileSync(path, "utf8"));
  }

  /** Rejects when there is no answer, or none within 20 s. */
  send(outgoing: Outgoing): Promise<Answer> {
    return this.#request(outgoing, undefined);
  }

  /** Reads a stream of lines until so many came or so long passed, and leaves it. */
  stream(outgoing: Outgoing, until: { events?: number; ms?: number }): Promise<Answer> {
    return this.#request(outgoing, until);
  }

  [Symbol.dispose](): void {
    this.#known.destroy();
    this.#anonymous.destroy();
  }

  #request(outgoing: Outgoing, until: { events?: number; ms?: number } | undefined): Promise<Answer> {
    const { method, path, body, query, anonymous } = outgoing;
    const headers: Record<string, string> = { "user-agent": "replay/1", accept: "application/json" };
    for (const [name, value] of Object.entries(outgoing.headers ?? {})) {
      if (value === null) delete headers[name];
      else headers[name] = value;
    }
    const bytes = body === undefined ? undefined : Buffer.from(body as string);
    if (bytes) headers["content-length"] = String(bytes.length);
    return new Promise((resolve, reject) => {
      const { hostname: host, port } = this.#server;
      const target = query ? `${path}?${query}` : path;
      const agent = anonymous ? this.#anonymous : this.#known;
      const sent = request({ host, port, method, path: target, headers, agent }, (response) => {
        const chunks: Buffer[] = [];
        const finish = () => {
          clearTimeout(timer);
          const { rawHeaders } = response;
          resolve({
            status: response.statusCode ?? 0,
            contentType: response.headers["content-type"] ?? null,
            warnings: rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === "warning"),
            text: Buffer.concat(chunks).toString(),
          });
        };
        const leave = () => {
          finish();
          sent.destroy();
        };
        const timer = until ? setTimeout(leave, until.ms ?? 8000) : undefined;
        let lines = 0;
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          if (!until?.events) return;
          for (const byte of chunk) if (byte === 10) lines++;
          if (lines >= until.events) leave();
        });
        response.on("end", finish);
        response.on("error", finish);
      });
      sent.setTimeout(requestMs, () => sent.destroy(new Error("no answer came")));
      sent.on("error", reject);
      sent.end(bytes);
    });
  }
}
