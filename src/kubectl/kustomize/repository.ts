/** Which of a kustomization's paths mean git repositories, and what these are called; kustomize reads them so. Pure. */
import { normalize } from "node:path";

export interface Repository {
  /** As it stands in the kustomization; tells cycles. */
  raw: string;
  /** What git is asked for. */
  cloneUrl: string;
  /** In the repository; empty is its root. */
  folder: string;
  ref: string;
  timeoutSeconds: number;
  /** Whether what it links to is fetched, too. */
  withSubmodules: boolean;
}

/** Undefined for what is a path of this machine or cannot be read as a repository. */
export function repositoryOf(text: string): Repository | undefined {
  if (text.startsWith("/")) return undefined;
  const mark = text.indexOf("?");
  const [address, query] = mark < 0 ? [text, ""] : [text.slice(0, mark), text.slice(mark + 1)];
  const parts = hostAndPath(address.replace(/^git::/i, ""));
  if (!parts) return undefined;
  const { host, rest } = parts;
  const split = explicitSplit(rest) ?? lengthSplit(rest, host);
  if (!split?.[0]) return undefined;
  const folder = split[1].replace(/^\//, "");
  if (normalize(folder || ".").split("/")[0] === "..") return undefined;
  return { raw: text, cloneUrl: host + split[0], folder, ...options(query) };
}

function hostAndPath(address: string): { host: string; rest: string } | undefined {
  const scheme = /^(?:ssh|https?|file):\/\//i.exec(address)?.[0] ?? "";
  const afterScheme = address.slice(scheme.length);
  const user = /^[a-zA-Z][a-zA-Z0-9-]*@/.exec(afterScheme)?.[0] ?? "";
  const rest = afterScheme.slice(user.length);
  const isGithub = /^github\.com[/:]/i.test(rest);
  const mayUseColon = !scheme && (user !== "" || isGithub);
  if (!scheme && !mayUseColon) return undefined;
  const lowerScheme = scheme.toLowerCase();
  if (lowerScheme === "file://") return { host: lowerScheme, rest: user + rest };
  let end = rest.indexOf("/");
  const colon = rest.indexOf(":");
  if (mayUseColon && (end < 0 || (colon > 0 && colon < end))) end = colon;
  const host = end < 0 ? rest : rest.slice(0, end + 1);
  const path = end < 0 ? "" : rest.slice(end + 1);
  if (isGithub) {
    return lowerScheme === "ssh://" || user
      ? { host: `${user}github.com:`, rest: path }
      : { host: "https://github.com/", rest: path };
  }
  return host ? { host: lowerScheme + user + host, rest: path } : undefined;
}

/** Where the path itself says what is the repository: after `_git/`, before `//`, up to `.git`. */
function explicitSplit(path: string): [string, string] | undefined {
  const azure = path.indexOf("_git/");
  if (azure >= 0) {
    const [name = "", ...folders] = path.slice(azure + 5).split("/");
    return [path.slice(0, azure + 5) + name, folders.join("/")];
  }
  const slashes = path.indexOf("//");
  if (slashes >= 0) return [path.slice(0, slashes), path.slice(slashes + 2)];
  const suffix = path.indexOf(".git");
  return suffix >= 0 ? [path.slice(0, suffix + 4), path.slice(suffix + 4)] : undefined;
}

/** Elsewhere: an organization and a repository; on this machine all of it. */
function lengthSplit(path: string, host: string): [string, string] | undefined {
  if (host.startsWith("file://")) return [path, ""];
  const segments = path.split("/");
  return segments.length < 2 ? undefined : [segments.slice(0, 2).join("/"), segments.slice(2).join("/")];
}

function options(query: string): Pick<Repository, "ref" | "timeoutSeconds" | "withSubmodules"> {
  const values = new URLSearchParams(query);
  const submodules = values.get("submodules") ?? "";
  return {
    ref: values.get("ref") || values.get("version") || "",
    timeoutSeconds: seconds(values.get("timeout") ?? "") || 27,
    withSubmodules: !["false", "0", "f", "F", "FALSE", "False"].includes(submodules),
  };
}

/** `61`, `61s`, `1m1s`; 0 for what is no time. */
function seconds(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  if (!/^(?:\d+(?:\.\d+)?(?:h|m|s|ms))+$/.test(text)) return 0;
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };
  return [...text.matchAll(/([\d.]+)(ms|[hms])/g)].reduce((sum, [, n, unit]) => sum + Number(n) * units[unit!]!, 0);
}
