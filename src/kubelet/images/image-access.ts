/**
 * Who on this machine may use an image that is here: one that came with a pod's own credentials is for those who show such again
 * (upstream's image pull manager, with its policy NeverVerifyPreloadedImages). Pure.
 */
import { createHash } from "node:crypto";
import type { RegistryCredentials } from "./image-service.ts";
import { parseReference, repositoryOf } from "./reference.ts";

/** By repository, what it came with: marks of credentials, or `anyone`. Nothing at all: it was brought here, not pulled for a pod. */
export type ImageAccess = Readonly<Record<string, readonly string[]>>;

const anyone = "*";
/** Beyond these the oldest are forgotten: who showed them is asked again. */
const maximumMarks = 100;

/** After a pull with these credentials; undefined: without any, or with the machine's own, so that it is for all. */
export function withAccess(
  before: ImageAccess | undefined,
  name: string,
  credentials: RegistryCredentials | undefined,
): ImageAccess {
  const repository = repositoryIn(name);
  const marks = credentials ? marksOf(credentials) : [anyone];
  const known = before?.[repository] ?? [];
  return { ...before, [repository]: [...new Set([...known, ...marks])].slice(-maximumMarks) };
}

/** By the name that is asked for: an image that is known by another name only proves nothing. */
export function isAccessible(
  access: ImageAccess | undefined,
  name: string,
  credentials: readonly RegistryCredentials[],
): boolean {
  if (!access || Object.keys(access).length === 0) return true;
  const known = access[repositoryIn(name)] ?? [];
  return known.includes(anyone) || credentials.some((each) => marksOf(each).some((mark) => known.includes(mark)));
}

function repositoryIn(name: string): string {
  return repositoryOf(parseReference(name));
}

/** The Secret that they stand in, whatever it says by now, and what they say, whatever Secret that is in. */
function marksOf({ source, ...said }: RegistryCredentials): string[] {
  const values = [said.username, said.password, said.registryToken, said.identityToken].map((value) => value ?? "");
  const digest = createHash("sha256").update(JSON.stringify(values)).digest("hex");
  return [...(source ? [`secret:${source}`] : []), `sha256:${digest}`];
}
