/**
 * The images called `pinnace.local/…`, assembled on this machine from its own programs when they are first asked for: the demo
 * works, and labs can be done, with no network. Programs come with exactly the libraries that they load.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Logger } from "../../base/logger.ts";
import { spawnProcess } from "../../base/node/spawn-process.ts";
import { assembleImage, type LayerEntries, type RunConfig } from "./assemble.ts";
import { firstExisting, programClosure } from "./closure.ts";
import { unpackDebianPackage } from "./debian-package.ts";
import { ImageError } from "./image-service.ts";
import type { FetchedImage, ImageSource, ImageTarget } from "./image-store.ts";
import { formatReference, type ImageReference } from "./reference.ts";

export interface LocalImagesOptions {
  findProgram: (name: string) => string | undefined;
  logger: Logger;
  /** For tests: what the demo image runs. Default: nginx where there is one, else Node. */
  echoServer?: "nginx" | "node";
}

export class LocalImages implements ImageSource {
  readonly #options: LocalImagesOptions;
  /** Packages taken apart while an image is assembled. */
  #unpacked: string[] = [];

  constructor(options: LocalImagesOptions) {
    this.#options = options;
  }

  /** For `pinnace image ls` and documentation. */
  static readonly names = Object.keys(catalogue()).map((name) => `pinnace.local/${name}`);

