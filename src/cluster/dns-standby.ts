/**
 * Cluster DNS while there is no server. A shell holds DNS' sockets and the end of a pipe and sleeps; when the server dies the
 * pipe breaks, and the shell becomes a process that answers from the cluster's store until another server serves.
 * Questions that arrive in between wait in the sockets. While the server lives this costs one sleeping shell.
 */
import { closeSync, openSync } from "node:fs";
import { EndpointSlices, Namespaces, Services } from "../api/resources.ts";
import { spawnProcess } from "../base/node/spawn-process.ts";
import type { DnsSockets } from "../cluster-dns/server.ts";
import {
  type ClusterPaths,
  identityOf,
  isAlive,
  type ProcessIdentity,
  readJson,
  writeAtomically,
} from "./state-folder.ts";

export interface DnsStandbyOptions {
  paths: ClusterPaths;
  /** The program and the script that run `pinnace`. */
  command: readonly [program: string, script: string];
}

/** The hidden verb; with the cluster's folder after it, it tells teardown whose process this is. */
export const dnsStandbyVerb = "dns-standby";

/** The sockets' descriptors in the standby. */
export const standbySockets = { udp: 3, tcp: 4 } as const;

// `read` ends with the pipe: by a line when the server ends in order, without one when it died.
const script = 'read -r _ || exec "$@"';

/** Returns what ends the standby before the server ends in order. */
export function keepDnsStandby({ paths, command }: DnsStandbyOptions, { udp, tcp }: DnsSockets): () => void {
  const log = openSync(paths.serverLog, "a", 0o600);
  try {
    const { pid, writers } = spawnProcess({
      file: "/bin/sh",
      args: ["-c", script, "sh", ...command, dnsStandbyVerb, `${paths.root}/`],
      fds: { 0: "pipe-in", 1: log, 2: log, [standbySockets.udp]: udp, [standbySockets.tcp]: tcp },
      cwd: "/",
      newSession: true,
    });
    const pipe = writers[0]!;
    pipe.on("error", () => {}); // It was ended by hand: its end of the pipe is gone.
    const identity = identityOf(pid);
    if (identity) writeAtomically(paths.dnsStandby, JSON.stringify(identity), 0o600);
    return () => void pipe.end("end\n");
  } finally {
    closeSync(log);
  }
}

/** Ends the one that answered until now; this server does. */
export function endDnsStandby(paths: ClusterPaths): void {
  const standby = readJson<ProcessIdentity>(paths.dnsStandby);
  if (!standby || !isAlive(standby)) return;
  try {
    process.kill(standby.pid, "SIGTERM");
  } catch {
    // It has just ended.
  }
}

/** Where the store keeps what DNS answers from. */
export const standbyPrefixes = [Namespaces, Services, EndpointSlices].map(
  ({ group, plural }) => `/registry/${group ? `${group}/` : ""}${plural}/`,
);
