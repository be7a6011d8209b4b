/** `--raw`: one request to a path, with the body from a file or standard input. */
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import type { Invocation } from "./command.ts";
import { CommandError } from "./command-error.ts";
import type { Flag } from "./flags.ts";

export const rawFlag: Flag = { name: "raw", kind: "string", help: "send what -f names to this path" };

/** Throws a CommandError for what cannot stand in a request. */
export function checkRawPath(path: string): void {
  if (path.startsWith("/") || /^[a-z][a-z\d+.-]*:/i.test(path)) return;
  throw new CommandError(`--raw must be a valid URL path: parse ${JSON.stringify(path)}: invalid URI for request`);
}

/** Prints what the server answers. */
export async function sendRaw({ session, flags }: Invocation, method: "POST" | "PUT"): Promise<number> {
  const files = flags.commaList("filename");
  if (files.length !== 1 || /^https?:\/\//.test(files[0]!)) {
    throw new CommandError("--raw can only use a single local file or stdin");
  }
  const path = flags.string("raw");
  checkRawPath(path);
  const [file] = files;
  const body = file === "-" ? await text(session.terminal.stdin) : readFileSync(file!, "utf8");
  const api = await session.api();
  session.print(await api.text(method, path, { body }));
  return 0;
}
