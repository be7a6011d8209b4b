/** What of a Corefile is followed: where names are forwarded to, by domain, and names written down in it. Pure. */
import { parseIp } from "../base/ip.ts";

export interface DnsSettings {
  /** By domain without the final dot, resolvers for it and everything below. The root, `""`, is for all the rest. */
  forwards: ReadonlyMap<string, readonly string[]>;
  /** Addresses by name (the `hosts` plugin). */
  hosts: ReadonlyMap<string, readonly string[]>;
}

export const noSettings: DnsSettings = { forwards: new Map(), hosts: new Map() };

/** Throws an Error that says what is wrong, with the line. Plugins that are not followed are passed over. */
export function parseCorefile(text: string): DnsSettings {
  const forwards = new Map<string, readonly string[]>();
  const hosts = new Map<string, string[]>();
  const lines = text.split("\n").map((line) => wordsOf(line));
  /** The open blocks: the domains of the server block, then the plugin's name. */
  const open: { domains: string[]; plugin?: string }[] = [];
  for (const [i, words] of lines.entries()) {
    if (words.length === 0) continue;
    const wrong = (what: string) => new Error(`Corefile:${i + 1}: ${what}`);
    const opens = words.at(-1) === "{";
    const block = open.at(-1);
    if (words[0] === "}") {
      if (!open.pop()) throw wrong("a } that closes nothing");
    } else if (!block) {
      if (!opens) throw wrong(`expected a server block, found ${JSON.stringify(words.join(" "))}`);
      open.push({ domains: words.slice(0, -1).map(domainOf) });
    } else if (block.plugin === undefined) {
      const [plugin, ...given] = opens ? words.slice(0, -1) : words;
      if (plugin === "forward") {
        const [from = ".", ...to] = given;
        const resolvers = to.filter((each) => !each.startsWith("/"));
        const bad = resolvers.find((each) => !isResolver(each));
        if (to.length === 0) throw wrong("forward needs somebody to ask");
        if (bad !== undefined) throw wrong(`cannot ask ${JSON.stringify(bad)}: an address, with a port or without`);
        // A file stands for the machine's own resolvers, who are asked anyway.
        const below = domainOf(from);
        for (const domain of block.domains) {
          if (resolvers.length > 0 && (below === "" || below === domain)) forwards.set(domain, resolvers);
          else if (resolvers.length > 0 && domain === "") forwards.set(below, resolvers);
        }
      }
      if (opens) open.push({ domains: block.domains, plugin: plugin ?? "" });
    } else if (block.plugin === "hosts") {
      const [address, ...names] = words;
      if (address === undefined || !parseIp(address)) continue; // fallthrough, ttl, reload
      for (const name of names.map((each) => each.toLowerCase().replace(/\.$/, "")))
        hosts.set(name, [...(hosts.get(name) ?? []), address]);
    } else if (opens) open.push(block);
  }
  if (open.length > 0) throw new Error("Corefile: a block is not closed");
  return { forwards, hosts };
}

function wordsOf(line: string): string[] {
  return line.replace(/#.*/, "").trim().split(/\s+/).filter(Boolean);
}

/** `dns://example.com.:53` is example.com. */
function domainOf(text: string): string {
  return text
    .replace(/^dns:\/\//, "")
    .replace(/:\d+$/, "")
    .toLowerCase()
    .replace(/\.$/, "");
}

function isResolver(text: string): boolean {
  const [, bracketed, bare] = /^(?:\[([^\]]+)\](?::\d+)?|([^:]+)(?::\d+)?)$/.exec(text) ?? [];
  return parseIp(bracketed ?? bare ?? text) !== undefined;
}
