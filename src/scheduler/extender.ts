/** A program beside the scheduler that has a say in where Pods go (upstream's HTTPExtender): asked over HTTP, verb by verb. */

import { readFile } from "node:fs/promises";
import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { Node, Pod } from "../api/core/v1.ts";
import type { DeepReadonly } from "../api/object.ts";
import { parseDuration } from "../apimachinery/cel/time.ts";
import { stringifyExactly } from "../apimachinery/serializer/big-integers.ts";
import type { Clock } from "../base/clock.ts";
import { systemAuthorities } from "../client/authorities.ts";
import { type Refusal, refusal } from "./framework.ts";
import type { NodeInfo } from "./node-info.ts";
import type { Candidate } from "./plugins/default-preemption.ts";
import type { PodInfo } from "./pod-info.ts";

/** One entry of `extenders` of a KubeSchedulerConfiguration. */
export interface ExtenderConfig {
  /** `http://127.0.0.1:8888/scheduler`; a verb is joined on by a slash. */
  urlPrefix: string;
  /** A verb that is not given is not asked. */
  filterVerb?: string;
  prioritizeVerb?: string;
  preemptVerb?: string;
  /** Binds Pods itself. At most one extender does. */
  bindVerb?: string;
  /** What its scores count for; needed with `prioritizeVerb`. */
  weight?: number;
  /** Default: by the URL. */
  enableHTTPS?: boolean;
  tlsConfig?: ExtenderTls;
  /** A Go duration. Default: 5s. */
  httpTimeout?: string;
  /** It knows the Nodes itself and is told their names alone. */
  nodeCacheCapable?: boolean;
  /** Only Pods that ask for one of these are its business. Default: all. */
  managedResources?: readonly { name: string; ignoredByScheduler?: boolean }[];
  /** When it cannot be asked, Pods are scheduled without it. */
  ignorable?: boolean;
}

export interface ExtenderTls {
  insecure?: boolean;
  serverName?: string;
  certFile?: string;
  keyFile?: string;
  caFile?: string;
  /** PEM in base64; these go before files. */
  certData?: string;
  keyData?: string;
  caData?: string;
}

const defaultTimeoutMs = 5000;
const maximumAnswerBytes = 64 * 1024 * 1024;
/** Extenders score from 0 to 10, plugins from 0 to 100. */
const scoreScale = 10;

export class Extender {
  readonly config: ExtenderConfig;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #managed: ReadonlySet<string>;
  #agent: Promise<HttpAgent | HttpsAgent> | undefined;

  constructor(config: ExtenderConfig, clock: Clock) {
    this.config = config;
    this.#clock = clock;
    const timeout = config.httpTimeout === undefined ? undefined : parseDuration(config.httpTimeout);
    this.#timeoutMs = timeout ? Number(timeout) / 1e6 : defaultTimeoutMs;
    this.#managed = new Set((config.managedResources ?? []).map(({ name }) => name));
  }

