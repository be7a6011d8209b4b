/** The real kubectl, over each of its protocols, against a server that has one pod and these streams. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Server as TcpServer } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { findProgram } from "../../base/node/find-program.ts";
import { makeTestFolder } from "../../testing/test-homes.ts";
import type { TerminalSize } from "../runtime/container-runtime.ts";
import { servePortForward } from "./port-forward.ts";
import { type CommandStreams, serveRemoteCommand } from "./remote-command.ts";

let server: Server;
const cacheFolder = makeTestFolder("streaming");
let address: string;
let echo: TcpServer;
let seenSizes: TerminalSize[] = [];
let aborted: Promise<unknown> | undefined;

beforeAll(async () => {
  server = createServer((request, response) => {
    const answer = restAnswers[new URL(request.url!, "http://x").pathname];
    response.writeHead(answer ? 200 : 404, { "content-type": "application/json" });
    response.end(
      JSON.stringify(answer ?? { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 }),
    );
  });
  server.on("upgrade", (request, socket, head) => void upgrade(request, socket, head));
  address = await listening(server);
  echo = createTcpServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));
  await listening(echo);
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  echo.close();
  rmSync(cacheFolder, { recursive: true, force: true });
});

/** Commands of the pretended container. */
async function run(command: string[], streams: CommandStreams): Promise<number> {
  const [program, ...args] = command;
  switch (program) {
    case "cat":
      if (streams.stdin) for await (const chunk of streams.stdin) await write(streams.stdout, chunk as Buffer);
      streams.stdout?.end();
      return 0;
    case "both":
      await write(streams.stdout, Buffer.from("to stdout\n"));
      await write(streams.stderr, Buffer.from("to stderr\n"));
      return Number(args[0] ?? 0);
    case "flood":
      for (let i = 0; i < 4096; i++) await write(streams.stdout, Buffer.alloc(4096, "x"));
      return 0;
    case "burst":
      for (let i = 0; i < 1000; i++) streams.stdout?.write(`line ${i}\n`);
      streams.stdout?.end();
      return 0;
    case "sizes":
      void (async () => {
        for await (const size of streams.resize ?? []) seenSizes.push(size);
      })();
      await new Promise((resolve) => setTimeout(resolve, 200));
      await write(streams.stdout, Buffer.from(`${JSON.stringify(seenSizes)}\r\n`));
      return 0;
    case "wait":
      aborted = new Promise((resolve) =>
        streams.signal.addEventListener("abort", () => resolve(streams.signal.reason)),
      );
      await aborted;
      throw streams.signal.reason;
    default:
      throw new Error(`exec: "${program}": executable file not found in $PATH`);
  }
}

function write(to: NodeJS.WritableStream | undefined, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (!to) resolve();
    else to.write(bytes, () => resolve());
  });
}

async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  const { pathname, searchParams } = new URL(request.url!, "http://x");
  if (pathname.endsWith("/portforward")) {
    return servePortForward(request, socket, head, async (port) => {
      const target = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      await new Promise((resolve, reject) => target.once("connect", resolve).once("error", reject));
      return target;
    });
  }
  const flag = (name: string) => ["true", "1"].includes(searchParams.get(name) ?? "");
  const wanted = { stdin: flag("stdin"), stdout: flag("stdout"), stderr: flag("stderr"), tty: flag("tty") };
  await serveRemoteCommand(request, socket, head, wanted, (streams) => run(searchParams.getAll("command"), streams));
}

const restAnswers: Record<string, object> = {
  "/api": { kind: "APIVersions", versions: ["v1"] },
  "/apis": { kind: "APIGroupList", apiVersion: "v1", groups: [] },
  "/api/v1": {
    kind: "APIResourceList",
    groupVersion: "v1",
    resources: [{ name: "pods", singularName: "pod", namespaced: true, kind: "Pod", verbs: ["get", "list", "create"] }],
  },
  "/api/v1/namespaces/default/pods/web": {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name: "web", namespace: "default", uid: "1" },
    spec: { containers: [{ name: "web", image: "web" }] },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  },
};

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function kubectl(
  args: string[],
  protocol: "websocket" | "spdy",
  input?: string | Buffer,
): Promise<Outcome> & { child: ChildProcess } {
  const child = spawn(
    "kubectl",
    ["--kubeconfig=/dev/null", `--server=http://${address}`, `--cache-dir=${cacheFolder}`, ...args],
    {
      env: {
        ...process.env,
        KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(protocol === "websocket"),
        KUBECTL_PORT_FORWARD_WEBSOCKETS: String(protocol === "websocket"),
      },
    },
  );
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  const outcome = Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once("exit", resolve)),
  ]).then(([stdout, stderr, code]) => ({ code, stdout, stderr }));
  return Object.assign(outcome, { child });
}

