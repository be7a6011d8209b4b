/** Image names as users write them, made whole the way containerd and docker do: `nginx` is `docker.io/library/nginx:latest`. */
import { ImageError } from "./image-service.ts";

export interface ImageReference {
  /** `docker.io`, `127.0.0.1:5000`. */
  domain: string;
  /** `library/nginx`. */
  path: string;
  tag?: string;
  /** `sha256:…`. With a tag beside it, the digest counts. */
  digest?: string;
}

/** Throws an ImageError of reason "InvalidImageName" in upstream's words. */
export function parseReference(name: string): ImageReference {
  if (/^[0-9a-f]{64}$/.test(name)) throw invalid(name, "cannot specify 64-byte hexadecimal strings");
  const match = grammar.exec(name);
  if (!match) {
    const lower = grammar.exec(name.toLowerCase());
    throw invalid(name, lower ? "repository name must be lowercase" : "invalid reference format");
  }
  const [, fullPath, tag, digest] = match as unknown as [string, string, string | undefined, string | undefined];
  const slash = fullPath.indexOf("/");
  const first = slash < 0 ? "" : fullPath.slice(0, slash);
  const hasDomain = first === "localhost" || /[.:]/.test(first) || first !== first.toLowerCase();
  const given = hasDomain ? first : defaultDomain;
  const domain = given === "index.docker.io" ? defaultDomain : given;
  let path = hasDomain ? fullPath.slice(slash + 1) : fullPath;
  if (path !== path.toLowerCase()) throw invalid(name, "repository name must be lowercase");
  if (domain === defaultDomain && !path.includes("/")) path = `library/${path}`;
  if (domain.length + 1 + path.length > 255)
    throw invalid(name, "repository name must not be more than 255 characters");
  if (digest && !/^sha256:[0-9a-f]{64}$/.test(digest)) throw invalid(name, "unsupported digest algorithm or length");
  return { domain, path, tag: tag ?? (digest ? undefined : "latest"), digest };
}

/** `docker.io/library/nginx:1.27`, `docker.io/library/nginx@sha256:…`. */
export function formatReference(reference: ImageReference): string {
  const { domain, path, tag, digest } = reference;
  return `${domain}/${path}${digest ? `@${digest}` : `:${tag ?? "latest"}`}`;
}

/** Without tag and digest. */
export function repositoryOf(reference: ImageReference): string {
  return `${reference.domain}/${reference.path}`;
}

function invalid(name: string, why: string): ImageError {
  return new ImageError("InvalidImageName", `couldn't parse image name "${name}": ${why}`);
}

const defaultDomain = "docker.io";

const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const host = `(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const grammar = new RegExp(
  `^((?:${host}/)?${component}(?:/${component})*)(?::([\\w][\\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
);
