import { execFile, execFileSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Service } from "../api/core/v1.ts";
import { silentLogger } from "../base/logger.ts";
import { DatagramBatch } from "../base/node/datagram-batch.ts";
import {
  boundSocketIn,
  connectIn,
  createNetns,
  deleteNetns,
  listenIn,
  netnsPath,
  udpSocketIn,
  udpSocketOn,
} from "../base/node/netns.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { seededRandom } from "../base/random.ts";
import { CachePlugin } from "./cache.ts";
import { ForwardPlugin, nameserversOf } from "./forward.ts";
import { KnownAnswers } from "./known-answers.ts";
import { KubernetesPlugin } from "./kubernetes.ts";
import { addressRecord, type Message, nameRecord, Rcode, RecordType } from "./message.ts";
import { chain } from "./plugin.ts";
import { serveTcp, serveUdp } from "./server.ts";
import { decodeMessage, encodeMessage } from "./wire.ts";
import { Zone } from "./zone.ts";

const name = `pnt-dns-${process.pid}`;
const path = netnsPath(name);
const random = seededRandom(1);
const zone = new Zone("cluster.local");
const closers: (() => void)[] = [];

/** What the stand-in for the host's resolver was asked, and what it answers. */
const asked: string[] = [];
let resolve: (request: Message, transport: "udp" | "tcp") => Partial<Message> | undefined;
let resolvers: string[];
const resolver = createSocket("udp4");
const resolverTcp = createServer();

function metadata(serviceName: string) {
  return {
    name: serviceName,
    namespace: "default",
    uid: "u",
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
  };
}

/** A socket in which a burst of packets finds room. */
const roomy = { receiveBytes: 4 << 20 };

function service(serviceName: string, clusterIP: string): Service {
  const spec = { clusterIP, clusterIPs: [clusterIP], ports: [{ port: 80 }] };
  return { kind: "Service", apiVersion: "v1", metadata: metadata(serviceName), spec, status: {} };
}

beforeAll(async () => {
  createNetns(name, () => {});
  execFileSync("ip", ["-n", name, "link", "set", "lo", "up"]);
  zone.addNamespace("default");
  zone.state("default/web", service("web", "10.96.0.20"), []);
  const many = Array.from({ length: 300 }, (_, i) => ({ addresses: [`10.244.${i >> 8}.${i & 255}`] }));
  zone.state(
    "default/many",
    { kind: "Service", apiVersion: "v1", metadata: metadata("many"), spec: { clusterIP: "None" }, status: {} },
    [
      {
        kind: "EndpointSlice",
        apiVersion: "discovery.k8s.io/v1",
        metadata: metadata("many"),
        addressType: "IPv4",
        ports: [],
        endpoints: many,
      },
    ],
  );

  const answerAs = (packet: Buffer, transport: "udp" | "tcp") => {
    const request = decodeMessage(packet);
    asked.push(`${request.questions[0]!.name} ${transport}`);
    const answer = resolve(request, transport);
    return answer && encodeMessage({ ...request, isResponse: true, recursionAvailable: true, ...answer });
  };
  resolver.on("message", (packet, from) => {
    const response = answerAs(packet, "udp");
    if (response) resolver.send(response, from.port, from.address);
  });
  resolverTcp.on("connection", (socket) =>
    socket.on("data", (data) => {
      const response = answerAs(data.subarray(2), "tcp")!;
      socket.write(Buffer.concat([Buffer.of(response.length >> 8, response.length & 255), response]));
    }),
  );
  // TCP chooses: its ports are the ones that this machine's other connections take as well.
  await new Promise<void>((done) => resolverTcp.listen(0, "127.0.0.1", done));
  const { port } = resolverTcp.address() as AddressInfo;
  await new Promise<void>((done) => resolver.bind(port, "127.0.0.1", done));
  closers.push(
    () => resolver.close(),
    () => resolverTcp.close(),
  );

  const forward = new ForwardPlugin({
    resolvers: () => resolvers,
    clock: systemClock,
    random,
    log: silentLogger,
    timeoutMs: 200,
  });
  const ask = chain([
    new KubernetesPlugin({ zone, random, serverAddresses: ["10.96.0.10"] }),
    new CachePlugin({ clock: systemClock }),
    forward,
  ]);
  const fd = boundSocketIn(path, "udp", "127.0.0.1", 53, roomy);
  const udp = await udpSocketOn(fd, "ipv4");
  serveUdp(udp, ask, { batch: new DatagramBatch(fd), known: new KnownAnswers(zone) });
  // As on a machine without the calls that take many packets.
  const plain = await udpSocketOn(boundSocketIn(path, "udp", "127.0.0.2", 53, roomy), "ipv4");
  serveUdp(plain, ask);
  const tcp = createServer();
  closers.push(
    () => udp.close(),
    () => plain.close(),
    serveTcp(tcp, ask),
    () => forward.close(),
  );
  await listenIn(tcp, path, "127.0.0.1", 53);
});

