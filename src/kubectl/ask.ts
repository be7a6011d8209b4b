/** A question to the user. */
import type { Session } from "./session.ts";

/** The line that the user types; the empty string when there is nobody to type one. */
export async function readAnswer({ terminal: { stdin } }: Session): Promise<string> {
  let typed = "";
  for await (const chunk of stdin) {
    typed += String(chunk);
    if (typed.includes("\n")) break;
  }
  return typed.split("\n")[0]!.trim();
}
