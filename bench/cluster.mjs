// Brings clusters up and down for measuring, with the built command and a home of their own.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { connect as connectTls } from "node:tls";
import { promisify } from "node:util";

const run = promisify(execFile);
const command = resolve("dist/bin/pinnace.cjs");

// A port of its own: on 6443 another cluster may answer.
const apiPort = Number(process.env.PINNACE_BENCH_PORT ?? 17443);

export class BenchCluster {
  /** `more` is added to the configuration. */
  constructor(name = "bench", more = "") {
    this.name = name;
    this.home = process.env.PINNACE_BENCH_HOME ?? mkdtempSync(join(tmpdir(), "pinnace-bench-"));
    this.kubeconfig = join(this.home, "kubeconfig");
    this.config = join(this.home, "bench.yaml");
    writeFileSync(
      this.config,
      `apiVersion: pinnace.local/v1alpha1\nkind: Cluster\napiServer: { port: ${apiPort} }\n${more}`,
    );
    this.environment = { ...process.env, PINNACE_HOME: this.home, KUBECONFIG: this.kubeconfig };
  }

  /** Resolves with the milliseconds until the API answered and until the cluster was usable. */
  async up(...args) {
    const started = performance.now();
    const child = spawn(command, ["up", "--name", this.name, "--config", this.config, ...args], {
      env: this.environment,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    const usable = new Promise((done, failed) =>
      child.once("exit", (code) =>
        code === 0 ? done(performance.now() - started) : failed(new Error(`pinnace up: exit code ${code}\n${output}`)),
      ),
    );
    const answering = firstAnswer(apiPort, () => child.exitCode !== null).then(() => performance.now() - started);
    return { answeringMs: await answering, usableMs: await usable };
  }

  async down() {
    await run(command, ["down", "--name", this.name], { env: this.environment });
  }

  async status() {
    return JSON.parse(
      (await run(command, ["status", "--name", this.name, "-o", "json"], { env: this.environment })).stdout,
    );
  }

  kubectl(...args) {
    return run("kubectl", args, { env: this.environment, maxBuffer: 256 << 20 });
  }

  remove() {
    if (!process.env.PINNACE_BENCH_HOME) rmSync(this.home, { recursive: true, force: true });
  }
}

/** Resolves at the first HTTP answer on the port, asking every few milliseconds. */
async function firstAnswer(port, gaveUp) {
  for (;;) {
    if (await asks(port)) return;
    if (gaveUp()) throw new Error("the command ended before the API answered");
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** A TCP connection costs little; only when that is accepted is it worth a TLS handshake. */
async function asks(port) {
  if (!(await accepts(port))) return false;
  return new Promise((resolve) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }, () =>
      socket.write("GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    );
    socket.once("data", () => {
      socket.destroy();
      resolve(true);
    });
    // A connection that breaks may say so twice: while it is read from, and while it is written to.
    socket.on("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connectTcp(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