  async fetch(reference: ImageReference, target: ImageTarget): Promise<FetchedImage> {
    const name = formatReference(reference);
    const recipe = catalogue()[name.replace(/^pinnace\.local\//, "")];
    if (!recipe) throw new ImageError("NotFound", `${name}: not found: there are ${LocalImages.names.join(", ")}`);
    try {
      const { layers, config } = await recipe(new Ingredients(this.#options, this.#unpacked));
      return await assembleImage(layers, config, target);
    } finally {
      for (const folder of this.#unpacked.splice(0)) rmSync(folder, { recursive: true, force: true });
    }
  }
}

interface Recipe {
  layers: LayerEntries[];
  config: RunConfig;
}

function catalogue(): Record<string, (from: Ingredients) => Promise<Recipe>> {
  return {
    /** The demo: says hello with its host name on port 8080, or $PORT. */
    "echo:1": (from) => echo(from, { port: 8080, answer: "Hello, $hostname\n" }),
    /** The same on port 80. */
    "echo-hostname:1": (from) => echo(from, { port: 80, answer: "Hello, $hostname\n" }),
    /** For benchmarks: the bare host name on port 80. */
    "hostname:1": (from) => echo(from, { port: 80, answer: "$hostname\n" }),
    /** The page of the labs' echo-hostname, with the line that they look for. */
    "hostname-page:1": (from) =>
      echo(from, { port: 80, answer: "<blockquote>\n\t<p>Hello,  $hostname</p>\t</blockquote>\n" }),
    /** The labs' hello-server, by what its versions say. */
    "hello-server:1.0": (from) => echo(from, { port: 8080, answer: "Hello, world!\n" }),
    "hello-server:1.2": (from) => echo(from, { port: 8080, answer: "Hello, world! Let's learn Kubernetes!\n" }),
    "nginx:1": nginx,
    /** Holds a pod's namespaces open for containerd, and buries who dies in a shared one. */
    "pause:1": async (from) => ({
      layers: [await from.base()],
      config: { Entrypoint: ["/bin/ash", "-c", pause], Env: [path], Labels: labels("waits, and does nothing else") },
    }),
    "busybox:1": async (from) => ({
      layers: [await from.base(), await from.tools(["curl"])],
      config: { Cmd: ["sh"], Env: [path], Labels: labels("busybox and curl") },
    }),
  };
}

/** What images are made of. Layers are the same for all images that have them, and so are stored once. */
class Ingredients {
  readonly #options: LocalImagesOptions;
  readonly #unpacked: string[];

  constructor(options: LocalImagesOptions, unpacked: string[]) {
    this.#options = options;
    this.#unpacked = unpacked;
  }

  get echoServer(): "nginx" | "node" | undefined {
    return this.#options.echoServer;
  }

  /** A small root: busybox under all its names, root and nobody, somewhere to write. */
  async base(): Promise<LayerEntries> {
    const busybox = await this.#program("busybox", ["busybox-static", "busybox"], ["bin/busybox", "usr/bin/busybox"]);
    if (!busybox) throw missing("busybox", "busybox-static");
    const entries: LayerEntries = new Map();
    await this.#addProgram(entries, busybox, "/bin/busybox");
    for (const name of await appletsOf(busybox))
      if (name !== "busybox") entries.set(`/bin/${name}`, { kind: "link", to: "busybox" });
    for (const folder of ["/dev", "/proc", "/sys", "/run", "/usr/bin", "/usr/sbin", "/var/log", "/home"])
      entries.set(folder, { kind: "directory" });
    for (const folder of ["/tmp", "/var/tmp"]) entries.set(folder, { kind: "directory", mode: 0o1777 });
    entries.set("/root", { kind: "directory", mode: 0o700 });
    entries.set("/var/run", { kind: "link", to: "/run" });
    entries.set("/usr/bin/env", { kind: "link", to: "/bin/busybox" });
    const text = (name: string, content: string) => entries.set(name, { kind: "text", content });
    text(
      "/etc/passwd",
      "root:x:0:0:root:/root:/bin/sh\nnginx:x:101:101:nginx:/nonexistent:/bin/false\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    );
    text("/etc/group", "root:x:0:\ntty:x:5:\nnginx:x:101:\nnogroup:x:65534:\n");
    text("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    text("/etc/profile", `export ${path}\n`);
    return entries;
  }

  /** Further programs, each with its libraries; bash with what makes it pleasant, curl with the certificates it trusts. */
  async tools(names: readonly ("bash" | "curl")[]): Promise<LayerEntries> {
    const entries: LayerEntries = new Map();
    for (const name of names) {
      const program = await this.#program(name, [name], [`bin/${name}`, `usr/bin/${name}`]);
      if (!program) {
        this.#options.logger.warn("a local image goes without a program that this machine lacks", { program: name });
        continue;
      }
      await this.#addProgram(entries, program, name === "bash" ? "/bin/bash" : `/usr/bin/${name}`);
    }
    if (names.includes("bash")) {
      entries.set("/etc/bash.bashrc", { kind: "text", content: "PS1='\\u@\\h:\\w\\$ '\n" });
      entries.set("/root/.bashrc", { kind: "text", content: "PS1='\\u@\\h:\\w\\$ '\n" });
    }
    for (const terminal of ["xterm", "xterm-256color", "linux", "vt100", "screen"]) {
      const found = firstExisting(
        ...["/lib/terminfo", "/usr/share/terminfo", "/etc/terminfo"].map((each) => join(each, terminal[0]!, terminal)),
      );
      if (found) entries.set(`/usr/share/terminfo/${terminal[0]}/${terminal}`, { kind: "file", from: found });
    }
    const certificates = firstExisting(
      "/etc/ssl/certs/ca-certificates.crt",
      "/etc/pki/tls/certs/ca-bundle.crt",
      "/etc/ssl/cert.pem",
    );
    if (certificates) entries.set("/etc/ssl/certs/ca-certificates.crt", { kind: "file", from: certificates });
    return entries;
  }

  /** nginx and the folders that it expects. Undefined when there is none to be had. */
  async nginx(): Promise<LayerEntries | undefined> {
    const program = await this.#program("nginx", ["nginx", "nginx-light", "nginx-core"], ["usr/sbin/nginx"]);
    if (!program) return undefined;
    const entries: LayerEntries = new Map();
    await this.#addProgram(entries, program, "/usr/sbin/nginx");
    for (const folder of ["/var/lib/nginx", "/var/log/nginx", "/run", "/etc/nginx/conf.d"])
      entries.set(folder, { kind: "directory" });
    for (const name of ["body", "proxy", "fastcgi", "uwsgi", "scgi"])
      entries.set(`/var/lib/nginx/${name}`, { kind: "directory", mode: 0o700 });
    return entries;
  }

  /** Node, where there is no nginx: fifteen times its memory, but always there. */
  async node(): Promise<LayerEntries> {
    const entries: LayerEntries = new Map();
    await this.#addProgram(entries, process.execPath, "/usr/bin/node");
    return entries;
  }

  async #program(name: string, packages: readonly string[], paths: readonly string[]): Promise<string | undefined> {
    const installed = this.#options.findProgram(name);
    if (installed) return installed;
    this.#options.logger.info("downloading a package for a local image", { program: name });
    for (const path of paths) {
      const folder = await unpackDebianPackage(packages, path, this.#options.findProgram);
      if (!folder) continue;
      this.#unpacked.push(folder);
      return join(folder, "root", path);
    }
    return undefined;
  }

  async #addProgram(entries: LayerEntries, program: string, at: string): Promise<void> {
    const ldd = this.#options.findProgram("ldd");
    if (!ldd) throw new ImageError("Internal", "cannot assemble images: this machine has no `ldd`");
    try {
      for (const [path, from] of await programClosure(program, at, ldd))
        entries.set(path, { kind: "file", from, mode: 0o755 });
    } catch (error) {
      throw new ImageError("Internal", `cannot assemble an image with ${program}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
}

async function echo(from: Ingredients, { port, answer }: { port: number; answer: string }): Promise<Recipe> {
  const nginx = from.echoServer === "node" ? undefined : await from.nginx();
  if (!nginx && from.echoServer === "nginx") throw missing("nginx", "nginx");
  const program: LayerEntries = new Map([
    ["/usr/bin/echo-server", { kind: "text", content: nginx ? nginxEcho : nodeEcho, mode: 0o755 }],
  ]);
  return {
    layers: [await from.base(), nginx ?? (await from.node()), program],
    config: {
      Entrypoint: ["/usr/bin/echo-server"],
      Env: [path, `PORT=${port}`, `ANSWER=${answer}`],
      ExposedPorts: { [`${port}/tcp`]: {} },
      Labels: labels(`a server that answers with its host name, on ${nginx ? "nginx" : "Node"}`),
    },
  };
}

/** The shell's wait collects whoever has lost their parent. */
const pause = "sleep 2147483647 & while :; do wait; done";

/** One process of one and a half megabytes of its own; its configuration goes where even a read-only container can write. */
const nginxEcho = `#!/bin/sh
listen="listen $PORT;"
[ -e /proc/net/if_inet6 ] && listen="$listen listen [::]:$PORT;"
conf=/dev/shm/echo-$PORT.conf
cat >"$conf" <<END
daemon off; master_process off; user root; pid /dev/null; error_log stderr;
events { worker_connections 1024; }
http {
  access_log off; server_tokens off; keepalive_requests 1000000000; default_type text/plain;
  server {
    $listen
    location / { return 200 "$ANSWER"; }
    location = /hostname { return 200 "\\$hostname\\n"; }
    location = /healthz { return 200 "ok\\n"; }
  }
}
END
exec nginx -e stderr -c "$conf"
`;

const nodeEcho = `#!/usr/bin/env node
const { createServer } = require("node:http");
const { hostname } = require("node:os");
const { PORT, ANSWER } = process.env;
const answers = { "/hostname": hostname() + "\\n", "/healthz": "ok\\n" };
const server = createServer((request, response) => {
  response.setHeader("content-type", "text/plain");
  response.end(answers[request.url] ?? ANSWER.replace("$hostname", hostname()));
}).listen(Number(PORT));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
`;

/** Laid out as Docker's official image: the page in /usr/share/nginx/html, settings in /etc/nginx/conf.d, logs to the container's. */
async function nginx(from: Ingredients): Promise<Recipe> {
  const program = await from.nginx();
  if (!program) throw missing("nginx", "nginx");
  const settings: LayerEntries = new Map();
  const text = (path: string, content: string, mode?: number) => settings.set(path, { kind: "text", content, mode });
  text("/etc/nginx/nginx.conf", nginxConf);
  text("/etc/nginx/conf.d/default.conf", defaultServer);
  text("/etc/nginx/mime.types", mimeTypes);
  text("/usr/share/nginx/html/index.html", welcomePage);
  text("/usr/share/nginx/html/50x.html", errorPage);
  settings.set("/var/log/nginx/access.log", { kind: "link", to: "/dev/stdout" });
  settings.set("/var/log/nginx/error.log", { kind: "link", to: "/dev/stderr" });
  settings.set("/var/cache/nginx", { kind: "directory", owner: 101 });
  return {
    layers: [await from.base(), await from.tools(["bash", "curl"]), program, settings],
    config: {
      Cmd: ["nginx", "-g", "daemon off;"],
      Env: [path],
      StopSignal: "SIGQUIT",
      ExposedPorts: { "80/tcp": {} },
      Labels: labels("this machine's nginx, with bash, curl and busybox"),
    },
  };
}

const nginxConf = `user nginx;
worker_processes 1;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';
  access_log /var/log/nginx/access.log main;
  sendfile on;
  keepalive_timeout 65;
  include /etc/nginx/conf.d/*.conf;
}
`;

const defaultServer = `server {
  listen 80;
  server_name localhost;
  location / {
    root /usr/share/nginx/html;
    index index.html index.htm;
  }
  error_page 500 502 503 504 /50x.html;
  location = /50x.html { root /usr/share/nginx/html; }
}
`;

const mimeTypes = `types {
  text/html html htm;
  text/css css;
  text/plain txt;
  text/xml xml;
  application/javascript js;
  application/json json;
  image/png png;
  image/jpeg jpeg jpg;
  image/gif gif;
  image/svg+xml svg;
  image/x-icon ico;
  font/woff2 woff2;
  application/pdf pdf;
  application/wasm wasm;
  application/zip zip;
}
`;

const welcomePage = `<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page comes from an image that Pinnace assembled from the nginx of this machine. It stands in for Docker's official image.</p>
</body>
</html>
`;

const errorPage = `<!DOCTYPE html>
<html><head><title>Error</title></head><body><h1>An error occurred.</h1></body></html>
`;

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function labels(description: string): Record<string, string> {
  return { "org.opencontainers.image.description": `Assembled by Pinnace on this machine: ${description}` };
}

function missing(program: string, packageName: string): ImageError {
  return new ImageError(
    "RegistryUnavailable",
    `cannot assemble the image: this machine has no ${program}, and the package cannot be downloaded; install it: apt-get install ${packageName}`,
  );
}

async function appletsOf(busybox: string): Promise<string[]> {
  const child = spawnProcess({ file: busybox, args: ["--list"], fds: { 1: "pipe-out" } });
  const [list] = await Promise.all([text(child.readers[1]!), child.exited]);
  return list.split("\n").filter((name) => name !== "" && !name.includes("/"));
}
