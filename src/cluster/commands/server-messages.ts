/** What the server tells the `up` that started it, and what it is told: a few lines over the child's IPC channel. */
import type { ClusterPki } from "../certificates.ts";

export type ServerMessage =
  | { kind: "progress"; text: string }
  | { kind: "usable" }
  /** The server is about to end; `message` is ready to be shown. */
  | { kind: "failed"; message: string; isStuck: boolean };

/** Certificates are made while the server loads: two cores, one wait. */
export interface StartMessage {
  kind: "start";
  pki: ClusterPki;
  timeoutSeconds: number;
}
