/** `kubectl cp`: files between this machine and a container, as a tar stream through the container's own tar. */
import { createWriteStream, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { basename, dirname, join, posix, resolve, sep } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract, type Pack, pack } from "tar-stream";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { containerOf, type Pod, podPath } from "../pods.ts";
import { execPath, runRemotely } from "../remote-command.ts";

interface FileSpec {
  /** Undefined: on this machine. */
  pod: string | undefined;
  namespace: string | undefined;
  path: string;
}

export const cp: Command = {
  summary: "Copy files and directories to and from containers",
  usage: "<file-spec-src> <file-spec-dest>",
  examples: ["cp notes.txt web:/tmp/notes.txt", "cp web:/var/log ./log -c nginx"],
  flags: [
    { name: "container", short: "c", kind: "string", help: "which container" },
    { name: "no-preserve", kind: "bool", help: "leave owners and permissions to the container" },
    { name: "retries", kind: "int", default: 0, help: "accepted" },
  ],
  async run(invocation) {
    const { args } = invocation;
    if (args.length !== 2) throw new CommandError("source and destination are required");
    const [source, destination] = args.map(parseFileSpec) as [FileSpec, FileSpec];
    if (source.pod !== undefined && destination.pod !== undefined) {
      throw new CommandError("one of src or dest must be a local file specification");
    }
    if (source.pod === undefined && destination.pod === undefined) {
      throw new CommandError("one of src or dest must be a remote file specification");
    }
    if (!source.path || !destination.path) throw new CommandError("filepath can not be empty");
    if (source.pod !== undefined) await copyFromPod(invocation, source, destination.path);
    else await copyToPod(invocation, source.path, destination);
    return 0;
  },
};

/** `[[namespace/]pod:]path`. A path may hold a colon when it begins with a dot or a slash. */
function parseFileSpec(text: string): FileSpec {
  const at = text.indexOf(":");
  const isLocal = at < 0 || /^[./]/.test(text);
  if (isLocal) return { pod: undefined, namespace: undefined, path: text };
  const place = text.slice(0, at).split("/");
  const [first = "", second] = place;
  if (at === 0 || place.length > 2) {
    throw new CommandError("filespec must match the canonical format: [[namespace/]pod:]file/path");
  }
  const path = text.slice(at + 1);
  return second === undefined ? { pod: first, namespace: undefined, path } : { pod: second, namespace: first, path };
}

async function podOf({ session }: Invocation, { pod, namespace }: FileSpec): Promise<Pod> {
  const api = await session.api();
  return api.get<Pod>(podPath({ name: pod!, namespace: namespace ?? (await session.namespace()).name }));
}

async function copyToPod(invocation: Invocation, local: string, destination: FileSpec): Promise<void> {
  const { session, flags } = invocation;
  if (!statSync(local, { throwIfNoEntry: false })) {
    throw new CommandError(`${local} doesn't exist in local filesystem`);
  }
  const pod = await podOf(invocation, destination);
  const container = flags.string("container") || containerOf(session, pod, "");
  const quiet = () => new Writable({ write: (_chunk, _encoding, done) => done() });
  // Into a folder that is there it goes under its own name.
  const isFolder = runRemotely(session, execPath(pod, container, ["test", "-d", destination.path], { stdin: false }), {
    stdout: quiet(),
    stderr: quiet(),
    isTerminal: false,
  });
  const path = (await isFolder) === 0 ? posix.join(destination.path, basename(resolve(local))) : destination.path;
  const folder = posix.dirname(path.replace(/\/+$/, ""));
  const untar = flags.bool("no-preserve")
    ? ["tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-"]
    : ["tar", "-xmf", "-"];
  const archive = pack();
  const packing = addToArchive(archive, local, posix.basename(path)).then(() => archive.finalize());
  const stdin = archive.pipe(new PassThrough());
  const { stdout, stderr } = session.terminal;
  const command = folder === "." ? untar : [...untar, "-C", folder];
  const code = await runRemotely(session, execPath(pod, container, command, { stdin: true }), {
    stdin,
    stdout,
    stderr,
    isTerminal: false,
  });
  if (code !== 0) {
    throw new CommandError(`command terminated with exit code ${code}`, { isVerbatim: true, exitCode: code });
  }
  await packing;
}

