/**
 * Which images of this machine may stand in for which images of the world, so that labs can be done without a network.
 * A substitute never pretends: the pod's events name it and say why it was used.
 */
import { parseReference, repositoryOf } from "./reference.ts";

export interface Substitute {
  /** A repository (`docker.io/library/nginx`: any tag) or a whole name. */
  requested: string;
  image: string;
  description: string;
  /** "always": never ask the registry. "unreachable" (default): only when no registry answers. */
  when?: "always" | "unreachable";
}

/** What is assembled on this machine: see local-image.ts. */
export const builtInSubstitutes: readonly Substitute[] = [
  { requested: "docker.io/library/nginx", image: "pinnace.local/nginx:1", description: "this machine's nginx" },
  {
    requested: "docker.io/library/busybox",
    image: "pinnace.local/busybox:1",
    description: "this machine's busybox, with curl",
  },
  {
    requested: "docker.io/jonum12312/curl",
    image: "pinnace.local/busybox:1",
    description: "this machine's busybox, with curl",
  },
  {
    requested: "docker.io/curlimages/curl",
    image: "pinnace.local/busybox:1",
    description: "this machine's busybox, with curl",
  },
  {
    requested: "docker.io/alicek106/rr-test:echo-hostname",
    image: "pinnace.local/hostname-page:1",
    description: "an image that answers with its host name on port 80",
  },
  // Only the tags that exist: a lab asks for 1.3 to see what becomes of a rollout whose image cannot be found.
  ...["1.0", "1.1", "1.2"].map((tag) => ({
    requested: `docker.io/blux2/hello-server:${tag}`,
    image: `pinnace.local/hello-server:${tag === "1.2" ? "1.2" : "1.0"}`,
    description: "an image that says hello on port 8080",
  })),
];

/** The first that fits; whole names before repositories. */
export function findSubstitute(table: readonly Substitute[], name: string): Substitute | undefined {
  const reference = parseReference(name);
  const whole = `${repositoryOf(reference)}:${reference.tag ?? ""}`;
  const repository = repositoryOf(reference);
  return (
    table.find((entry) => normal(entry.requested) === whole) ??
    table.find((entry) => normal(entry.requested) === repository)
  );
}

/** The entry's name made whole, with a tag only when it was written with one. */
function normal(requested: string): string {
  const reference = parseReference(requested);
  const hasTag = /:[^/]+$/.test(requested);
  return hasTag ? `${repositoryOf(reference)}:${reference.tag}` : repositoryOf(reference);
}
