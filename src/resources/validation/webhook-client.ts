/** How a webhook is reached: a URL or a Service, and the authority that its certificate is checked by. */
import type { WebhookClientConfig } from "../../api/admissionregistration/v1.ts";
import { caBundleProblem } from "../../apimachinery/ca-bundle.ts";
import { type FieldError, type FieldPath, invalid, required } from "../../apimachinery/field-error.ts";
import { parseGoUrl } from "../../apimachinery/go-url.ts";
import { dns1123SubdomainProblems, portNumberProblems } from "../../apimachinery/name-validation.ts";

type WebhookClient = Pick<WebhookClientConfig, "url" | "service">;

/** Either a URL or a Service, and that one in order. */
export function validWebhookClient(client: WebhookClient | undefined, path: FieldPath): FieldError[] {
  const { url, service } = client ?? {};
  if ((url === undefined) === (service === undefined)) {
    return [required(path, "exactly one of url or service is required")];
  }
  if (url !== undefined) return validUrl(url, path.child("url"));
  const servicePath = path.child("service");
  const errors: FieldError[] = [];
  // Upstream takes the one for the other.
  if (!service!.namespace) errors.push(required(servicePath.child("name")));
  if (!service!.name) errors.push(required(servicePath.child("namespace")));
  const problems = portNumberProblems(service!.port ?? 443);
  if (problems.length > 0) {
    errors.push(invalid(servicePath.child("port"), service!.port, `port is not valid: ${problems.join(", ")}`));
  }
  return [...errors, ...validServicePath(service!.path, servicePath.child("path"))];
}

/** `/validate/pods`: steps that are names. */
function validServicePath(urlPath: string | undefined, path: FieldPath): FieldError[] {
  if (!urlPath || urlPath === "/") return [];
  const refuse = (detail: string) => invalid(path, urlPath, detail);
  if (urlPath === "//") return [refuse("segment[0] may not be empty")];
  const errors = urlPath.startsWith("/") ? [] : [refuse("must start with a '/'")];
  for (const [index, step] of urlPath.replace(/\/$/, "").slice(1).split("/").entries()) {
    if (!step) errors.push(refuse(`segment[${index}] may not be empty`));
    else errors.push(...dns1123SubdomainProblems(step).map((problem) => refuse(`segment[${index}]: ${problem}`)));
  }
  return errors;
}

function validUrl(text: string, path: FieldPath): FieldError[] {
  const form = "; desired format: https://host[/path]";
  const url = parseGoUrl(text);
  if (typeof url === "string") {
    return [required(path, `url must be a valid URL: parse ${JSON.stringify(text)}: ${url}${form}`)];
  }
  const errors: FieldError[] = [];
  if (url.scheme !== "https") errors.push(invalid(path, url.scheme, `'https' is the only allowed URL scheme${form}`));
  if (!url.host) errors.push(invalid(path, url.host, `host must be specified${form}`));
  if (url.user) errors.push(invalid(path, url.user, "user information is not permitted in the URL"));
  if (url.fragment) errors.push(invalid(path, url.fragment, "fragments are not permitted in the URL"));
  if (url.query) errors.push(invalid(path, url.query, "query parameters are not permitted in the URL"));
  return errors;
}

/** `bundle` is base64 of PEM. */
export function validCaBundle(bundle: string, path: FieldPath): FieldError[] {
  const problem = caBundleProblem(bundle);
  return problem ? [invalid(path, bundle, `unable to load root certificates: ${problem}`)] : [];
}
