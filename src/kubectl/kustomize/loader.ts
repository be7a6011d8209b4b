/** What a kustomization may read: files in and below its folder, other folders, URLs, and git repositories, which are cloned and taken away again. */
import { execFile } from "node:child_process";
import { lstatSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { CommandError } from "../command-error.ts";
import { type Repository, repositoryOf } from "./repository.ts";

/** Of what a server answered that is no file: nothing else is tried. */
export class HttpError extends CommandError {}

export interface LoaderOptions {
  /** Files outside of the folder may be read, too. */
  readsAnywhere: boolean;
  /** Resolves to a URL's status and text. */
  fetch(url: string): Promise<{ status: number; statusText: string; text: string }>;
}

/** A repository, and the folder that it has been cloned into. */
interface Clone {
  repository: Repository;
  folder: string;
}

export class Loader {
  readonly root: string;
  readonly options: LoaderOptions;
  readonly #referrer: Loader | undefined;
  readonly #clone: Clone | undefined;

  private constructor(root: string, options: LoaderOptions, referrer?: Loader, clone?: Clone) {
    this.root = root;
    this.options = options;
    this.#referrer = referrer;
    this.#clone = clone;
  }

  /** For a folder or a repository. Throws a CommandError in kustomize's words. */
  static async at(target: string, options: LoaderOptions): Promise<Loader> {
    const repository = repositoryOf(target);
    if (repository) return Loader.#cloned(repository, options);
    return new Loader(confirmedFolder(target), options);
  }

  /** For a folder that this one's kustomization names. */
  async below(path: string): Promise<Loader> {
    if (path === "") throw new CommandError("new root cannot be empty");
    const repository = repositoryOf(path);
    if (repository) {
      this.#refuseRepositoryCycle(repository);
      return Loader.#cloned(repository, { ...this.options, readsAnywhere: false }, this);
    }
    if (path.startsWith("/")) throw new CommandError(`new root '${path}' cannot be absolute`);
    const root = confirmedFolder(join(this.root, path));
    const clone = this.#containingClone();
    if (clone && !isWithin(root, clone.folder)) {
      throw new CommandError(
        `security; bases in kustomizations found in cloned git repos must be within the repo, but base '${root}' is outside '${clone.folder}'`,
      );
    }
    for (let each: Loader | undefined = this; each; each = each.#referrer) {
      if (isWithin(each.root, root)) {
        throw new CommandError(`cycle detected: candidate root '${root}' contains visited root '${each.root}'`);
      }
    }
    return new Loader(root, this.options, this);
  }

  /** Reads a file or URL. */
  async load(path: string): Promise<Buffer> {
    if (/^https?:/i.test(path)) return Buffer.from(await this.#download(path));
    const full = path.startsWith("/") ? path : join(this.root, path);
    if (this.options.readsAnywhere) {
      try {
        return readFileSync(full);
      } catch (error) {
        throw new CommandError(`${openProblem(full, error)}`);
      }
    }
    const { folder, file } = cleaned(full);
    if (file === "") throw new CommandError(`'${full}' must resolve to a file`);
    if (!isWithin(folder, this.root)) {
      throw new CommandError(`security; file '${full}' is not in or below '${this.root}'`);
    }
    return readFileSync(join(folder, file));
  }

  /** Takes away what was cloned for it. */
  close(): void {
    if (this.#clone) rmSync(this.#clone.folder, { recursive: true, force: true });
  }

  async #download(url: string): Promise<string> {
    const { status, statusText, text } = await this.options.fetch(url);
    if (status >= 200 && status <= 299) return text;
    if (repositoryOf(url)) throw new CommandError("URL is a git repository");
    throw new HttpError(`HTTP Error: status code ${status} (${statusText})`);
  }

  static async #cloned(repository: Repository, options: LoaderOptions, referrer?: Loader): Promise<Loader> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "kustomize-")));
    try {
      await clone(repository, folder);
      const path = join(folder, repository.folder);
      const found = cleaned(path);
      if (found.file) throw new CommandError(`'${path}' refers to file '${found.file}'; expecting directory`);
      if (!isWithin(found.folder, folder)) {
        throw new CommandError(`${JSON.stringify(path)} refers to directory outside of repo ${JSON.stringify(folder)}`);
      }
      return new Loader(found.folder, { ...options, readsAnywhere: false }, referrer, { repository, folder });
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  #containingClone(): Clone | undefined {
    for (let each: Loader | undefined = this; each; each = each.#referrer) if (each.#clone) return each.#clone;
    return undefined;
  }

  #refuseRepositoryCycle({ raw }: Repository): void {
    for (let each: Loader | undefined = this; each; each = each.#referrer) {
      const { raw: own } = each.#clone?.repository ?? {};
      if (own?.startsWith(raw)) {
        throw new CommandError(`cycle detected: URI '${raw}' referenced by previous URI '${own}'`);
      }
    }
  }
}

const isWithin = (path: string, folder: string): boolean =>
  folder === "/" || path === folder || path.startsWith(`${folder}/`);

function confirmedFolder(path: string): string {
  const at = (problem: string) => new CommandError(`must build at directory: ${problem}`);
  if (path === "") throw at("directory path cannot be empty");
  let found: ReturnType<typeof cleaned>;
  try {
    found = cleaned(path);
  } catch (error) {
    throw at(`not a valid directory: ${(error as Error).message}`);
  }
  if (found.file) throw at(`'${path}': file is not directory`);
  return found.folder;
}

/** Without symbolic links. `file` is empty for folders. */
function cleaned(path: string): { folder: string; file: string } {
  let real: string;
  try {
    real = realpathSync(resolve(path));
  } catch (error) {
    throw new CommandError(`evalsymlink failure on '${path}' : ${linkProblem(resolve(path), error)}`);
  }
  return statSync(real).isDirectory() ? { folder: real, file: "" } : { folder: dirname(real), file: basename(real) };
}

/** Which part of the path is missing. */
function linkProblem(path: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ELOOP") return "EvalSymlinks: too many links";
  let known = "/";
  for (const part of path.split("/").filter(Boolean)) {
    const next = join(known, part);
    const stat = lstatSync(next, { throwIfNoEntry: false });
    if (!stat) {
      if (!statSync(known).isDirectory()) return `lstat ${next}: not a directory`;
      return `lstat ${next}: no such file or directory`;
    }
    known = next;
  }
  return code === "EACCES" ? `lstat ${path}: permission denied` : `lstat ${path}: no such file or directory`;
}

function openProblem(path: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EISDIR") return `read ${path}: is a directory`;
  return `open ${path}: ${code === "EACCES" ? "permission denied" : code === "ENOTDIR" ? "not a directory" : "no such file or directory"}`;
}

/** As shallow as git can. */
async function clone({ cloneUrl, ref, timeoutSeconds, withSubmodules }: Repository, folder: string): Promise<void> {
  const program = gitProgram();
  const run = async (...args: string[]) => {
    const shown = `${program} ${args.join(" ")}`;
    try {
      await promisify(execFile)(program, args, { cwd: folder, timeout: timeoutSeconds * 1000, encoding: "utf8" });
    } catch (error) {
      const {
        stdout = "",
        stderr = "",
        code,
        killed,
      } = error as { stdout?: string; stderr?: string; code?: unknown; killed?: boolean };
      if (killed) throw new CommandError(`hit ${timeoutSeconds}s timeout running '${shown}'`);
      throw new CommandError(`failed to run '${shown}': ${stdout}${stderr}: exit status ${String(code)}`);
    }
  };
  await run("init");
  await run("remote", "add", "origin", cloneUrl);
  await run("fetch", "--depth=1", cloneUrl, ref || "HEAD");
  await run("checkout", "FETCH_HEAD");
  if (withSubmodules) await run("submodule", "update", "--init", "--recursive");
}

function gitProgram(): string {
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    const program = join(folder || ".", "git");
    if (statSync(program, { throwIfNoEntry: false })?.isFile()) return program;
  }
  throw new CommandError(`no 'git' program on path: exec: "git": executable file not found in $PATH`);
}
