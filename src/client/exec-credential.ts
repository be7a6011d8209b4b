/** Credentials from a program that the kubeconfig names (client.authentication.k8s.io). */
import { spawnSync } from "node:child_process";

export interface ExecEntry {
  apiVersion?: string;
  command?: string;
  args?: string[];
  env?: { name: string; value: string }[];
  interactiveMode?: string;
  provideClusterInfo?: boolean | string;
  installHint?: string;
}

/** What the program gives: a token, a certificate with its key, or all of them. */
export interface ExecCredential {
  token?: string;
  clientCertificateData?: string;
  clientKeyData?: string;
  /** RFC 3339; absent: good for as long as the process lives. */
  expirationTimestamp?: string;
}

/** What a program that asks for it is told of the cluster. */
export interface ExecCluster {
  server: string;
  "certificate-authority-data"?: string;
  "insecure-skip-tls-verify"?: boolean;
  "tls-server-name"?: string;
}

const versions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];

/** Runs the program once; what it says on standard error, the user reads. Throws an Error with client-go's words where it fails. */
export function execCredential(entry: ExecEntry, command: string, cluster: ExecCluster): ExecCredential {
  const { apiVersion = "", args = [], env = [], interactiveMode, installHint } = entry;
  if (!versions.includes(apiVersion)) {
    throw new Error(`exec plugin: invalid apiVersion ${JSON.stringify(apiVersion)}`);
  }
  if (apiVersion === versions[0] && !interactiveMode) {
    throw new Error("exec plugin: interactiveMode must be specified to use exec authentication plugin");
  }
  const isInteractive = interactiveMode !== "Never" && process.stdin.isTTY === true;
  if (interactiveMode === "Always" && !isInteractive) {
    throw new Error("exec plugin cannot support interactive mode: standard input is not a terminal");
  }
  const wantsCluster = String(entry.provideClusterInfo) === "true";
  const info = {
    kind: "ExecCredential",
    apiVersion,
    spec: { ...(wantsCluster ? { cluster } : {}), interactive: isInteractive },
  };
  const { status, error, stdout } = spawnSync(command, args, {
    env: {
      ...process.env,
      ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
    stdio: [isInteractive ? "inherit" : "ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  const isMissing = (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
  if (isMissing && command.includes("/")) {
    throw new Error(`getting credentials: exec: fork/exec ${command}: no such file or directory`);
  }
  if (isMissing) {
    throw new Error(
      `getting credentials: exec: executable ${command} not found${installHint ? `\n\n${installHint.trimEnd()}` : ""}`,
    );
  }
  if (error) throw new Error(`getting credentials: exec: ${error.message}`);
  if (status !== 0) throw new Error(`getting credentials: exec: executable ${command} failed with exit code ${status}`);
  return credentialIn(stdout, apiVersion);
}

function credentialIn(text: string, apiVersion: string): ExecCredential {
  let answer: { kind?: string; apiVersion?: string; status?: ExecCredential };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    throw new Error("getting credentials: decoding stdout: the plugin did not print an ExecCredential");
  }
  if (answer.apiVersion !== apiVersion) {
    throw new Error(
      `getting credentials: exec plugin is configured to use API version ${apiVersion}, plugin returned version ${answer.apiVersion ?? ""}`,
    );
  }
  const { status } = answer;
  if (!status) throw new Error("getting credentials: exec plugin didn't return a status field");
  if (!status.token && !status.clientCertificateData && !status.clientKeyData) {
    throw new Error("getting credentials: exec plugin didn't return a token or cert/key pair");
  }
  if (Boolean(status.clientCertificateData) !== Boolean(status.clientKeyData)) {
    throw new Error("getting credentials: exec plugin returned only certificate or key, not both");
  }
  return status;
}

/** The program's token for each request: asked for again when the one at hand is over. */
export function renewedToken(first: ExecCredential, ask: () => ExecCredential, now: () => number): () => string {
  let current = first;
  return () => {
    const { expirationTimestamp } = current;
    if (expirationTimestamp && Date.parse(expirationTimestamp) <= now()) current = ask();
    return current.token ?? "";
  };
}