  /** Whether the Pod asks for something that the extender manages. */
  isInterestedIn({ pod }: PodInfo): boolean {
    if (this.#managed.size === 0) return true;
    return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].some(({ resources }) =>
      [resources?.requests, resources?.limits].some((amounts) =>
        Object.keys(amounts ?? {}).some((name) => this.#managed.has(name)),
      ),
    );
  }

  /** The Nodes that it lets pass, in the order given, and what it says of the others. */
  async filter(
    pod: PodInfo,
    nodes: readonly NodeInfo[],
  ): Promise<{ passed: NodeInfo[]; refused: Map<NodeInfo, Refusal> }> {
    const refused = new Map<NodeInfo, Refusal>();
    const verb = this.config.filterVerb;
    if (!verb) return { passed: [...nodes], refused };
    const answer = fieldsOf(await this.#ask(verb, this.#podAndNodes(pod, nodes)));
    if (answer.get("error")) throw new Error(String(answer.get("error")));
    const byName = new Map(nodes.map((node) => [node.name, node]));
    const passed = new Set(this.#namesIn(answer));
    for (const name of passed) {
      if (byName.has(name)) continue;
      const { urlPrefix } = this.config;
      throw new Error(
        `extender ${JSON.stringify(urlPrefix)} claims a filtered node ${JSON.stringify(name)} which is not found in the input node list`,
      );
    }
    for (const [field, isUnresolvable] of [
      ["failednodes", false],
      ["failedandunresolvablenodes", true],
    ] as const) {
      for (const [name, why] of Object.entries((answer.get(field) ?? {}) as Record<string, string>)) {
        const node = byName.get(name);
        if (node) refused.set(node, refusal(why, isUnresolvable));
      }
    }
    return { passed: nodes.filter(({ name }) => passed.has(name)), refused };
  }

  /** What each Node gets on top of its scores, by name. */
  async prioritize(pod: PodInfo, nodes: readonly NodeInfo[]): Promise<Map<string, number>> {
    const { prioritizeVerb, weight = 1 } = this.config;
    if (!prioritizeVerb) return new Map();
    const answer = await this.#ask(prioritizeVerb, this.#podAndNodes(pod, nodes));
    if (!Array.isArray(answer)) throw new Error("the answer is not a list of hosts with scores");
    return new Map(
      answer.map((entry) => {
        const fields = fieldsOf(entry);
        return [String(fields.get("host")), Number(fields.get("score") ?? 0) * weight * scoreScale];
      }),
    );
  }

  /** Which of the Nodes that could be freed for the Pod it agrees to, and of whom. */
  async preempt(pod: PodInfo, candidates: readonly Candidate[]): Promise<Candidate[]> {
    const byName = (victimsOf: (victims: readonly PodInfo[]) => object[]) =>
      Object.fromEntries(
        candidates.map(({ node, victims, violations }) => [
          node.name,
          { Pods: victimsOf(victims), NumPDBViolations: violations },
        ]),
      );
    const told = this.config.nodeCacheCapable
      ? { NodeNameToMetaVictims: byName((victims) => victims.map(({ uid }) => ({ UID: uid }))) }
      : { NodeNameToVictims: byName((victims) => victims.map((victim) => withType(victim.pod, "Pod"))) };
    const answer = fieldsOf(await this.#ask(this.config.preemptVerb!, { Pod: withType(pod.pod, "Pod"), ...told }));
    const agreed: Candidate[] = [];
    for (const [name, meta] of Object.entries((answer.get("nodenametometavictims") ?? {}) as object)) {
      const node = candidates.find((candidate) => candidate.node.name === name)?.node;
      if (!node) throw new Error(`the extender returned a node ${JSON.stringify(name)} that is none of the candidates`);
      const fields = fieldsOf(meta);
      const victims = ((fields.get("pods") ?? []) as object[]).map((entry) => {
        const uid = String(fieldsOf(entry).get("uid"));
        const found = node.pods.get(uid);
        if (!found) throw new Error(`the extender claims a victim ${uid} which is not found on node ${name}`);
        return found;
      });
      if (victims.length === 0) {
        if (this.config.ignorable) continue;
        throw new Error(`expected at least one victim pod on node ${JSON.stringify(name)}`);
      }
      agreed.push({ node, victims, violations: Number(fields.get("numpdbviolations") ?? 0) });
    }
    return agreed;
  }

  async bind({ name, namespace, uid }: PodInfo, node: string): Promise<void> {
    const body = { PodName: name, PodNamespace: namespace, PodUID: uid, Node: node };
    const error = fieldsOf(await this.#ask(this.config.bindVerb!, body)).get("error");
    if (error) throw new Error(String(error));
  }

  close(): void {
    void this.#agent?.then(
      (agent) => agent.destroy(),
      () => {},
    );
  }

  #podAndNodes({ pod }: PodInfo, nodes: readonly NodeInfo[]) {
    const isByName = this.config.nodeCacheCapable === true;
    return {
      Pod: withType(pod, "Pod"),
      Nodes: isByName
        ? null
        : { metadata: {}, kind: "NodeList", apiVersion: "v1", items: nodes.map(({ node }) => withType(node!, "Node")) },
      NodeNames: isByName ? nodes.map(({ name }) => name) : null,
    };
  }

  #namesIn(answer: ReadonlyMap<string, unknown>): string[] {
    const names = answer.get("nodenames");
    if (this.config.nodeCacheCapable && Array.isArray(names)) return names.map(String);
    const list = answer.get("nodes") as
      | { items?: readonly { metadata?: { name?: string } }[] | null }
      | null
      | undefined;
    return (list?.items ?? []).map(({ metadata }) => metadata?.name ?? "");
  }

  async #ask(verb: string, body: object): Promise<unknown> {
    const url = new URL(`${this.config.urlPrefix.replace(/\/+$/, "")}/${verb}`);
    if (this.config.enableHTTPS) url.protocol = "https:";
    this.#agent ??= makeAgent(url, this.config.tlsConfig);
    // A file that cannot be read may be there next time.
    const agent = await this.#agent.catch((error) => {
      this.#agent = undefined;
      throw error;
    });
    const ended = new AbortController();
    const timer = this.#clock.setTimer(this.#timeoutMs, () => ended.abort(), { background: true });
    try {
      const { status, text } = await post(url, agent, stringifyExactly(body), ended.signal);
      if (status !== 200) throw new Error(`failed ${verb} with extender at URL ${url}, code ${status}`);
      return JSON.parse(text);
    } catch (error) {
      if (ended.signal.aborted)
        throw new Error(`Post ${JSON.stringify(String(url))}: context deadline exceeded`, { cause: error });
      const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
      if (code === undefined) throw error;
      const why = code === "ECONNREFUSED" ? `dial tcp ${address}:${port}: connect: connection refused` : String(error);
      throw new Error(`Post ${JSON.stringify(String(url))}: ${why}`, { cause: error });
    } finally {
      timer[Symbol.dispose]();
    }
  }
}

async function makeAgent(url: URL, tls: ExtenderTls = {}): Promise<HttpAgent | HttpsAgent> {
  if (url.protocol !== "https:") return new HttpAgent({ keepAlive: true });
  const pem = async (data: string | undefined, file: string | undefined) =>
    data ? Buffer.from(data, "base64") : file ? await readFile(file) : undefined;
  const [ca, cert, key] = await Promise.all([
    pem(tls.caData, tls.caFile),
    pem(tls.certData, tls.certFile),
    pem(tls.keyData, tls.keyFile),
  ]);
  return new HttpsAgent({
    keepAlive: true,
    rejectUnauthorized: !tls.insecure,
    ...(tls.insecure ? {} : { ca: ca ?? systemAuthorities() }),
    ...(cert && key ? { cert, key } : {}),
    ...(tls.serverName ? { servername: tls.serverName } : {}),
  });
}

function post(url: URL, agent: HttpAgent | HttpsAgent, body: string, signal: AbortSignal) {
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const outgoing = request(url, { method: "POST", agent, signal, headers }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > maximumAnswerBytes) response.destroy(new Error("the answer is too large"));
      });
      response.once("error", reject);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}

/** Objects from the cache do not say what they are. */
function withType<T extends DeepReadonly<Pod | Node>>(object: T, kind: string) {
  return { ...object, apiVersion: "v1", kind };
}

/** Fields by their names in lower case: extenders in Go write them as the struct has them, others as JSON does. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null) return new Map();
  return new Map(Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]));
}
