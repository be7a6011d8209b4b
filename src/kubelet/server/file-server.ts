/** Files and folders over HTTP, as Go's http.FileServer answers: listings, redirects to the right slash, ranges, what has not changed. */
import { constants, type Stats } from "node:fs";
import { type FileHandle, open, readdir, readlink, realpath } from "node:fs/promises";
import { extname, join, posix } from "node:path";
import type { KubeletAnswer, KubeletRequest } from "./routes.ts";

export interface ServedFolder {
  /** Nothing outside of it is served, whatever links in it say. */
  folder: string;
  /** Shown in the place of what the folder has under these names. */
  within?: Readonly<Record<string, ServedFolder | VirtualFolder>>;
}

/** A folder of links: what each name stands for, made when asked. */
export interface VirtualFolder {
  /** Paths inside `folder` by name. */
  files(): ReadonlyMap<string, string>;
  folder: string;
}

interface Entry {
  name: string;
  isFolder: boolean;
}

/** What was found at a path. Its handle is the finder's to close. */
type Found =
  | { kind: "file"; handle: FileHandle; stats: Stats }
  | { kind: "folder"; entries: Entry[]; changedAt: Date }
  | { kind: "missing" }
  | { kind: "forbidden" };

/** `path`: percent-encoded, from the root of what is served, with a leading slash. Answers GET. */
export async function serveFile(root: ServedFolder, path: string, request: KubeletRequest): Promise<KubeletAnswer> {
  let asked: string;
  try {
    asked = decodeURIComponent(path);
  } catch {
    return plain(400, "400 Bad Request");
  }
  const search = request.query.size > 0 ? `?${request.query}` : "";
  if (asked.endsWith("/index.html")) return redirect(`./${search}`);
  const steps = posix.normalize(`/${asked}`).split("/").filter(Boolean);
  const found = asked.includes("\0") ? ({ kind: "missing" } as const) : await find(root, steps);
  const base = encodeURIComponent(steps.at(-1) ?? "");
  switch (found.kind) {
    case "missing":
      return plain(404, "404 page not found\n");
    case "forbidden":
      return plain(403, "403 Forbidden\n");
    case "folder":
      if (!asked.endsWith("/")) return redirect(`${base}/${search}`);
      if (isUnchanged(request, found.changedAt)) return notModified(found.changedAt);
      return listing(found.entries, found.changedAt);
    case "file":
      if (asked.endsWith("/")) {
        await found.handle.close();
        return redirect(`../${base}${search}`);
      }
      return content(found.handle, found.stats, steps.at(-1)!, request);
  }
}

async function find(root: ServedFolder | VirtualFolder, steps: readonly string[]): Promise<Found> {
  const [first, ...rest] = steps;
  if ("files" in root) {
    if (first === undefined) {
      const entries = [...root.files().keys()].map((name) => ({ name, isFolder: false }));
      return { kind: "folder", entries, changedAt: new Date(0) };
    }
    const path = rest.length === 0 ? root.files().get(first) : undefined;
    return path === undefined ? { kind: "missing" } : await onDisk(root.folder, path);
  }
  const { folder, within = {} } = root;
  if (first !== undefined && Object.hasOwn(within, first)) return await find(within[first]!, rest);
  const found = await onDisk(folder, join(folder, ...steps));
  if (first !== undefined || found.kind === "file" || found.kind === "forbidden") return found;
  const entries = found.kind === "folder" ? found.entries.filter(({ name }) => !Object.hasOwn(within, name)) : [];
  const added = Object.keys(within).map((name) => ({ name, isFolder: true }));
  return {
    kind: "folder",
    entries: [...entries, ...added],
    changedAt: found.kind === "folder" ? found.changedAt : new Date(0),
  };
}

/** Looked at after it was opened, so that no link that changes meanwhile leads out of `folder`. A pipe without a writer does not block. */
async function onDisk(folder: string, path: string): Promise<Found> {
  let handle: FileHandle | undefined;
  let isKept = false;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const self = `/proc/self/fd/${handle.fd}`;
    const [top, actual] = await Promise.all([realpath(folder), readlink(self)]);
    if (actual !== top && !actual.startsWith(`${top}/`)) return { kind: "forbidden" };
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      const names = await readdir(self, { withFileTypes: true });
      const entries = names.map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }));
      return { kind: "folder", entries, changedAt: stats.mtime };
    }
    if (!stats.isFile()) return { kind: "forbidden" };
    isKept = true;
    return { kind: "file", handle, stats };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG" || code === "ELOOP")
      return { kind: "missing" };
    if (code === "EACCES" || code === "EPERM" || code === "ENXIO") return { kind: "forbidden" };
    throw error;
  } finally {
    if (!isKept) await handle?.close();
  }
}

