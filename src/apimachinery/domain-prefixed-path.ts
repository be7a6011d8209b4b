/** Names such as `example.com/controller`. */
import { type FieldError, type FieldPath, invalid, required } from "./field-error.ts";
import { dns1123SubdomainProblems } from "./name-validation.ts";

const pathFormat = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
const pathPattern = new RegExp(`^${pathFormat}$`);

export function validDomainPrefixedPath(value: string, path: FieldPath): FieldError[] {
  if (!value) return [required(path)];
  const slash = value.indexOf("/");
  if (slash <= 0 || slash === value.length - 1) {
    return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')];
  }
  const rest = value.slice(slash + 1);
  const domain = value.slice(0, slash);
  const errors = dns1123SubdomainProblems(domain).map((problem) => invalid(path, domain, problem));
  if (!pathPattern.test(rest)) {
    errors.push(invalid(path, rest, `Invalid path (regex used for validation is '${pathFormat}')`));
  }
  return errors;
}
