/** Several sources in one folder: what every pod's ServiceAccount credentials come by. */
import { writeAtomically } from "./atomic-writer.ts";
import {
  configMapFiles,
  defaultFileMode,
  downwardFiles,
  type Files,
  secretFiles,
  type TokenFile,
  tokenFile,
  trustBundleFile,
} from "./projections.ts";
import { defineVolumePlugin, type VolumeContext } from "./volume-plugin.ts";

export const projectedVolume = defineVolumePlugin({
  type: "projected",
  folder: "kubernetes.io~projected",
  isVolatile: true,
  isOwnedByPod: true,
  async prepare(_volume, source, context) {
    const mode = source.defaultMode ?? defaultFileMode;
    const parts = await Promise.all((source.sources ?? []).map((part) => filesOf(part, mode, context)));
    const files: Files = new Map();
    for (const part of parts) for (const [path, file] of part.files) files.set(path, file);
    writeAtomically(context.folder, files);
    const refreshAtMs = Math.min(...parts.map((part) => part.refreshAtMs ?? Number.POSITIVE_INFINITY));
    return {
      path: context.folder,
      isRefreshable: true,
      readOnly: true,
      ...(Number.isFinite(refreshAtMs) ? { refreshAtMs } : {}),
    };
  },
});

type TokenSource = Parameters<typeof tokenFile>[0];
type Projection = Parameters<typeof projectedVolume.prepare>[1]["sources"];

async function filesOf(
  part: NonNullable<Projection>[number],
  mode: number,
  context: VolumeContext,
): Promise<{ files: Files; refreshAtMs?: number }> {
  if (part.configMap) return { files: await configMapFiles(part.configMap, mode, context) };
  if (part.secret) return { files: await secretFiles(part.secret, mode, context) };
  if (part.downwardAPI) return { files: downwardFiles(part.downwardAPI, mode, context) };
  if (part.serviceAccountToken) return tokenInUse(part.serviceAccountToken, mode, context);
  if (part.clusterTrustBundle) return { files: await trustBundleFile(part.clusterTrustBundle, mode, context) };
  const kind = Object.keys(part)[0];
  // A source of a feature that is off: the API server has forgotten what it was.
  if (!kind) return { files: new Map() };
  throw new Error(`projected volumes of source ${kind} are not supported by this kubelet`);
}

/** A refresh for another reason does not ask for a new token. */
async function tokenInUse(source: TokenSource, mode: number, context: VolumeContext): Promise<TokenFile> {
  const key = `${context.folder} ${source.path}`;
  const known = context.tokens.get(key);
  if (known && known.refreshAtMs > context.clock.now()) return known;
  const fresh = await tokenFile(source, mode, context);
  context.tokens.set(key, fresh);
  return fresh;
}
