/** Names that the Corefile writes down, and domains that it has others answer for (CoreDNS' hosts and forward plugins). */
import { parseIp } from "../base/ip.ts";
import { type DnsSettings, noSettings } from "./corefile.ts";
import { type ForwardOptions, ForwardPlugin } from "./forward.ts";
import { type Answer, addressRecord, Rcode, RecordType } from "./message.ts";
import type { Next, Plugin, Query } from "./plugin.ts";

const ttlSeconds = 30;

export class SettingsPlugin implements Plugin {
  readonly name = "settings";
  readonly #options: Omit<ForwardOptions, "resolvers">;
  #settings: DnsSettings = noSettings;
  #forwards = new Map<string, ForwardPlugin>();

  constructor(options: Omit<ForwardOptions, "resolvers">) {
    this.#options = options;
  }

  /** Holds from the next question on. */
  use(settings: DnsSettings): void {
    const before = this.#forwards;
    this.#settings = settings;
    this.#forwards = new Map(
      [...settings.forwards].map(([domain, resolvers]) => [
        domain,
        new ForwardPlugin({ ...this.#options, resolvers: () => resolvers }),
      ]),
    );
    for (const forward of before.values()) forward.close();
  }

  close(): void {
    for (const forward of this.#forwards.values()) forward.close();
  }

  answer(query: Query, next: Next): Answer | Promise<Answer> {
    const addresses = this.#settings.hosts.get(query.name);
    if (addresses) {
      const records = addresses.flatMap((address) => {
        const bytes = parseIp(address);
        return bytes ? addressRecord(query.name, bytes, ttlSeconds) : [];
      });
      const answers = records.filter(({ type }) => type === query.type || query.type === RecordType.ANY);
      return { rcode: Rcode.NOERROR, authoritative: true, answers, authority: [], additional: [] };
    }
    // The longest domain that the name is in.
    for (let domain = query.name; ; ) {
      const forward = this.#forwards.get(domain);
      if (forward) return forward.answer(query, next);
      if (domain === "") return next(query);
      const dot = domain.indexOf(".");
      domain = dot < 0 ? "" : domain.slice(dot + 1);
    }
  }
}
