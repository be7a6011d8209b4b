/** Labs written as documents (docs/labs): their files, their commands, and what those should print. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

export type LabStep =
  | { kind: "file"; name: string; content: string }
  | { kind: "command"; command: string; expected: string; isRepeated: boolean };

/** The steps of a document, in order. Throws for a block that it cannot read. */
export function parseLab(markdown: string): LabStep[] {
  const steps: LabStep[] = [];
  for (const [, info = "", body = ""] of markdown.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)) {
    const [language, ...words] = info.trim().split(/\s+/);
    const file = words.find((word) => word.startsWith("file="))?.slice("file=".length);
    if (file) steps.push({ kind: "file", name: file, content: body });
    else if (language === "console") steps.push(...commandsOf(body, words.includes("until")));
    else throw new Error(`a block of a lab is neither a file nor a console: ${info}`);
  }
  return steps;
}

/** The cluster file that a document names, beside the folders of the languages. Throws when it names none. */
export function clusterFileOf(markdown: string): string {
  const file = /^[^\n]+: \[([\w-]+\.yaml)\]\(\.\.\/\1\)$/m.exec(markdown)?.[1];
  if (!file) throw new Error("the lab names no cluster file");
  return file;
}

function commandsOf(body: string, isRepeated: boolean): LabStep[] {
  return body
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return { kind: "command", command: part.slice(0, end), expected: part.slice(end + 1), isRepeated };
    });
}

/** Whether a command printed what the document says: `<word>` is any word, a line of `...` any lines, blanks count as one. */
export function isAsWritten(expected: string, printed: string): boolean {
  const lines = expected.trimEnd().split("\n").map(normalized);
  const pattern = lines.map((line) => (line === "..." ? "(?:[^\\n]*\\n)*?" : `${linePattern(line)}\\n`)).join("");
  const text = printed.trimEnd().split("\n").map(normalized).join("\n");
  return new RegExp(`^${pattern}$`).test(`${text}\n`);
}

/** Newer kubectls say where they deleted what. */
const normalized = (line: string): string =>
  line
    .trim()
    .replace(/\s+/g, " ")
    .replace(/" deleted from \S+ namespace$/, '" deleted');

/** `<none>`, `<pending>` is what kubectl prints; so is the markup of a page. Everything else in angles is a word that may differ. */
function linePattern(line: string): string {
  return line
    .split(/(<[a-z-]+>)/)
    .map((part) => (/^<(?!none>|unset>|pending>|h1>)[a-z-]+>$/.test(part) ? "[^\\s,]+?" : escaped(part)))
    .join("");
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

export interface LabSurroundings {
  folder: string;
  environment: NodeJS.ProcessEnv;
}

/** What the shell prints for a command; its standard error is the user's to redirect. Never rejects. */
export async function runLabCommand(command: string, { folder, environment }: LabSurroundings): Promise<string> {
  try {
    const { stdout } = await run("/bin/bash", ["-c", command], { cwd: folder, env: environment, maxBuffer: 16 << 20 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    return stdout || stderr;
  }
}
