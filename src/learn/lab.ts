/** The labs that come with Pinnace: their documents cut into steps, and what the cluster must show for each. Pure. */
import { parse } from "yaml";

export type Language = "en" | "ko";

/** What of the cluster shows that a step is done. All that is named must hold. */
export interface StepChecks {
  pods?: { labels: string; ready: number; image?: string; replaced?: boolean };
  service?: ServiceCheck;
  services?: ServiceCheck[];
  deployment?: { name: string; image?: string; strategy?: string; revision?: string };
  replicaSets?: { labels: string; count: number };
  /** Phases by pod. */
  statuses?: Record<string, string>;
  configMap?: { name: string; namespace: string; contains: string };
  pool?: string;
  /** A target as `pinnace why` takes it, or `node-port/SERVICE`. A real packet goes there. */
  reaches?: string;
  /** A port of this machine. */
  listens?: number;
  gone?: string[];
}

export interface ServiceCheck {
  name: string;
  type?: string;
  endpoints?: number;
  nodePort?: number;
  address?: string;
  affinity?: string;
  externalName?: string;
}

export interface LabPlan {
  name: string;
  steps: StepChecks[];
}

/** The content of docs/labs/steps.yaml. */
export function parseSteps(text: string): LabPlan[] {
  return parse(text) as LabPlan[];
}

export interface LabDocument {
  title: string;
  /** The cluster file, beside the folders of the languages. */
  clusterFile: string;
  introduction: string;
  steps: { title: string; text: string; files: { name: string; content: string }[] }[];
}

/** Throws when the document names no cluster file. */
export function parseDocument(markdown: string): LabDocument {
  const [head = "", ...sections] = markdown.split(/^## (?:\d+\. )?/m);
  const clusterFile = /\]\(\.\.\/([\w-]+\.yaml)\)/.exec(head)?.[1];
  if (!clusterFile) throw new Error("the lab names no cluster file");
  return {
    title: /^# (.*)$/m.exec(head)?.[1] ?? "",
    clusterFile,
    introduction: head.split("\n").slice(4).join("\n").trim(),
    steps: sections.map((section) => {
      const end = section.indexOf("\n");
      const text = section.slice(end + 1).trim();
      const files = [...text.matchAll(/^```\w+ file=(\S+)\n(.*?)^```$/gms)].map(([, name = "", content = ""]) => ({
        name,
        content,
      }));
      return { title: section.slice(0, end), text, files };
    }),
  };
}

/** A step for the terminal: files and commands are set in, what a command prints is dim. */
export function printStep(text: string, { isColoured = false }: { isColoured?: boolean } = {}): string {
  const paint = (code: string, part: string) => (isColoured && part !== "" ? `\u001b[${code}m${part}\u001b[0m` : part);
  return text.replace(/^```([^\n]*)\n(.*?)^```$/gms, (_, info: string, body: string) => {
    const file = /file=(\S+)/.exec(info)?.[1];
    const lines = body.trimEnd().split("\n");
    const shown = lines.map((line) =>
      file ? `    ${line}` : line.startsWith("$ ") ? `  ${paint("1", line)}` : `  ${paint("2", line)}`,
    );
    return [...(file ? [`  ${paint("36", file)}:`] : []), ...shown].join("\n");
  });
}