describe.runIf(findProgram("kubectl")).each(["websocket", "spdy"] as const)("kubectl over %s", (protocol) => {
  test("exec gives back output, errors and exit code", async () => {
    expect(await kubectl(["exec", "web", "--", "both"], protocol)).toEqual({
      code: 0,
      stdout: "to stdout\n",
      stderr: "to stderr\n",
    });
    expect(await kubectl(["exec", "web", "--", "both", "7"], protocol)).toEqual({
      code: 7,
      stdout: "to stdout\n",
      stderr: "to stderr\ncommand terminated with exit code 7\n",
    });
  });

  test("a command that cannot be run says why", async () => {
    const { code, stderr } = await kubectl(["exec", "web", "--", "missing"], protocol);
    expect([code, stderr]).toEqual([1, expect.stringContaining('exec: "missing": executable file not found in $PATH')]);
  });

  test("the end of the input is passed on, and what was read before it comes back", async () => {
    const sent = "0123456789abcde\n".repeat(100_000);
    const { code, stdout } = await kubectl(["exec", "-i", "web", "--", "cat"], protocol, sent);
    expect([code, stdout.length, stdout === sent]).toEqual([0, sent.length, true]);
  });

  test("sixteen megabytes arrive whole", async () => {
    const { code, stdout } = await kubectl(["exec", "web", "--", "flood"], protocol);
    expect([code, stdout.length]).toEqual([0, 16 << 20]);
  });

  test("the command's end does not overtake what it printed last", async () => {
    const { code, stdout } = await kubectl(["exec", "web", "--", "burst"], protocol);
    expect([code, stdout.split("\n").length]).toEqual([0, 1001]);
  });

  test("a client that goes away ends the command", async () => {
    aborted = undefined;
    const running = kubectl(["exec", "web", "--", "wait"], protocol);
    await expect.poll(() => aborted !== undefined, { timeout: 10_000 }).toBe(true);
    running.child.kill("SIGKILL");
    expect(String(await aborted)).toContain("the client went away");
  });

  test.runIf(findProgram("script"))("a terminal's size is sent", async () => {
    seenSizes = [];
    const environment = `KUBECTL_REMOTE_COMMAND_WEBSOCKETS=${protocol === "websocket"}`;
    const command = `stty rows 33 columns 111; ${environment} kubectl --kubeconfig=/dev/null --server=http://${address} exec -it web -- sizes`;
    const output = runInTerminal("script", ["-qec", command, "/dev/null"]);
    await output;
    expect(seenSizes[0]).toEqual({ columns: 111, rows: 33 });
  });

  test("port-forward carries several connections at once, half-closes, and says what is refused", async () => {
    const echoPort = (echo.address() as AddressInfo).port;
    const forwarding = kubectl(["port-forward", "web", `:${echoPort}`, ":1"], protocol);
    const ports = await new Promise<number[]>((resolve) => {
      let seen = "";
      forwarding.child.stdout!.on("data", (chunk: Buffer) => {
        seen += chunk.toString();
        const found = [...seen.matchAll(/127\.0\.0\.1:(\d+) ->/g)].map((match) => Number(match[1]));
        if (found.length === 2) resolve(found);
      });
    });
    try {
      const answers = await Promise.all(
        Array.from({ length: 10 }, async (_, i) => {
          const socket = connect({ port: ports[0]!, host: "127.0.0.1", allowHalfOpen: true });
          socket.end(`${i}`.repeat(200_000));
          return text(socket);
        }),
      );
      expect(answers.map((answer, i) => answer === `${i}`.repeat(200_000))).toEqual(Array(10).fill(true));
      const refused = connect({ port: ports[1]!, host: "127.0.0.1" });
      expect(await text(refused).catch(() => "")).toBe("");
    } finally {
      forwarding.child.kill("SIGKILL");
    }
    expect((await forwarding).stderr).toMatch(/error forwarding port 1 to pod.*ECONNREFUSED/);
  });
});

