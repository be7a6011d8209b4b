/** Plays one recorded case against a running API server and tells where its answers differ. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, ApiConnection, Outgoing } from "./api-connection.ts";
import type { BehaviourCase, Expectation, Step } from "./behaviour-case.ts";
import { type Difference, differences, dropAt, pointerSteps, valueAt } from "./json-pointer.ts";
import { Normaliser, shapeOf } from "./normalise.ts";

export interface PlayedCase {
  /** What each step got, as it would be recorded; undefined for steps that compare nothing. */
  answers: (Expectation | undefined)[];
  differences: (Difference & { step: number })[];
}

const caseMs = 30_000;
const patienceMs = 15_000;
const pollMs = 10;

type Variables = Record<string, string>;

/** `namespace` is the case's own: made before, and removed after with all that the case made. */
export async function playCase(
  connection: ApiConnection,
  { steps, drop = [] }: BehaviourCase,
  namespace: string,
): Promise<PlayedCase> {
  const variables: Variables = { ns: namespace };
  const normaliser = new Normaliser(namespace);
  const played: PlayedCase = { answers: [], differences: [] };
  const needsNamespace = steps.some(({ path }) => path.includes("/namespaces/{{ns}}"));
  const made: string[] = [];
  const end = Date.now() + caseMs;
  try {
    if (needsNamespace) await makeNamespace(connection, namespace);
    for (const [index, step] of steps.entries()) {
      if (Date.now() > end) throw new Error("the case takes too long");
      if (step.sleep) await sleep(step.sleep);
      const request = outgoingOf(step, variables);
      const answer = await ask(connection, step, request);
      const { expect: _expect, ...sent } = step;
      normaliser.sends(JSON.stringify(sent) + (step.bodyText ?? ""));
      const seen = seenOf(step, answer, normaliser, [...drop, ...(step.drop ?? [])], variables);
      noteCreated(made, step, request, answer);
      if (step.compare === "none") {
        played.answers.push(undefined);
        continue;
      }
      played.answers.push(seen);
      const found = differences(step.expect, JSON.parse(JSON.stringify(seen)));
      for (const difference of found) played.differences.push({ step: index, ...difference });
    }
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    played.differences.push({ step: played.answers.length, pointer: "/", expected: "an answer", got });
  }
  await cleanUp(connection, made.reverse(), namespace);
  if (needsNamespace) await connection.send({ method: "DELETE", path: `/api/v1/namespaces/${namespace}` });
  return played;
}

async function makeNamespace(connection: ApiConnection, name: string): Promise<void> {
  const body = JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const headers = { "content-type": "application/json" };
  const { status } = await connection.send({ method: "POST", path: "/api/v1/namespaces", headers, body });
  if (status !== 201) throw new Error(`the namespace could not be created: ${status}`);
  for (const path of [`serviceaccounts/default`, `configmaps/kube-root-ca.crt`]) {
    const request = { method: "GET", path: `/api/v1/namespaces/${name}/${path}` };
    for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(pollMs)) {
      if ((await connection.send(request)).status === 200) break;
    }
  }
}

