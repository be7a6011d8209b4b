import { createSocket } from "node:dgram";
import { once } from "node:events";
import { expect, test } from "vitest";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { systemRandom } from "../base/node/system-random.ts";
import { parseCorefile } from "./corefile.ts";
import { addressRecord, classInternet, Rcode, RecordType } from "./message.ts";
import { chain, failure } from "./plugin.ts";
import { SettingsPlugin } from "./settings-plugin.ts";
import { decodeMessage, encodeMessage } from "./wire.ts";

const corefile = `
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       ttl 30
    }
    hosts {
       192.0.2.7 Lab.Example other.example  # two names
       fd00::7 lab.example
       fallthrough
    }
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
}
consul.local:53 corp.example. {
    forward . 10.150.0.1 [fd00::1]:5353
}
`;

test("a Corefile says who answers for which domain, and which names are written down", () => {
  const { forwards, hosts } = parseCorefile(corefile);
  expect(Object.fromEntries(forwards)).toEqual({
    "consul.local": ["10.150.0.1", "[fd00::1]:5353"],
    "corp.example": ["10.150.0.1", "[fd00::1]:5353"],
  });
  expect(Object.fromEntries(hosts)).toEqual({
    "lab.example": ["192.0.2.7", "fd00::7"],
    "other.example": ["192.0.2.7"],
  });
  expect(
    Object.fromEntries(parseCorefile(".:53 {\nforward . 192.0.2.53:5353\nforward a.example 192.0.2.1\n}").forwards),
  ).toEqual({
    "": ["192.0.2.53:5353"],
    "a.example": ["192.0.2.1"],
  });
});

test("mistakes are told with their line", () => {
  const mistake = (text: string) => () => parseCorefile(text);
  expect(mistake(".:53 {\n forward . dns.example\n}")).toThrow('Corefile:2: cannot ask "dns.example"');
  expect(mistake(".:53 {\n forward .\n}")).toThrow("Corefile:2: forward needs somebody to ask");
  expect(mistake(".:53 {\n errors\n")).toThrow("a block is not closed");
  expect(mistake("forward . 192.0.2.1")).toThrow("Corefile:1: expected a server block");
  expect(mistake(".:53 {\n}\n}")).toThrow("Corefile:3: a } that closes nothing");
});

test("a stub domain's resolver answers for what is below it, and for nothing else", async () => {
  const resolver = createSocket("udp4");
  resolver.on("message", (packet, { port, address }) => {
    const request = decodeMessage(packet);
    const answers = [addressRecord(request.questions[0]!.name, Uint8Array.of(192, 0, 2, 99), 5)];
    resolver.send(encodeMessage({ ...request, isResponse: true, answers }), port, address);
  });
  resolver.bind(0, "127.0.0.1");
  await once(resolver, "listening");
  const plugin = new SettingsPlugin({ clock: systemClock, random: systemRandom, log: silentLogger });
  plugin.use({
    forwards: new Map([["corp.example", [`127.0.0.1:${resolver.address().port}`]]]),
    hosts: new Map([["lab.example", ["192.0.2.7"]]]),
  });
  const ask = chain([plugin, { name: "rest", answer: () => failure(Rcode.NXDOMAIN) }]);
  const answer = async (name: string, type: number = RecordType.A) => {
    const question = { name, type, class: classInternet, checkingDisabled: false, dnssecOk: false };
    const { rcode, answers } = await ask(question);
    return rcode === Rcode.NOERROR
      ? answers.map(({ data }) => (data.kind === "bytes" ? data.bytes.join(".") : ""))
      : rcode;
  };
  try {
    expect(await answer("corp.example")).toEqual(["192.0.2.99"]);
    expect(await answer("deep.below.corp.example")).toEqual(["192.0.2.99"]);
    expect(await answer("notcorp.example")).toBe(Rcode.NXDOMAIN);
    expect(await answer("lab.example")).toEqual(["192.0.2.7"]);
    expect(await answer("lab.example", RecordType.AAAA)).toEqual([]);
    plugin.use({ forwards: new Map(), hosts: new Map() });
    expect(await answer("corp.example")).toBe(Rcode.NXDOMAIN);
  } finally {
    plugin.close();
    resolver.close();
  }
});