/** What comes on each channel until the server closes, or `isEnough`; `send` is sent at once. */
async function channelsOf(
  path: string,
  protocols: string[],
  send: readonly Buffer[] = [],
  isEnough: (got: readonly Buffer[]) => boolean = () => false,
): Promise<Buffer[]> {
  const socket = new WebSocket(`ws://${address}/api/v1/namespaces/default/pods/web/${path}`, protocols);
  const isText = protocols.some((protocol) => protocol.includes("base64"));
  const got: Buffer[] = [];
  socket.on("message", (data: Buffer) => {
    const text = data.toString("latin1");
    const [number, payload] = isText
      ? [Number(text[0]), Buffer.from(text.slice(1), "base64")]
      : [data[0]!, data.subarray(1)];
    got[number] = Buffer.concat([got[number] ?? Buffer.alloc(0), payload]);
    if (isEnough(got)) socket.close();
  });
  socket.once("open", () => {
    for (const payload of send)
      socket.send(isText ? `0${payload.toString("base64")}` : Buffer.concat([Buffer.of(0), payload]));
  });
  await new Promise((resolve, reject) => socket.once("close", resolve).once("error", reject));
  return got;
}

describe("WebSocket clients other than kubectl", () => {
  const status = expect.stringContaining('"reason":"NonZeroExitCode"');
  test.each([
    [["v5.channel.k8s.io"], status],
    [["v4.channel.k8s.io"], status],
    [["v4.base64.channel.k8s.io"], status],
    [["channel.k8s.io"], "command terminated with non-zero exit code: exit status 3"],
    [["base64.channel.k8s.io"], "command terminated with non-zero exit code: exit status 3"],
    [[], "command terminated with non-zero exit code: exit status 3"],
  ])("exec over %j", async (protocols, outcome) => {
    const got = await channelsOf("exec?command=both&command=3&stdout=1&stderr=1", protocols);
    expect(got.slice(1).map(String)).toEqual(["to stdout\n", "to stderr\n", outcome]);
  });

  test("the oldest protocols say nothing of what went well", async () => {
    expect((await channelsOf("exec?command=both&stdout=1", ["channel.k8s.io"])).slice(1).map(String)).toEqual([
      "to stdout\n",
    ]);
  });

  test.each([["v4.channel.k8s.io"], ["v4.base64.channel.k8s.io"]])("port-forward over %s", async (protocol) => {
    const { port } = echo.address() as AddressInfo;
    const sent = Buffer.from("echo".repeat(50_000));
    const number = Buffer.of(port & 255, port >> 8);
    const isBack = (got: readonly Buffer[]) => got[0]?.length === 2 + sent.length;
    const [data, error] = await channelsOf(`portforward?ports=${port}`, [protocol], [sent], isBack);
    expect([data!.equals(Buffer.concat([number, sent])), error!.equals(number)]).toEqual([true, true]);
  });

  test("a port that nobody listens on is told on its error channel, beside one that answers", async () => {
    const { port } = echo.address() as AddressInfo;
    const both = (got: readonly Buffer[]) => got[0]?.length === 7 && (got[3]?.length ?? 0) > 2;
    const got = await channelsOf(`portforward?ports=${port},1`, ["v4.channel.k8s.io"], [Buffer.from("hello")], both);
    expect(got[0]!.subarray(2).toString()).toBe("hello");
    expect(got[3]!.subarray(2).toString()).toMatch(/^error forwarding port 1 to pod.*ECONNREFUSED/);
  });

  test.each([
    ["portforward", 'query parameter "port" is required'],
    ["portforward?ports=0", 'port "0" must be > 0'],
    ["portforward?ports=99999", 'unable to parse "99999" as a port'],
  ])("%s is refused", async (path, message) => {
    const socket = new WebSocket(`ws://${address}/api/v1/namespaces/default/pods/web/${path}`, ["v4.channel.k8s.io"]);
    socket.on("error", () => {});
    const answer = await new Promise<IncomingMessage>((resolve) =>
      socket.once("unexpected-response", (_, response) => resolve(response)),
    );
    expect([answer.statusCode, await text(answer)]).toEqual([400, `${message}\n`]);
  });
});

async function runInTerminal(file: string, args: string[]): Promise<string> {
  const child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
  const [stdout] = await Promise.all([text(child.stdout), new Promise((resolve) => child.once("exit", resolve))]);
  return stdout;
}

function listening(target: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): AddressInfo | string | null;
}): Promise<string> {
  return new Promise((resolve) => {
    target.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(target.address() as AddressInfo).port}`));
  });
}