afterAll(() => {
  for (const close of closers) close();
  deleteNetns(name);
});

beforeEach(() => {
  asked.length = 0;
  resolvers = [`127.0.0.1:${resolver.address().port}`];
  resolve = (request) => ({ answers: [addressRecord(request.questions[0]!.name, Uint8Array.of(192, 0, 2, 1), 60)] });
});

/** The real dig, inside the namespace. */
async function dig(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)("ip", [
    "netns",
    "exec",
    name,
    "dig",
    "@127.0.0.1",
    "+time=3",
    "+tries=1",
    ...args,
  ]);
  return stdout;
}

test("dig is told a Service's address over UDP and TCP", async () => {
  expect(await dig("+short", "web.default.svc.cluster.local")).toBe("10.96.0.20\n");
  expect(await dig("+short", "+tcp", "web.default.svc.cluster.local")).toBe("10.96.0.20\n");
  expect(await dig("WEB.default.svc.Cluster.local")).toMatch(
    /^WEB\.default\.svc\.Cluster\.local\.\s+30\s+IN\s+A\s+10\.96\.0\.20$/m,
  );
  expect(await dig("nothing.default.svc.cluster.local")).toContain("status: NXDOMAIN");
});

describe("many questions at once", () => {
  const names = ["web", "WEB", "absent", "10-1-2-3.default.pod", "many"].map((each) =>
    each.endsWith(".pod") ? `${each}.cluster.local` : `${each}.default.svc.cluster.local`,
  );
  const packetOf = (id: number): Buffer => {
    return encodeMessage({ ...emptyQuestion, id, questions: [{ name: nameOf(id), type: RecordType.A, class: 1 }] });
  };
  const nameOf = (id: number) => (id % 7 === 0 ? `outside-${id % 3}.example` : names[id % names.length]!);

  test.each(["127.0.0.1", "127.0.0.2"])("each get their own answer, from %s", async (server) => {
    const socket = await udpSocketOn(boundSocketIn(path, "udp", "127.0.0.1", 0, roomy), "ipv4");
    try {
      const count = 500;
      const answered = new Map<number, Buffer>();
      const all = new Promise<void>((done) =>
        socket.on("message", (packet) => {
          answered.set(packet.readUInt16BE(0), packet);
          if (answered.size === count) done();
        }),
      );
      for (let id = 1; id <= count; id++) socket.send(packetOf(id), 53, server);
      await all;
      for (const [id, packet] of answered) {
        const { questions, rcode, answers, truncated } = decodeMessage(packet);
        expect(packet.includes(nameOf(id).split(".")[0]!)).toBe(true);
        expect(questions[0]!.name).toBe(nameOf(id).toLowerCase());
        if (nameOf(id).startsWith("outside")) continue; // Its resolver may be too slow here.
        expect(rcode).toBe(nameOf(id).startsWith("absent") ? Rcode.NXDOMAIN : Rcode.NOERROR);
        if (!nameOf(id).startsWith("many")) expect(answers.length).toBe(rcode === Rcode.NOERROR ? 1 : 0);
        expect(truncated).toBe(nameOf(id).startsWith("many"));
      }
    } finally {
      socket.close();
    }
  });
});

test("an answer that was given before is given anew once the zone has changed", async () => {
  const ask = () => dig("+short", "+nocookie", "moving.default.svc.cluster.local");
  expect(await ask()).toBe("");
  zone.state("default/moving", service("moving", "10.96.0.30"), []);
  expect([await ask(), await ask()]).toEqual(["10.96.0.30\n", "10.96.0.30\n"]);
  zone.state("default/moving", service("moving", "10.96.0.31"), []);
  expect(await ask()).toBe("10.96.0.31\n");
  zone.state("default/moving", undefined, []);
  expect(await ask()).toBe("");
});

test("an answer too long for a datagram is cut, and dig gets all of it over TCP", async () => {
  expect(await dig("+ignore", "+bufsize=512", "many.default.svc.cluster.local")).toMatch(/flags: qr aa tc/);
  expect((await dig("+short", "+bufsize=512", "many.default.svc.cluster.local")).trim().split("\n").length).toBe(300);
  expect(await dig("+ignore", "+noedns", "many.default.svc.cluster.local")).toMatch(/flags: qr aa tc/);
});

test("what is not the cluster's is asked of the host's resolver, once while it may be remembered", async () => {
  expect(await dig("+short", "one.example")).toBe("192.0.2.1\n");
  expect(await dig("+short", "one.example")).toBe("192.0.2.1\n");
  expect(asked).toEqual(["one.example udp"]);
});