async function addToArchive(archive: Pack, path: string, name: string): Promise<void> {
  const stat = lstatSync(path);
  const head = { name, mode: stat.mode & 0o7777, mtime: stat.mtime, uid: stat.uid, gid: stat.gid };
  if (stat.isDirectory()) {
    const names = readdirSync(path).sort();
    if (names.length === 0) archive.entry({ ...head, type: "directory" });
    for (const inner of names) await addToArchive(archive, join(path, inner), posix.join(name, inner));
    return;
  }
  if (stat.isSymbolicLink()) {
    archive.entry({ ...head, type: "symlink", linkname: readlinkSync(path) });
    return;
  }
  if (!stat.isFile()) return;
  // A callback keeps large archives from piling up in memory.
  await new Promise<void>((done, fail) => {
    archive.entry(head, readFileSync(path), (error) => (error ? fail(error) : done()));
  });
}

async function copyFromPod(invocation: Invocation, source: FileSpec, destination: string): Promise<void> {
  const { session, flags } = invocation;
  const pod = await podOf(invocation, source);
  const container = flags.string("container") || containerOf(session, pod, "");
  const prefix = withoutShortcuts(posix.normalize(source.path.replace(/^\/+|\/+$/g, "")));
  const unpacking = extract();
  let hasWarned = false;
  unpacking.on("entry", (head, stream, next) => {
    const skip = () => {
      stream.resume();
      stream.once("end", next);
    };
    const name = head.name.replace(/\/+$/, "");
    if (!name.startsWith(prefix)) return void unpacking.destroy(new CommandError("tar contents corrupted"));
    const path = join(destination, name.slice(prefix.length));
    if (!isWithin(destination, path)) {
      session.printError(`warning: file ${JSON.stringify(path)} is outside target destination, skipping\n`);
      return skip();
    }
    mkdirSync(dirname(path), { recursive: true });
    if (head.type === "directory") {
      mkdirSync(path, { recursive: true });
      return skip();
    }
    if (head.type === "symlink") {
      if (!hasWarned) {
        session.printError(
          `warning: skipping symlink: ${JSON.stringify(path)} -> ${JSON.stringify(head.linkname)} (consider using "kubectl exec -n ${JSON.stringify(source.namespace ?? "")} ${JSON.stringify(source.pod)} -- tar cf - ${JSON.stringify(source.path)} | tar xf -")\n`,
        );
      }
      hasWarned = true;
      return skip();
    }
    pipeline(stream, createWriteStream(path)).then(
      () => next(),
      (error: NodeJS.ErrnoException) =>
        unpacking.destroy(
          error.code === "EISDIR" ? new CommandError(`open ${path}: is a directory`) : new CommandError(error.message),
        ),
    );
  });
  const received = new PassThrough();
  const unpacked = pipeline(received, unpacking as unknown as Writable);
  unpacked.catch(() => {});
  await runRemotely(session, execPath(pod, container, ["tar", "cf", "-", source.path], { stdin: false }), {
    stdout: received,
    // Upstream shows tar's remarks among its own output.
    stderr: session.terminal.stdout,
    isTerminal: false,
  });
  received.end();
  await unpacked;
}

/** Without leading steps upwards: `../../etc` is `etc`, as tar stores it. */
const withoutShortcuts = (path: string): string => path.replace(/^(\.\.?\/)+/, "").replace(/^\.\.?$/, "");

function isWithin(folder: string, path: string): boolean {
  const [outer, inner] = [resolve(folder), resolve(path)];
  return inner === outer || inner.startsWith(outer.endsWith(sep) ? outer : outer + sep);
}