function outgoingOf(step: Step, variables: Variables): Outgoing {
  const headers: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(step.headers ?? {})) {
    headers[name.toLowerCase()] = value === null ? null : filled(value, variables);
  }
  let body: string | undefined;
  if (step.body !== undefined) {
    body = filled(JSON.stringify(step.body), variables, true);
    headers["content-type"] ??= headers["content-type"] === null ? null : "application/json";
  } else if (step.bodyText !== undefined) body = filled(step.bodyText, variables, true);
  let path = filled(step.path, variables);
  if (step.query !== undefined) {
    const { query } = step;
    const text =
      typeof query === "string"
        ? filled(query, variables)
        : Object.entries(query)
            .map(
              ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(filled(String(value), variables))}`,
            )
            .join("&");
    path += (path.includes("?") ? "&" : "?") + text;
  }
  return {
    method: step.method,
    path,
    headers,
    anonymous: step.anonymous === true,
    ...(body === undefined ? {} : { body }),
  };
}

function filled(text: string, variables: Variables, insideJson = false): string {
  return text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => {
    const value = variables[name];
    if (value === undefined) return whole;
    return insideJson ? JSON.stringify(value).slice(1, -1) : value;
  });
}

async function ask(connection: ApiConnection, step: Step, request: Outgoing): Promise<Answer> {
  if (step.watch) return connection.stream(request, step.until ?? { ms: 1000 });
  for (const end = Date.now() + patienceMs; ; await sleep(pollMs)) {
    const answer = await connection.send(request);
    if (Date.now() > end || isAwaited(step, answer)) return answer;
  }
}

function isAwaited({ waitStatus, waitFor }: Step, answer: Answer): boolean {
  if (waitStatus !== undefined && answer.status !== waitStatus) return false;
  const object = parsed(answer);
  return Object.entries(waitFor ?? {}).every(([pointer, wanted]) => {
    const found = valueAt(object, pointer);
    return wanted === null ? found === undefined : JSON.stringify(found) === JSON.stringify(wanted);
  });
}

function parsed({ text, contentType }: Answer): unknown {
  const looksLikeJson = contentType?.includes("json") || (text.startsWith("{") && text.trimEnd().endsWith("}"));
  if (!looksLikeJson) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The answer as it is compared and recorded. Keeps what the step captures. */
function seenOf(
  step: Step,
  answer: Answer,
  normaliser: Normaliser,
  drop: readonly string[],
  variables: Variables,
): Expectation {
  const object = step.watch && answer.status === 200 ? eventsOf(step, answer) : parsed(answer);
  for (const [name, pointer] of Object.entries(step.capture ?? {})) {
    const value = valueAt(object, pointer);
    variables[name] = value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
  }
  const warning = answer.warnings.map((text) => normaliser.text(text));
  const headers = { "content-type": answer.contentType, ...(warning.length > 0 ? { warning } : {}) };
  const head = { status: answer.status, headers };
  // Also where it is not compared: what it names first is numbered first.
  const body = bodyOf(step, answer, object, normaliser, drop);
  return step.compare === "status" ? head : { ...head, body };
}

interface WatchEvent {
  type: string;
  object: unknown;
}

function bodyOf(step: Step, answer: Answer, object: unknown, normaliser: Normaliser, drop: readonly string[]): unknown {
  if (step.watch && answer.status === 200) {
    return (object as WatchEvent[]).map((event) => {
      for (const pointer of drop) dropAt(event.object, pointerSteps(pointer));
      const { type } = event;
      return {
        type,
        object: type === "BOOKMARK" ? normaliser.bookmark(event.object) : normaliser.answer(event.object),
      };
    });
  }
  if (object === undefined) {
    if (step.compare === "shape") return { text: "string" };
    return { text: answer.text.split("\n").map((line) => normaliser.text(line)) };
  }
  for (const pointer of drop) dropAt(object, pointerSteps(pointer));
  const picked = step.pick
    ? Object.fromEntries(step.pick.map((pointer) => [pointer, valueAt(object, pointer)]))
    : object;
  if (step.compare === "keys") return Object.keys(picked as object).sort();
  return step.compare === "shape" ? shapeOf(normaliser.answer(picked)) : normaliser.answer(picked);
}

function eventsOf({ until }: Step, { text }: Answer): WatchEvent[] {
  const events: WatchEvent[] = [];
  for (const line of text.split("\n")) {
    try {
      if (line.trim() !== "") events.push(JSON.parse(line) as WatchEvent);
    } catch {
      // The stream was left in the middle of an event.
    }
  }
  return events.slice(0, until?.events ?? events.length);
}

/** Whatever a case creates is taken away after it, the last first. */
function noteCreated(made: string[], { method }: Step, { path }: Outgoing, answer: Answer): void {
  if (answer.status !== 201 || path.includes("dryRun=")) return;
  const collection = path.split("?")[0]!;
  const { metadata } = (parsed(answer) ?? {}) as { metadata?: { name?: string } };
  if (!metadata?.name) return;
  const isSubresource = /\/(bindings|eviction|token|pods\/[^/]+\/\w+)$/.test(collection);
  if (method === "POST" && !isSubresource) made.push(`${collection}/${metadata.name}`);
  else if (method !== "POST") made.push(collection);
}

async function cleanUp(connection: ApiConnection, paths: readonly string[], namespace: string): Promise<void> {
  for (const path of paths) {
    const answer = await connection.send({ method: "GET", path });
    if (answer.status !== 200) continue;
    const { metadata } = parsed(answer) as { metadata?: { finalizers?: string[] } };
    const isHeld = metadata?.finalizers?.some((one) => !/^kubernetes(\.io\/p|$)|^customresourcecleanup/.test(one));
    if (isHeld) {
      const headers = { "content-type": "application/merge-patch+json" };
      await connection.send({ method: "PATCH", path, headers, body: '{"metadata":{"finalizers":null}}' });
    }
    const goesWithNamespace = path.includes(`/namespaces/${namespace}/`) && !path.includes("/services/");
    if (isHeld || !goesWithNamespace) {
      await connection.send({ method: "DELETE", path, query: "gracePeriodSeconds=0&propagationPolicy=Background" });
    }
  }
}
