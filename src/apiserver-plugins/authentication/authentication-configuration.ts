/**
 * Upstream's AuthenticationConfiguration (apiserver.config.k8s.io/v1; KEP-3331): which issuers' tokens are taken, how their claims
 * become users, and where nobody need prove anything.
 */
import { compile, type Program } from "../../apimachinery/cel/compile.ts";
import type { Environment } from "../../apimachinery/cel/environment.ts";
import { kubernetesEnvironment } from "../../apimachinery/cel/kubernetes-environment.ts";
import { type CelType, Dyn, listOf, mapOf, objectOf, Text } from "../../apimachinery/cel/types.ts";
import { duplicate, type FieldError, FieldPath, invalid, required, tooMany } from "../../apimachinery/field-error.ts";
import { parseGoUrl } from "../../apimachinery/go-url.ts";
import { dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";

export interface AuthenticationConfiguration {
  apiVersion: "apiserver.config.k8s.io/v1" | "apiserver.config.k8s.io/v1beta1";
  kind: "AuthenticationConfiguration";
  jwt?: JwtIssuer[];
  /** Absent: everybody may come without proof, and authorization decides. */
  anonymous?: { enabled: boolean; conditions?: { path: string }[] };
}

export interface JwtIssuer {
  issuer: {
    /** As the tokens' `iss`; discovery is at URL/.well-known/openid-configuration. */
    url: string;
    /** Where discovery is, when that is somewhere else. */
    discoveryURL?: string;
    /** PEM; absent: the machine's authorities. */
    certificateAuthority?: string;
    /** A token must be for one of them. */
    audiences: string[];
    audienceMatchPolicy?: "MatchAny" | "";
    /** Taken and of no consequence: there is one way out. */
    egressSelectorType?: "controlplane" | "cluster";
  };
  claimValidationRules?: { claim?: string; requiredValue?: string; expression?: string; message?: string }[];
  claimMappings: {
    username: PrefixedClaim;
    groups?: PrefixedClaim;
    uid?: ClaimOrExpression;
    extra?: { key: string; valueExpression: string }[];
  };
  userValidationRules?: { expression: string; message?: string }[];
}

export interface ClaimOrExpression {
  claim?: string;
  expression?: string;
}

/** With a claim a prefix must be said, be it empty. */
export interface PrefixedClaim extends ClaimOrExpression {
  prefix?: string;
}

const userType = objectOf("kubernetes.UserInfo", {
  username: Text,
  uid: Text,
  groups: listOf(Text),
  extra: mapOf(Text, listOf(Text)),
});

/** Sees the token's claims. */
export const claimsEnvironment: Environment = kubernetesEnvironment({ variables: { claims: mapOf(Text, Dyn) } });
/** Sees the user that was made of them. */
export const userEnvironment: Environment = kubernetesEnvironment({ variables: { user: userType } });

/** As many issuers there may be. */
const maximumIssuers = 64;

/** Every mistake, in upstream's words; none for a configuration that can be used. `ownIssuers`: those of ServiceAccounts' tokens. */
export function authenticationConfigurationErrors(
  configuration: AuthenticationConfiguration,
  at = FieldPath.root,
  ownIssuers: readonly string[] = [],
): FieldError[] {
  const { jwt = [], anonymous } = configuration;
  if (jwt.length > maximumIssuers) return [tooMany(at.child("jwt"), jwt.length, maximumIssuers)];
  const errors = jwt.flatMap((one, i) => {
    const path = at.child("jwt").index(i);
    const twice = (name: "url" | "discoveryURL") => {
      const url = one.issuer?.[name];
      const isTwice = url && jwt.findIndex((other) => other.issuer?.[name] === url) < i;
      return isTwice ? [duplicate(path.child("issuer", name), url)] : [];
    };
    return [
      ...issuerErrors(one.issuer, path.child("issuer"), ownIssuers),
      ...ruleErrors(one, path.child("claimValidationRules")),
      ...mappingErrors(one, path.child("claimMappings")),
      ...userRuleErrors(one, path.child("userValidationRules")),
      ...twice("url"),
      ...twice("discoveryURL"),
    ];
  });
  if (anonymous && !anonymous.enabled && anonymous.conditions?.length) {
    const place = at.child("anonymous", "conditions");
    errors.push(invalid(place, anonymous.conditions, "enabled should be set to true when conditions are defined"));
  }
  return errors;
}

function issuerErrors(
  issuer: Partial<JwtIssuer["issuer"]> = {},
  path: FieldPath,
  ownIssuers: readonly string[],
): FieldError[] {
  const { url, discoveryURL, certificateAuthority, egressSelectorType } = issuer;
  const errors = url ? urlErrors(url, path.child("url"), ownIssuers) : [required(path.child("url"))];
  if (discoveryURL) {
    const place = path.child("discoveryURL");
    if (url && discoveryURL.replace(/\/+$/, "") === url.replace(/\/+$/, "")) {
      errors.push(invalid(place, discoveryURL, "discoveryURL must be different from URL"));
    }
    errors.push(...urlErrors(discoveryURL, place, []));
  }
  errors.push(...audienceErrors(issuer, path));
  if (certificateAuthority && !certificateAuthority.includes("-----BEGIN CERTIFICATE-----")) {
    const detail = "data does not contain any valid RSA or ECDSA certificates";
    errors.push(invalid(path.child("certificateAuthority"), "<omitted>", detail));
  }
  if (egressSelectorType && !["controlplane", "cluster"].includes(egressSelectorType)) {
    const detail = "egress selector must be either controlplane or cluster";
    errors.push(invalid(path.child("egressSelectorType"), egressSelectorType, detail));
  }
  return errors;
}

function audienceErrors(
  { audiences = [], audienceMatchPolicy = "" }: Partial<JwtIssuer["issuer"]>,
  path: FieldPath,
): FieldError[] {
  const place = path.child("audiences");
  if (audiences.length === 0) return [required(place, `at least one ${place} is required`)];
  const errors = audiences.flatMap((audience, i) => [
    ...(audience ? [] : [required(place.index(i))]),
    ...(audiences.indexOf(audience) < i ? [duplicate(place.index(i), audience)] : []),
  ]);
  const refuse = (detail: string) =>
    errors.push(invalid(path.child("audienceMatchPolicy"), audienceMatchPolicy, detail));
  if (audienceMatchPolicy === "MatchAny") return errors;
  if (audiences.length > 1) refuse("audienceMatchPolicy must be MatchAny for multiple audiences");
  else if (audienceMatchPolicy) refuse("audienceMatchPolicy must be empty or MatchAny for single audience");
  return errors;
}

function urlErrors(text: string, path: FieldPath, ownIssuers: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const refuse = (detail: string) => errors.push(invalid(path, text, detail));
  if (ownIssuers.includes(text)) {
    refuse(`URL must not overlap with disallowed issuers: [${[...ownIssuers].sort().join(" ")}]`);
  }
  const url = parseGoUrl(text);
  if (typeof url === "string") {
    refuse(`parse ${JSON.stringify(text)}: ${url}`);
    return errors;
  }
  if (url.scheme !== "https") refuse("URL scheme must be https");
  if (url.user) refuse("URL must not contain a username or password");
  if (url.query) refuse("URL must not contain a query");
  if (url.fragment) refuse("URL must not contain a fragment");
  return errors;
}

function ruleErrors({ claimValidationRules = [] }: JwtIssuer, path: FieldPath): FieldError[] {
  const [claims, expressions] = [new Set<string>(), new Set<string>()];
  return claimValidationRules.flatMap(({ claim, requiredValue, expression, message }, i): FieldError[] => {
    const place = path.index(i);
    if (claim && expression) return [invalid(place, claim, "claim and expression can't both be set")];
    if (claim) {
      return [
        ...(message ? [invalid(place.child("message"), message, "may not be specified when claim is set")] : []),
        ...seenBefore(claims, claim, place.child("claim")),
      ];
    }
    if (!expression) return [required(place, "claim or expression is required")];
    const where = place.child("expression");
    const excess = requiredValue
      ? [invalid(place.child("requiredValue"), requiredValue, "may not be specified when expression is set")]
      : [];
    const twice = seenBefore(expressions, expression, where);
    return [
      ...excess,
      ...(twice.length > 0 ? twice : expressionErrors(expression, claimsEnvironment, ["bool"], where)),
    ];
  });
}

function userRuleErrors({ userValidationRules = [] }: JwtIssuer, path: FieldPath): FieldError[] {
  const expressions = new Set<string>();
  return userValidationRules.flatMap(({ expression }, i) => {
    const place = path.index(i).child("expression");
    if (!expression) return [required(place)];
    const twice = seenBefore(expressions, expression, place);
    return twice.length > 0 ? twice : expressionErrors(expression, userEnvironment, ["bool"], place);
  });
}

function seenBefore(seen: Set<string>, value: string, path: FieldPath): FieldError[] {
  if (seen.has(value)) return [duplicate(path, value)];
  seen.add(value);
  return [];
}

function mappingErrors({ claimMappings, claimValidationRules = [] }: JwtIssuer, path: FieldPath): FieldError[] {
  const { username = {}, groups, uid, extra = [] } = claimMappings ?? ({} as Partial<JwtIssuer["claimMappings"]>);
  const errors =
    username.claim || username.expression
      ? prefixedErrors(username, path.child("username"), ["string"])
      : [required(path.child("username"), "claim or expression is required")];
  if (groups) errors.push(...prefixedErrors(groups, path.child("groups"), ["string", "list"]));
  if (uid?.claim && uid.expression) {
    errors.push(invalid(path.child("uid"), "", "claim and expression can't both be set"));
  } else if (uid?.expression) {
    errors.push(...expressionErrors(uid.expression, claimsEnvironment, ["string"], path.child("uid", "expression")));
  }
  const keys = new Set<string>();
  for (const [i, { key = "", valueExpression }] of extra.entries()) {
    const place = path.child("extra").index(i);
    errors.push(...extraKeyErrors(key, place.child("key")));
    const twice = seenBefore(keys, key, place.child("key"));
    errors.push(...twice);
    if (twice.length > 0) continue;
    const where = place.child("valueExpression");
    if (!valueExpression) errors.push(required(where));
    else errors.push(...expressionErrors(valueExpression, claimsEnvironment, ["string", "list"], where));
  }
  const verifying = [
    username.expression,
    ...extra.map((one) => one.valueExpression),
    ...claimValidationRules.map((one) => one.expression),
  ];
  const isVerified = verifying.some((text) => /\bclaims\.\??email_verified\b/.test(text ?? ""));
  if (/\bclaims\.\??email\b(?!_)/.test(username.expression ?? "") && !isVerified) {
    const detail =
      "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression";
    errors.push(invalid(path.child("username", "expression"), username.expression, detail));
  }
  return errors;
}

const httpPath = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";

function extraKeyErrors(key: string, path: FieldPath): FieldError[] {
  if (!key) return [required(path)];
  const errors: FieldError[] = [];
  const slash = key.indexOf("/");
  const [domain, rest] = slash < 0 ? ["", ""] : [key.slice(0, slash), key.slice(slash + 1)];
  if (!domain || !rest) errors.push(invalid(path, key, 'must be a domain-prefixed path (such as "acme.io/foo")'));
  else {
    errors.push(...dns1123SubdomainProblems(domain).map((problem) => invalid(path, domain, problem)));
    if (!new RegExp(`^${httpPath}$`).test(rest)) {
      errors.push(invalid(path, rest, `Invalid path (regex used for validation is '${httpPath}')`));
    }
  }
  if (key !== key.toLowerCase()) errors.push(invalid(path, key, "must be lowercase"));
  if (/^(?:.*\.)?(?:k8s|kubernetes)\.io$/.test(domain!)) {
    errors.push(invalid(path, key, "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"));
  }
  return errors;
}

function prefixedErrors(mapping: PrefixedClaim, path: FieldPath, kinds: readonly CelType["kind"][]): FieldError[] {
  const { claim, expression, prefix } = mapping;
  if (claim && expression) return [invalid(path, "", "claim and expression can't both be set")];
  if (claim && prefix === undefined) {
    const detail = "prefix is required when claim is set. It can be set to an empty string to disable prefixing";
    return [required(path.child("prefix"), detail)];
  }
  if (!expression) return [];
  const excess =
    prefix === undefined ? [] : [invalid(path.child("prefix"), prefix, "may not be specified when expression is set")];
  return [...excess, ...expressionErrors(expression, claimsEnvironment, kinds, path.child("expression"))];
}

function expressionErrors(
  expression: string,
  environment: Environment,
  kinds: readonly CelType["kind"][],
  path: FieldPath,
): FieldError[] {
  if (!expression.trim()) return [required(path, "expression is required")];
  const compiled = compile(expression, environment);
  if (!compiled.program) return [invalid(path, expression, `compilation failed: ${compiled.message}`)];
  const { kind } = compiled.program.type;
  if (kind === "dyn" || kinds.includes(kind)) return [];
  const words = kinds.map((one) => (one === "list" ? "list(string)" : one));
  const detail = words.length === 1 ? `must evaluate to ${words[0]}` : `must evaluate to one of [${words.join(" ")}]`;
  return [invalid(path, expression, detail)];
}

/** Of an expression that was found sound before. */
export function compiled(expression: string, environment: Environment): Program {
  const result = compile(expression, environment);
  if (!result.program) throw new Error(result.message);
  return result.program;
}
