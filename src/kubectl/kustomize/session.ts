/** Kustomizations as commands ask for them: by what the command line says, with its warnings on standard error. */
import type { Unstructured } from "../api.ts";
import { fetchOnce } from "../download.ts";
import { logLine } from "../request-trace.ts";
import type { Session } from "../session.ts";
import { buildKustomization } from "./build.ts";

/** What a folder's, URL's or repository's kustomization makes. Rejects with a CommandError in kustomize's words. */
export function kustomizationObjects(
  session: Session,
  target: string,
  { readsAnywhere = false, helm = false } = {},
): Promise<Unstructured[]> {
  const { terminal } = session;
  return buildKustomization(target, {
    readsAnywhere,
    helm,
    warn: (line) => session.printError(line),
    log: (message) => logLine(terminal, "log.go:244", message),
    fetch: (url) => fetchOnce(url, terminal),
  });
}
