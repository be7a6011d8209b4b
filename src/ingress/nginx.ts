/** One node's nginx: written, tried, started, reloaded, adopted. It outlives the server, as the rules for Services do. */
import { execFile } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { findProgram } from "../base/node/find-program.ts";
import { inNetns } from "../base/node/netns.ts";
import { spawnProcess } from "../base/node/spawn-process.ts";
import { certificateFile } from "./compile-nginx.ts";

export interface NginxOptions {
  netnsPath: string;
  folder: string;
  /** A cgroup, made, which the processes join: whoever takes the cluster away finds them there. */
  cgroup(): string | undefined;
}

/** The machine has no nginx. */
export class NginxMissing extends Error {
  constructor() {
    super("nginx is not installed on this machine (Debian and Ubuntu: apt-get install nginx-light)");
    this.name = "NginxMissing";
  }
}

/** nginx does not take the configuration; the message is its own. The one before is still served. */
export class NginxRefused extends Error {}

type Certificates = ReadonlyMap<string, { certificate: string; key: string }>;

const configName = "nginx.conf";
const tentativeName = "tentative.conf";

export class Nginx {
  readonly #options: NginxOptions;
  /** What it serves, and what it would. */
  #applied: string | undefined;
  #accepted: string | undefined;
  #certificatesChanged = false;

  constructor(options: NginxOptions) {
    this.#options = options;
  }

  /**
   * Serves the configuration. Requests in flight end under the one before. Rejects with NginxRefused or NginxMissing.
   * `certificates` are by name as in the plan.
   */
  async apply(config: string, certificates: Certificates, signal: AbortSignal): Promise<void> {
    const wanted = JSON.stringify([config, [...certificates]]);
    const pid = this.#pid();
    if (this.#applied === wanted && pid !== undefined) return;
    await this.try(config, certificates, signal);
    const { folder } = this.#options;
    const isSame = pid !== undefined && this.#applied === undefined && readText(join(folder, configName)) === config;
    writeFileSync(join(folder, tentativeName), config, { mode: 0o600 });
    renameSync(join(folder, tentativeName), join(folder, configName));
    if (pid === undefined) this.#start();
    // After a server's restart the text is the same, and certificates were checked when they were written.
    else if (!isSame || this.#certificatesChanged) process.kill(pid, "SIGHUP");
    this.#certificatesChanged = false;
    this.#applied = wanted;
    this.#forgetOldCertificates(certificates);
  }

  /** Rejects with NginxRefused where the configuration, served alone, would be refused. */
  async try(config: string, certificates: Certificates, signal: AbortSignal): Promise<void> {
    const { folder, netnsPath } = this.#options;
    const text = JSON.stringify([config, [...certificates]]);
    if (this.#accepted === text) return;
    this.#write(certificates);
    const file = join(folder, tentativeName);
    writeFileSync(file, config, { mode: 0o600 });
    const args = ["-t", "-q", "-p", `${folder}/`, "-c", file];
    await new Promise<void>((resolve, reject) => {
      inNetns(netnsPath, () =>
        execFile(program(), args, { signal }, (error, _, complaint) => {
          if (!error) resolve();
          else reject(new NginxRefused(essence(complaint) || error.message));
        }),
      );
    });
    this.#accepted = text;
  }

  /** Ends it once it has answered whom it is answering. */
  stop(): void {
    const pid = this.#pid();
    if (pid !== undefined) process.kill(pid, "SIGQUIT");
    this.#applied = undefined;
  }

  #write(certificates: Certificates): void {
    const { folder } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    chmodSync(folder, 0o711);
    // nginx would make them for everybody to read.
    for (const name of ["nginx.pid", "error.log"]) appendFileSync(join(folder, name), "", { mode: 0o600 });
    for (const [name, { certificate, key }] of certificates) {
      for (const [part, text] of [
        ["crt", certificate],
        ["key", key],
      ] as const) {
        const file = join(folder, certificateFile(name, part));
        if (readText(file) === text) continue;
        writeFileSync(file, text, { mode: 0o600 });
        this.#certificatesChanged = true;
      }
    }
  }

  #forgetOldCertificates(certificates: ReadonlyMap<string, unknown>): void {
    const { folder } = this.#options;
    const kept = new Set(
      [...certificates.keys()].flatMap((name) => [certificateFile(name, "crt"), certificateFile(name, "key")]),
    );
    for (const file of readdirSync(folder)) {
      if (/\.(crt|key)$/.test(file) && !kept.has(file)) rmSync(join(folder, file));
    }
  }

  #start(): void {
    const { folder, netnsPath } = this.#options;
    const cgroup = this.#options.cgroup();
    const command = [program(), "-p", `${folder}/`, "-c", join(folder, configName)];
    inNetns(netnsPath, () =>
      spawnProcess({
        file: "/bin/sh",
        args: [
          "-c",
          'umask 077; [ -z "$0" ] || echo $$ > "$0"; exec "$@"',
          cgroup ? join(cgroup, "cgroup.procs") : "",
          ...command,
        ],
        fds: {},
        cwd: "/",
        newSession: true,
      }),
    );
  }

  #pid(): number | undefined {
    const { folder } = this.#options;
    const pid = Number(readText(join(folder, "nginx.pid")));
    if (!pid || !existsSync(`/proc/${pid}`)) return undefined;
    return readText(`/proc/${pid}/cmdline`).includes(join(folder, configName)) ? pid : undefined;
  }
}

function program(): string {
  const found = findProgram("nginx");
  if (!found) throw new NginxMissing();
  return found;
}

/** nginx's complaint without the time, the level and the place in a file that nobody knows. */
function essence(complaint: string): string {
  const line = complaint.split("\n").find((each) => each.includes("[emerg]")) ?? "";
  return line.replace(/^.*\[emerg\]\s*/, "").replace(/ in \/\S+:\d+$/, "");
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