async function content(
  handle: FileHandle,
  { size, mtime }: Stats,
  name: string,
  request: KubeletRequest,
): Promise<KubeletAnswer> {
  let isRead = false;
  try {
    if (isUnchanged(request, mtime)) return notModified(mtime);
    const headers = { "last-modified": mtime.toUTCString(), "accept-ranges": "bytes" };
    const range = rangeOf(request, size, mtime);
    if (range === "unsatisfiable") {
      const answer = plain(416, "invalid range: failed to overlap\n");
      return { ...answer, headers: { ...answer.headers, ...headers, "content-range": `bytes */${size}` } };
    }
    const { start, end } = range ?? { start: 0, end: size };
    const contentType = typeByName[extname(name)] ?? (await sniffed(handle));
    isRead = end > start;
    return {
      status: range ? 206 : 200,
      contentType,
      headers: {
        ...headers,
        ...(range ? { "content-range": `bytes ${start}-${end - 1}/${size}` } : {}),
        "content-length": String(end - start),
      },
      body: isRead ? bytes(handle, start, end, request.signal) : "",
    };
  } finally {
    if (!isRead) await handle.close();
  }
}

/** Closes the handle when it has been read, or when the asker leaves. */
function bytes(handle: FileHandle, start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const stream = handle.createReadStream({ start, end: end - 1, signal });
  // Whoever reads hears of it; nobody may be reading any more.
  stream.on("error", () => {});
  return stream;
}

/** Half open. Several ranges at once are answered with the whole. */
function rangeOf(
  { headers }: KubeletRequest,
  size: number,
  changedAt: Date,
): { start: number; end: number } | "unsatisfiable" | undefined {
  const text = headers["range"];
  if (!text || (headers["if-range"] && Date.parse(String(headers["if-range"])) !== wholeSeconds(changedAt)))
    return undefined;
  const match = /^bytes=\s*(\d*)\s*-\s*(\d*)\s*$/.exec(text);
  if (!match) return text.includes(",") ? undefined : "unsatisfiable";
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return "unsatisfiable";
    return size === 0 ? undefined : { start: Math.max(0, size - Number(last)), end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return "unsatisfiable";
  if (start >= size) return size === 0 ? undefined : "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(size, Number(last) + 1) };
}

function isUnchanged({ headers }: KubeletRequest, changedAt: Date): boolean {
  const since = Date.parse(headers["if-modified-since"] ?? "");
  return changedAt.getTime() > 0 && !headers["if-none-match"] && wholeSeconds(changedAt) <= since;
}

function wholeSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000) * 1000;
}

/** What Go knows of itself; logs are told by what they begin with. */
const typeByName: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".gif": "image/gif",
  ".htm": "text/html; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".xml": "text/xml; charset=utf-8",
};

const sniffedBytes = 512;

async function sniffed(handle: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(sniffedBytes), 0, sniffedBytes, 0);
  const head = buffer.subarray(0, bytesRead);
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 0x08) return "application/x-gzip";
  // Control characters that no text has, escape (colours of a terminal) left out.
  const isBinary = head.some((byte) => byte <= 8 || byte === 0x0b || (byte >= 0x0e && byte <= 0x1f && byte !== 0x1b));
  return isBinary ? "application/octet-stream" : "text/plain; charset=utf-8";
}

function listing(entries: readonly Entry[], changedAt: Date): KubeletAnswer {
  const lines = entries
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, isFolder }) => {
      const shown = isFolder ? `${name}/` : name;
      // A colon in front would make it a scheme.
      const prefix = name.includes(":") ? "./" : "";
      return `<a href="${prefix}${pathEncoded(shown)}">${escaped(shown)}</a>\n`;
    });
  return {
    status: 200,
    contentType: "text/html; charset=utf-8",
    ...(changedAt.getTime() > 0 ? { headers: { "last-modified": changedAt.toUTCString() } } : {}),
    body: `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines.join("")}</pre>\n`,
  };
}

/** As Go writes a path. */
function pathEncoded(text: string): string {
  return encodeURI(text).replace(/[?#!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function escaped(text: string): string {
  const replacements: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&#34;",
    "'": "&#39;",
  };
  return text.replace(/[&<>"']/g, (character) => replacements[character]!);
}

/** Relative, so that it holds behind a proxy too. */
function redirect(location: string): KubeletAnswer {
  return { status: 301, headers: { location }, body: "" };
}

function notModified(changedAt: Date): KubeletAnswer {
  return { status: 304, headers: { "last-modified": changedAt.toUTCString() }, body: "" };
}

function plain(status: number, body: string): KubeletAnswer {
  const headers = { "x-content-type-options": "nosniff" };
  return { status, contentType: "text/plain; charset=utf-8", headers, body };
}
