/**
 * Gives nft scripts to the kernel of one network namespace, each as one transaction.
 *
 * libnftables does it inside this process, off the main thread, through a netlink socket that was opened in the namespace:
 * a few hundred microseconds where a process of `nft` needs some fifteen milliseconds. Where the library cannot be loaded
 * the program is run instead.
 */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { koffi } from "../base/node/libc.ts";
import { inNetns, spawnIn } from "../base/node/netns.ts";

export interface Nft {
  /** Carries out a script, all of it or nothing. Rejects with NftError, whose message is nft's own. Scripts of one Nft run in the order given. */
  run(script: string): Promise<void>;
  /** Runs one `list` command and returns its JSON; a terse one has no elements. */
  list(command: string, options?: { terse?: boolean }): Promise<unknown>;
  close(): void;
}

export class NftError extends Error {
  constructor(output: string, script: string) {
    super(output.trim() || `nft refused: ${script.slice(0, 200)}`);
    this.name = "NftError";
  }
}

/** The nft of the namespace at `netnsPath`, or of the namespace of this process. */
export function openNft(netnsPath?: string): Nft {
  const library = loadLibrary();
  if (!library) return new NftProgram(netnsPath);
  const open = () => new NftLibrary(library, netnsPath);
  return netnsPath ? inNetns(netnsPath, open) : open();
}

/** The other way of doing the same, exported for the tests that hold both to one contract. */
export class NftProgram implements Nft {
  readonly #netnsPath: string | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(netnsPath?: string) {
    this.#netnsPath = netnsPath;
  }

  async run(script: string): Promise<void> {
    await this.#inTurn([], script);
  }

  async list(command: string, { terse = false } = {}): Promise<unknown> {
    return JSON.parse(await this.#inTurn(terse ? ["-j", "-t"] : ["-j"], command));
  }

  close(): void {}

  #inTurn(options: string[], script: string): Promise<string> {
    const result = this.#last.then(() => this.#spawn(options, script));
    this.#last = result.catch(() => {});
    return result;
  }

  /** nft opens /dev/stdin by name, which it cannot with the sockets that Node gives to children: hence the file. */
  async #spawn(options: string[], script: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "pinnace-nft-"));
    try {
      const file = join(folder, "script.nft");
      await writeFile(file, script);
      return await new Promise((resolve, reject) => {
        const child = spawnIn(this.#netnsPath ?? "/proc/self/ns/net", "nft", [...options, "-f", file], {
          stdio: ["ignore", "pipe", "pipe"],
        });
        let output = "";
        let complaint = "";
        child.stdout!.on("data", (chunk) => (output += chunk));
        child.stderr!.on("data", (chunk) => (complaint += chunk));
        child.once("error", (cause) =>
          reject(new Error("run nft (Debian and Ubuntu: apt-get install nftables)", { cause })),
        );
        child.once("close", (code) => (code === 0 ? resolve(output) : reject(new NftError(complaint, script))));
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

type AsyncCall = (...args: [...unknown[], (error: unknown, result: number) => void]) => void;

interface Library {
  newContext(flags: number): unknown;
  freeContext(context: unknown): void;
  bufferOutput(context: unknown): number;
  bufferErrors(context: unknown): number;
  output(context: unknown): string;
  errors(context: unknown): string;
  setOutputFlags(context: unknown, flags: number): void;
  run: AsyncCall;
}

let loaded: Library | null | undefined;

function loadLibrary(): Library | null {
  if (loaded !== undefined) return loaded;
  try {
    const library = koffi().load("libnftables.so.1");
    const bind = (prototype: string) => library.func(prototype) as never;
    loaded = {
      newContext: bind("void *nft_ctx_new(uint32_t flags)"),
      freeContext: bind("void nft_ctx_free(void *ctx)"),
      bufferOutput: bind("int nft_ctx_buffer_output(void *ctx)"),
      bufferErrors: bind("int nft_ctx_buffer_error(void *ctx)"),
      output: bind("const char *nft_ctx_get_output_buffer(void *ctx)"),
      errors: bind("const char *nft_ctx_get_error_buffer(void *ctx)"),
      setOutputFlags: bind("void nft_ctx_output_set_flags(void *ctx, unsigned int flags)"),
      run: (library.func("int nft_run_cmd_from_buffer(void *ctx, const char *buf)") as unknown as { async: AsyncCall })
        .async,
    };
  } catch {
    loaded = null;
  }
  return loaded;
}

/** The library keeps state of its own between contexts, so that one script of this process runs at a time. */
let turn: Promise<unknown> = Promise.resolve();
let waitingForTurn = 0;

/** A script that takes the library a tenth of a second and more: beyond it a process beside is quicker than waiting in line. */
const longScript = 1 << 20;

class NftLibrary implements Nft {
  readonly #library: Library;
  readonly #context: unknown;
  /** Only where the namespace can be found again. */
  readonly #program: NftProgram | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(library: Library, netnsPath: string | undefined) {
    this.#library = library;
    this.#context = library.newContext(0);
    this.#program = netnsPath === undefined ? undefined : new NftProgram(netnsPath);
    library.bufferErrors(this.#context);
    library.bufferOutput(this.#context);
  }

  /** Several nodes that are programmed from the ground up at the same time use several cores. */
  run(script: string): Promise<void> {
    return this.#afterLast(async () => {
      if (this.#program && script.length >= longScript && waitingForTurn > 0) {
        try {
          return await this.#program.run(script);
        } catch (error) {
          if (error instanceof NftError) throw error; // Without the program there is the library.
        }
      }
      await this.#inTurn(0, script);
    });
  }

  list(command: string, { terse = false } = {}): Promise<unknown> {
    return this.#afterLast(async () => JSON.parse(await this.#inTurn(jsonOutput | (terse ? terseOutput : 0), command)));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    void this.#last.then(() => {
      turn = turn.then(() => this.#library.freeContext(this.#context));
    });
  }

  #afterLast<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  #inTurn(outputFlags: number, script: string): Promise<string> {
    waitingForTurn++;
    const result = turn.then(() => this.#runNow(outputFlags, script)).finally(() => waitingForTurn--);
    turn = result.catch(() => {});
    return result;
  }

  #runNow(outputFlags: number, script: string): Promise<string> {
    const library = this.#library;
    if (this.#isClosed) return Promise.reject(new Error("this nft was closed"));
    library.setOutputFlags(this.#context, outputFlags);
    return new Promise((resolve, reject) => {
      library.run(this.#context, script, (error, result) => {
        const output = library.output(this.#context);
        const complaint = library.errors(this.#context);
        if (error) reject(error);
        else if (result !== 0) reject(new NftError(complaint, script));
        else resolve(output);
      });
    });
  }
}

const jsonOutput = 1 << 4;
const terseOutput = 1 << 11;
