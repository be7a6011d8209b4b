/** Proxies on the way to the API server: which one there is, and a tunnel through it (client-go's http.ProxyFromEnvironment and `proxy-url`). */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { systemAuthorities } from "./authorities.ts";

/**
 * The proxy that the environment names for a server, by $HTTPS_PROXY or $HTTP_PROXY (or in small letters); undefined for none.
 * Loopback addresses and what $NO_PROXY lists are reached without one.
 */
export function proxyFromEnvironment(server: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const { protocol, hostname: bracketed, port } = new URL(server);
  const name = protocol === "http:" ? "HTTP_PROXY" : "HTTPS_PROXY";
  const proxy = environment[name] || environment[name.toLowerCase()];
  if (!proxy) return undefined;
  const hostname = bracketed.replace(/^\[|\]$/g, "");
  if (hostname === "localhost" || hostname === "::1" || /^127\./.test(hostname)) return undefined;
  const exempt = (environment["NO_PROXY"] || environment["no_proxy"] || "").split(",").map((each) => each.trim());
  if (exempt.some((rule) => exempts(rule, hostname, port || (protocol === "http:" ? "80" : "443")))) return undefined;
  return proxy.includes("://") ? proxy : `http://${proxy}`;
}

/** `*`, an address, a block of addresses, a domain with those below it, `.domain` only for those below; each perhaps with a port. */
function exempts(rule: string, hostname: string, port: string): boolean {
  if (rule === "*") return true;
  const [, name = "", wantedPort] =
    /^(.*?)(?::(\d+))?$/.exec(isIP(rule) === 6 ? `[${rule}]` : rule.toLowerCase()) ?? [];
  const host = name.replace(/^\[|\]$/g, "");
  if (!host || (wantedPort && wantedPort !== port)) return false;
  if (host.includes("/")) return isIP(hostname) === 4 && isInBlock(hostname, host);
  if (host.startsWith(".")) return hostname.endsWith(host);
  return hostname === host || (isIP(host) === 0 && hostname.endsWith(`.${host.replace(/^\*\./, "")}`));
}

function isInBlock(address: string, block: string): boolean {
  const [base = "", length = ""] = block.split("/");
  if (isIP(base) !== 4) return false;
  const number = (text: string) => text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(length));
  return Math.floor(number(address) / size) === Math.floor(number(base) / size);
}

/** A stream to the server through the proxy: by CONNECT, or as SOCKS 5 has it. Rejects with an Error that says what the proxy did not do. */
export async function openTunnel(proxyUrl: string, server: string): Promise<Socket> {
  const proxy = new URL(proxyUrl);
  const { protocol, hostname, port } = new URL(server);
  const host = hostname.replace(/^\[|\]$/g, "");
  const target = { host, port: Number(port || (protocol === "http:" ? 80 : 443)) };
  switch (proxy.protocol) {
    case "http:":
    case "https:":
      return connectThrough(proxy, target);
    case "socks5:":
    case "socks5h:":
      return socksThrough(proxy, target);
    default:
      throw new Error(
        `proxyconnect tcp: unsupported scheme ${JSON.stringify(proxy.protocol.replace(":", ""))} of a proxy`,
      );
  }
}

interface Target {
  host: string;
  port: number;
}

async function reach(proxy: URL, defaultPort: number): Promise<Socket> {
  const host = proxy.hostname.replace(/^\[|\]$/g, "");
  const place = { host, port: Number(proxy.port || defaultPort) };
  const isTls = proxy.protocol === "https:";
  const socket = isTls
    ? connectTls({ ...place, servername: isIP(host) ? "" : host, ca: systemAuthorities() })
    : connectTcp(place);
  await new Promise<void>((resolve, reject) => {
    socket.once(isTls ? "secureConnect" : "connect", () => resolve());
    socket.once("error", (cause) => reject(new Error(`proxyconnect tcp: ${cause.message}`, { cause })));
  });
  return socket;
}

async function connectThrough(proxy: URL, { host, port }: Target): Promise<Socket> {
  const socket = await reach(proxy, proxy.protocol === "https:" ? 443 : 80);
  const where = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const login = credentialsOf(proxy);
  const proof = login && `Proxy-Authorization: Basic ${Buffer.from(login.join(":")).toString("base64")}\r\n`;
  socket.write(`CONNECT ${where} HTTP/1.1\r\nHost: ${where}\r\n${proof ?? ""}\r\n`);
  const head = await readUntil(socket, (bytes) => {
    const end = bytes.indexOf("\r\n\r\n");
    return end < 0 ? undefined : end + 4;
  });
  const [, status = "", reason = ""] = /^HTTP\/1\.\d (\d+) ?(.*)/.exec(head.toString("latin1")) ?? [];
  if (status === "200") return socket;
  socket.destroy();
  throw new Error(reason.trim() || `the proxy answered with the status ${status}`);
}

function credentialsOf({ username, password }: URL): [string, string] | undefined {
  return username ? [decodeURIComponent(username), decodeURIComponent(password)] : undefined;
}

/** RFC 1928, and RFC 1929 for a name and password. */
async function socksThrough(proxy: URL, { host, port }: Target): Promise<Socket> {
  const socket = await reach(proxy, 1080);
  const login = credentialsOf(proxy);
  const fail = (why: string): never => {
    socket.destroy();
    throw new Error(`socks connect tcp ${proxy.host}->${host}:${port}: ${why}`);
  };
  socket.write(Buffer.from(login ? [5, 2, 0, 2] : [5, 1, 0]));
  const method = (await readUntil(socket, (bytes) => (bytes.length >= 2 ? 2 : undefined)))[1];
  if (method === 2 && login) {
    const [name, password] = login.map((text) => Buffer.from(text)) as [Buffer, Buffer];
    socket.write(Buffer.concat([Buffer.from([1, name.length]), name, Buffer.from([password.length]), password]));
    const answer = await readUntil(socket, (bytes) => (bytes.length >= 2 ? 2 : undefined));
    if (answer[1] !== 0) fail("username/password authentication failed");
  } else if (method !== 0) fail("no acceptable authentication methods");
  const name = Buffer.from(host);
  socket.write(Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([port >> 8, port & 255])]));
  const answer = await readUntil(socket, (bytes) => {
    if (bytes.length < 5) return undefined;
    const length = bytes[3] === 1 ? 10 : bytes[3] === 4 ? 22 : 7 + bytes[4]!;
    return bytes.length >= length ? length : undefined;
  });
  if (answer[1] !== 0) fail(`the proxy refused with the code ${answer[1]}`);
  return socket;
}

/** The bytes up to where `lengthOf` says that an answer ends; those behind it stay in the socket. */
function readUntil(socket: Socket, lengthOf: (bytes: Buffer) => number | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const settle = (work: () => void) => {
      socket.off("readable", onReadable);
      socket.off("error", onError);
      socket.off("end", onEnd);
      work();
    };
    const onError = (cause: Error) => settle(() => reject(cause));
    const onEnd = () => settle(() => reject(new Error("the proxy closed the connection")));
    const onReadable = () => {
      for (let chunk = socket.read() as Buffer | null; chunk; chunk = socket.read() as Buffer | null) {
        bytes = Buffer.concat([bytes, chunk]);
      }
      const length = lengthOf(bytes);
      if (length === undefined) return;
      settle(() => {
        if (bytes.length > length) socket.unshift(bytes.subarray(length));
        resolve(bytes.subarray(0, length));
      });
    };
    socket.on("readable", onReadable);
    socket.once("error", onError);
    socket.once("end", onEnd);
  });
}
