/** Where an object comes from and what has been done to it, for kustomizations that want to see it in annotations (`buildMetadata`). */
import { join } from "node:path";
import { encodeYaml } from "../../apimachinery/serializer/yaml.ts";
import { repositoryOf } from "./repository.ts";

export interface Origin {
  path?: string;
  repo?: string;
  ref?: string;
  /** The kustomization file that says what made or changed the object. */
  configuredIn?: string;
  configuredBy?: { apiVersion: string; kind: string; name?: string; namespace?: string };
}

/** One step further: a file or folder beside, or a repository. */
export function originAt(origin: Origin, path: string): Origin {
  const repository = repositoryOf(path);
  if (!repository) return { ...origin, path: join(origin.path ?? "", path) };
  const { ref, folder } = repository;
  return { path: folder, repo: repository.cloneUrl, ...(ref ? { ref } : {}) };
}

/** In kustomize's order, which is not the alphabet's. */
export function showOrigin({ path, repo, ref, configuredIn, configuredBy }: Origin): string {
  const lines = Object.entries({ path, repo, ref, configuredIn })
    .filter(([, value]) => value)
    .map(([key, value]) => encodeYaml({ [key]: value }));
  if (configuredBy) {
    const { apiVersion, kind, name, namespace } = configuredBy;
    lines.push(
      "configuredBy:\n",
      ...Object.entries({ apiVersion, kind, name, namespace })
        .filter(([, value]) => value)
        .map(([key, value]) => `  ${encodeYaml({ [key]: value })}`),
    );
  }
  return lines.join("") || "{}\n";
}

export const showTransformations = (transformations: readonly Origin[]): string =>
  transformations
    .map((each) => showOrigin(each).replace(/^/gm, "  ").replace(/^ {2}/, "- ").replace(/ +$/, ""))
    .join("");
