/**
 * `/logs/?query=`: what the machine's journal, or a file of its log folder, says of a service (upstream's node log query). Served where
 * the configuration says `enableSystemLogQuery`.
 */
import type { Readable } from "node:stream";
import { type FieldError, FieldPath, invalid, required, tooMany } from "../../apimachinery/field-error.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import { findProgram } from "../../base/node/find-program.ts";
import { spawnProcess } from "../../base/node/spawn-process.ts";
import { type ServedFolder, serveFile } from "./file-server.ts";
import type { KubeletAnswer, KubeletRequest } from "./routes.ts";

interface LogQuery {
  services: string[];
  files: string[];
  sinceTime?: Date;
  untilTime?: Date;
  tailLines?: number;
  boot?: number;
  pattern?: string;
}

const maximumTailLines = 100_000;
const maximumServices = 4;
const maximumServiceLength = 256;
/** How long reading logs may take. */
const patienceMs = 30_000;
const queryPath = FieldPath.root.child("query");

/** `path`: percent-encoded, from the root of the log folder. A request without a query is one for a file. */
export async function queryLogs(
  root: ServedFolder,
  path: string,
  request: KubeletRequest,
  clock: Clock,
): Promise<KubeletAnswer> {
  const { query, errors } = parsed(request.query);
  if (errors.length > 0) return refusal(400, errors);
  if (!query) return serveFile(root, path, request);
  if (path !== "/") return told(406, "path not allowed in query mode\n");
  const mistakes = mistakesOf(query);
  if (mistakes.length > 0) return refusal(406, mistakes);
  const [file] = query.files;
  if (file === undefined)
    return { status: 200, contentType: "text/plain;charset=UTF-8", body: ofServices(root, query, request, clock) };
  const answer = await fileAt(root, file.replaceAll("\\", "/"), request);
  if (answer.status !== 404) return answer;
  const why = `stat ${root.folder}/${file.replace(/^\/+/, "")}: no such file or directory`;
  return refusal(406, [invalid(queryPath, query.files, why)]);
}