test("that a name does not exist is remembered too", async () => {
  const soa = {
    kind: "soa",
    primary: "a",
    mailbox: "b",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum: 9,
  } as const;
  resolve = () => ({
    rcode: Rcode.NXDOMAIN,
    authority: [{ name: "example", type: RecordType.SOA, class: 1, ttl: 60, data: soa }],
  });
  expect(await dig("none.example")).toContain("NXDOMAIN");
  expect(await dig("none.example")).toContain("NXDOMAIN");
  expect(asked.length).toBe(1);
});

test("a truncated answer of the resolver is fetched over TCP", async () => {
  resolve = (request, transport) =>
    transport === "udp"
      ? { truncated: true }
      : { answers: [nameRecord(request.questions[0]!.name, RecordType.CNAME, "long.example", 5)] };
  expect(await dig("+short", "cut.example", "CNAME")).toBe("long.example.\n");
  expect(asked).toEqual(["cut.example udp", "cut.example tcp"]);
});

describe("a resolver that fails", () => {
  test("is passed over for the next one when it is silent or not there", async () => {
    resolvers = ["127.0.0.1:1", ...resolvers];
    for (const each of ["a", "b", "c", "d"]) expect(await dig("+short", `${each}.backup.example`)).toBe("192.0.2.1\n");
  });

  test("makes SERVFAIL, in time, when there is no other", async () => {
    resolve = () => undefined;
    expect(await dig("silent.example")).toContain("status: SERVFAIL");
    resolvers = [];
    expect(await dig("nobody.example")).toContain("status: SERVFAIL");
  });

  test("is not believed when it answers another question", async () => {
    resolve = () => ({ questions: [{ name: "other.example", type: 1, class: 1 }], answers: [] });
    expect(await dig("forged.example")).toContain("status: SERVFAIL");
  });
});

describe("ill-formed requests", () => {
  const exchange = async (bytes: Buffer): Promise<Message | "silence"> => {
    const socket: Socket = await udpSocketIn(path, "127.0.0.1", 0);
    try {
      socket.send(bytes, 53, "127.0.0.1");
      const [packet] = await once(socket, "message", { signal: AbortSignal.timeout(300) });
      return decodeMessage(packet);
    } catch {
      return "silence";
    } finally {
      socket.close();
    }
  };
  const header = (flags: number, questions: number) => [
    0x12,
    0x34,
    flags >> 8,
    flags & 255,
    0,
    questions,
    0,
    0,
    0,
    0,
    0,
    0,
  ];
  const question = [1, 97, 0, 0, 1, 0, 1];

  test.each<[string, number[], number]>([
    ["a pointer that loops", [...header(0x0100, 1), 0xc0, 12, 0, 1, 0, 1], Rcode.FORMERR],
    ["two questions", [...header(0x0100, 2), ...question, ...question], Rcode.FORMERR],
    ["no question", header(0x0100, 0), Rcode.FORMERR],
    ["an update", [...header(0x2800, 1), ...question], Rcode.NOTIMP],
    ["another class", [...header(0x0100, 1), 1, 97, 0, 0, 1, 0, 3], Rcode.REFUSED],
    [
      "EDNS of another version",
      [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, ...question, 0, 0, 41, 16, 0, 0, 7, 0, 0, 0, 0],
      Rcode.BADVERS,
    ],
  ])("%s is refused by its id", async (_, bytes, rcode) => {
    expect(await exchange(Buffer.from(bytes))).toMatchObject({ id: 0x1234, isResponse: true, rcode });
  });

  test.each<[string, number[]]>([
    ["a response", [...header(0x8100, 1), ...question]],
    ["a few bytes", [1, 2, 3]],
  ])("%s gets no answer", async (_, bytes) => expect(await exchange(Buffer.from(bytes))).toBe("silence"));

  test("a connection may send questions piecewise and several at once, and one with garbage is closed", async () => {
    const bytes = Buffer.from([0, 19, ...header(0x0100, 1), ...question]);
    const socket = connectIn(path, "127.0.0.1", 53);
    socket.write(Buffer.concat([bytes, bytes, bytes.subarray(0, 5)]));
    await once(socket, "data");
    socket.write(bytes.subarray(5));
    await once(socket, "data");
    socket.write(Buffer.from([0, 2, 1, 2]));
    await once(socket, "close", { signal: AbortSignal.timeout(1000) });
  });
});

const emptyQuestion: Message = {
  id: 0,
  isResponse: false,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: true,
  recursionAvailable: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [],
  answers: [],
  authority: [],
  additional: [],
};

test("nameservers are read from resolv.conf, but not our own", () => {
  const text =
    "# generated\nnameserver 127.0.0.53\n nameserver fe80::1%eth0\nnameserver 10.96.0.10\nsearch example\nnameserver nonsense\n";
  expect(nameserversOf(text, ["10.96.0.10"])).toEqual(["127.0.0.53", "fe80::1"]);
});
