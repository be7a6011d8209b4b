/** Names of signers, and of the ClusterTrustBundles that belong to them: `example.com/mine`, `example.com:mine:v1`. */
import { type FieldError, type FieldPath, invalid, required, tooLong } from "../../apimachinery/field-error.ts";
import { dns1123LabelProblems, dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";
import { goQuote } from "../../base/go-quote.ts";
import { utf8Length } from "../../base/utf8.ts";

const longestDomain = 253;
/** Room for a namespace, a dot and a name after the domain's slash. */
const longestSignerName = longestDomain + 1 + 253 + 63 + 1;

export function validSignerName(signer: string, path: FieldPath): FieldError[] {
  if (!signer) return [required(path)];
  const [domain = "", rest, ...more] = signer.split("/");
  if (rest === undefined || more.length > 0) {
    return [invalid(path, signer, "must be a fully qualified domain and path of the form 'example.com/signer-name'")];
  }
  const errors = utf8Length(domain) > longestDomain ? [tooLong(path, longestDomain)] : [];
  const labels = domain.split(".");
  errors.push(...firstBadLabel(labels, dns1123LabelProblems, domain, path));
  if (labels.length < 2)
    errors.push(invalid(path, domain, "should be a domain with at least two segments separated by dots"));
  errors.push(...firstBadLabel(rest.split("."), dns1123SubdomainProblems, rest, path));
  if (utf8Length(signer) > longestSignerName) errors.push(tooLong(path, longestSignerName));
  return errors;
}

function firstBadLabel(
  labels: readonly string[],
  rule: (label: string) => string[],
  shown: string,
  path: FieldPath,
): FieldError[] {
  const bad = labels.find((label) => rule(label).length > 0);
  if (bad === undefined) return [];
  return rule(bad).map((problem) => invalid(path, shown, `validating label ${goQuote(bad)}: ${problem}`));
}

/** What is wrong with a bundle's name, given the signer that it is for; an empty one stands for none. */
export function trustBundleNameProblems(name: string, signer: string): string[] {
  if (!signer) {
    if (name.includes(":")) return ['ClusterTrustBundle without signer name must not have ":" in its name'];
    return dns1123SubdomainProblems(name);
  }
  const prefix = `${signer.replaceAll("/", ":")}:`;
  if (!name.startsWith(prefix))
    return [`ClusterTrustBundle for signerName ${signer} must be named with prefix ${prefix}`];
  return dns1123SubdomainProblems(name.slice(prefix.length));
}

/** The signer that a bundle's name speaks of; empty when it speaks of none. */
export function signerOfBundleName(name: string): string {
  const split = name.lastIndexOf(":");
  return split < 0 ? "" : name.slice(0, split).replaceAll(":", "/");
}