function parsed(parameters: URLSearchParams): { query?: LogQuery; errors: FieldError[] } {
  const errors: FieldError[] = [];
  const asked = parameters.getAll("query");
  const query: LogQuery = {
    files: asked.filter((each) => /[/\\]/.test(each)),
    services: asked.filter((each) => !/[/\\]/.test(each) && each.trim() !== ""),
  };
  if (asked.length > 0 && query.files.length + query.services.length === 0)
    errors.push(invalid(queryPath, asked, "query cannot be empty"));
  for (const name of ["sinceTime", "untilTime"] as const) {
    const text = parameters.get(name);
    if (!text) continue;
    const isTime =
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text));
    if (isTime) query[name] = new Date(text);
    else errors.push(invalid(FieldPath.root.child(name), text, "invalid time format"));
  }
  for (const name of ["boot", "tailLines"] as const) {
    const text = parameters.get(name);
    if (!text) continue;
    if (/^[+-]?\d+$/.test(text)) query[name] = Number(text);
    else {
      const why = `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
      errors.push(invalid(FieldPath.root.child(name), text, why));
    }
  }
  const pattern = parameters.get("pattern");
  if (pattern) query.pattern = pattern;
  return asked.length > 0 || hasOptions(query) ? { query, errors } : { errors };
}

function hasOptions({ sinceTime, untilTime, tailLines, boot, pattern }: LogQuery): boolean {
  return [sinceTime, untilTime, tailLines, boot, pattern].some((option) => option !== undefined);
}

function mistakesOf(query: LogQuery): FieldError[] {
  const { services, files, sinceTime, untilTime, boot, tailLines } = query;
  const errors: FieldError[] = [];
  for (const service of services) {
    if (service.length > maximumServiceLength) errors.push(invalid(queryPath, service, "length must be less than 100"));
    else if (/[^a-zA-Z\-_0-9@]/.test(service))
      errors.push(invalid(queryPath, service, "input contains unsupported characters"));
  }
  if (services.length > maximumServices) errors.push(tooMany(queryPath, services.length, maximumServices));
  if (files.length + services.length === 0) errors.push(required(queryPath, "cannot be empty with options"));
  else if (files.length > 0 && services.length > 0) {
    const both = `[${files.join(" ")}], [${services.join(" ")}]`;
    errors.push(invalid(queryPath, both, "cannot specify a file and service"));
  } else if (files.length > 1) errors.push(invalid(queryPath, files, "cannot specify more than one file"));
  else if (files.length === 1 && hasOptions(query))
    errors.push(invalid(queryPath, files, "cannot specify file with options"));
  if (sinceTime && untilTime && sinceTime > untilTime)
    errors.push(invalid(FieldPath.root.child("untilTime"), untilTime.toISOString(), "must be after `sinceTime`"));
  if (boot !== undefined && boot > 0) errors.push(invalid(FieldPath.root.child("boot"), boot, "must be less than 1"));
  if (tailLines !== undefined && (tailLines < 0 || tailLines > maximumTailLines)) {
    const why = `must be between 0 and ${maximumTailLines}, inclusive`;
    errors.push(invalid(FieldPath.root.child("tailLines"), tailLines, why));
  }
  return errors;
}

async function* ofServices(
  root: ServedFolder,
  query: LogQuery,
  request: KubeletRequest,
  clock: Clock,
): AsyncGenerator<Uint8Array> {
  const over = new AbortController();
  const signal = AbortSignal.any([request.signal, over.signal]);
  const deadline = new AbortController();
  sleep(clock, patienceMs, deadline.signal).then(
    () => over.abort(),
    () => {},
  );
  try {
    const units = await unitsOfJournal(signal);
    const inJournal = query.services.filter((service) => units.includes(`${service}.service`));
    const inFiles = query.services.filter((service) => !inJournal.includes(service));
    if (inJournal.length > 0)
      yield* journal([...journalOptions(query), ...inJournal.map((each) => `--unit=${each}`)], signal);
    if (inFiles.length > 0 && hasOptions(query)) {
      yield Buffer.from(
        `\noptions present and query resolved to log files for [${inFiles.join(" ")}]\ntry without specifying options\n`,
      );
      return;
    }
    for (const service of inFiles) yield* ofFile(root, service, { ...request, signal });
  } finally {
    deadline.abort();
  }
}

function journalOptions({ sinceTime, untilTime, tailLines, pattern, boot }: LogQuery): string[] {
  const time = (date: Date) => date.toISOString().slice(0, 19).replace("T", " ");
  return [
    ...["--utc", "--no-pager", "--output=short-precise"],
    ...(sinceTime ? [`--since=${time(sinceTime)} UTC`] : []),
    ...(untilTime ? [`--until=${time(untilTime)} UTC`] : []),
    ...(tailLines === undefined ? [] : ["--pager-end", `--lines=${tailLines}`]),
    ...(pattern ? [`--grep=${pattern}`] : []),
    ...(boot === undefined ? [] : [`--boot=${boot}`]),
  ];
}

async function unitsOfJournal(signal: AbortSignal): Promise<string[]> {
  let text = "";
  for await (const chunk of journal(["--field", "_SYSTEMD_UNIT"], signal)) text += String(chunk);
  return text.split("\n");
}

/** What journalctl prints, its complaints included. Nothing where the machine has none. */
async function* journal(args: readonly string[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const file = findProgram("journalctl");
  if (!file || signal.aborted) return;
  const child = spawnProcess({ file, args, fds: { 1: "pipe-out", 2: "pipe-out" } });
  const complaints: Buffer[] = [];
  child.readers[2]!.on("data", (chunk: Buffer) => complaints.push(chunk));
  let hasEnded = false;
  const exited = child.exited.then(() => (hasEnded = true));
  // It may have ended long before all that it said is read.
  const end = () => {
    if (!hasEnded) process.kill(child.pid, "SIGKILL");
  };
  signal.addEventListener("abort", end, { once: true });
  try {
    yield* child.readers[1] as Readable & AsyncIterable<Uint8Array>;
    await exited;
    yield* complaints;
  } finally {
    signal.removeEventListener("abort", end);
    end();
  }
}

/** The first of the files in which a service's log may be. */
async function* ofFile(root: ServedFolder, service: string, request: KubeletRequest): AsyncGenerator<Uint8Array> {
  for (const name of [service, `${service}.log`, `${service}/${service}.log`]) {
    const { status, body } = await fileAt(root, name, request);
    if (status !== 200) continue;
    if (typeof body === "string") yield Buffer.from(body);
    else yield* body;
    return;
  }
  yield Buffer.from(`\nlog not found for ${service}\n`);
}

/** Of a folder: the way to its listing. */
function fileAt(root: ServedFolder, path: string, request: KubeletRequest): Promise<KubeletAnswer> {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return serveFile(root, encoded.startsWith("/") ? encoded : `/${encoded}`, {
    ...request,
    query: new URLSearchParams(),
  });
}

function refusal(status: number, errors: readonly FieldError[]): KubeletAnswer {
  const texts = [...new Set(errors.map(({ field, message }) => `${field}: ${message}`))];
  return told(status, `${texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`}\n`);
}

function told(status: number, body: string): KubeletAnswer {
  const headers = { "x-content-type-options": "nosniff" };
  return { status, contentType: "text/plain; charset=utf-8", headers, body };
}
