/**
 * Upstream's AuthenticationConfiguration (apiserver.config.k8s.io/v1; KEP-3331): which issuers' tokens are taken, how their claims
 * become users, and where nobody need prove anything.
 */
import { compile, type Program } from "../../apimachinery/cel/compile.ts";
import type { Environment } from "../../apimachinery/cel/environment.ts";
import { kubernetesEnvironment } from "../../apimachinery/cel/kubernetes-environment.ts";
import { type CelType, Dyn, listOf, mapOf, objectOf, Text } from "../../apimachinery/cel/types.ts";
import {
  duplicate,
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  notSupported,
  required,
} from "../../apimachinery/field-error.ts";

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

/** Every mistake, in upstream's words; none for a configuration that can be used. */
export function authenticationConfigurationErrors(
  configuration: AuthenticationConfiguration,
  at = FieldPath.root,
): FieldError[] {
  const { jwt = [], anonymous } = configuration;
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, one] of jwt.entries()) {
    const path = at.child("jwt").index(i);
    errors.push(...issuerErrors(one.issuer, path.child("issuer")));
    for (const url of new Set([one.issuer?.url, one.issuer?.discoveryURL])) {
      if (url && seen.has(url)) errors.push(duplicate(path.child("issuer", "url"), url));
      if (url) seen.add(url);
    }
    errors.push(...ruleErrors(one, path.child("claimValidationRules")));
    errors.push(...mappingErrors(one, path.child("claimMappings")));
    for (const [j, { expression }] of (one.userValidationRules ?? []).entries()) {
      const place = path.child("userValidationRules").index(j).child("expression");
      errors.push(...expressionErrors(expression, userEnvironment, ["bool"], place));
    }
  }
  if (anonymous && !anonymous.enabled && anonymous.conditions?.length) {
    errors.push(
      forbidden(at.child("anonymous", "conditions"), "conditions should not be set when anonymous auth is disabled"),
    );
  }
  return errors;
}

function issuerErrors(issuer: JwtIssuer["issuer"] | undefined, path: FieldPath): FieldError[] {
  if (!issuer) return [required(path.child("url"), "URL is required")];
  const errors = [
    ...urlErrors(issuer.url, path.child("url")),
    ...(issuer.discoveryURL === undefined ? [] : urlErrors(issuer.discoveryURL, path.child("discoveryURL"))),
  ];
  if (issuer.discoveryURL && issuer.discoveryURL.replace(/\/$/, "") === issuer.url?.replace(/\/$/, "")) {
    errors.push(invalid(path.child("discoveryURL"), issuer.discoveryURL, "discoveryURL must be different from URL"));
  }
  const { audiences = [], audienceMatchPolicy = "" } = issuer;
  if (audiences.length === 0) {
    errors.push(required(path.child("audiences"), "at least one audience is required"));
  }
  if (audiences.length > 1 && audienceMatchPolicy !== "MatchAny") {
    errors.push(
      invalid(
        path.child("audienceMatchPolicy"),
        audienceMatchPolicy,
        "audienceMatchPolicy must be MatchAny for multiple audiences",
      ),
    );
  } else if (audienceMatchPolicy !== "" && audienceMatchPolicy !== "MatchAny") {
    errors.push(notSupported(path.child("audienceMatchPolicy"), audienceMatchPolicy, ["MatchAny"]));
  }
  for (const [i, audience] of audiences.entries()) {
    if (!audience) errors.push(required(path.child("audiences").index(i), "audience can't be empty"));
    if (audiences.indexOf(audience) < i) errors.push(duplicate(path.child("audiences").index(i), audience));
  }
  const { certificateAuthority } = issuer;
  if (certificateAuthority && !certificateAuthority.includes("-----BEGIN CERTIFICATE-----")) {
    errors.push(
      invalid(
        path.child("certificateAuthority"),
        "<omitted>",
        "data does not contain any valid RSA or ECDSA certificates",
      ),
    );
  }
  return errors;
}

function urlErrors(text: string | undefined, path: FieldPath): FieldError[] {
  if (!text) return [required(path, "URL is required")];
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return [invalid(path, text, "not a URL")];
  }
  if (url.protocol !== "https:") return [invalid(path, text, "URL scheme must be https")];
  if (url.username) return [invalid(path, text, "URL must not contain a username or password")];
  if (url.search) return [invalid(path, text, "URL must not contain a query")];
  if (url.hash) return [invalid(path, text, "URL must not contain a fragment")];
  return [];
}

function ruleErrors({ claimValidationRules = [] }: JwtIssuer, path: FieldPath): FieldError[] {
  return claimValidationRules.flatMap(({ claim, requiredValue, expression, message }, i) => {
    const place = path.index(i);
    if (claim && expression) return [invalid(place, claim, "claim and expression can't both be set")];
    if (!claim && !expression) return [required(place, "claim or expression is required")];
    if (claim && message) {
      return [invalid(place.child("message"), message, "message can't be set when claim is set")];
    }
    if (expression && requiredValue) {
      const detail = "requiredValue can't be set when expression is set";
      return [invalid(place.child("requiredValue"), requiredValue, detail)];
    }
    return expression ? expressionErrors(expression, claimsEnvironment, ["bool"], place.child("expression")) : [];
  });
}

function mappingErrors({ claimMappings, claimValidationRules = [] }: JwtIssuer, path: FieldPath): FieldError[] {
  const { username, groups, uid, extra = [] } = claimMappings ?? {};
  const errors: FieldError[] = [];
  if (!username?.claim && !username?.expression) {
    errors.push(required(path.child("username"), "claim or expression is required"));
  } else {
    errors.push(...prefixedErrors(username, path.child("username"), ["string"]));
    const others = [...extra.map((one) => one.valueExpression), ...claimValidationRules.map((one) => one.expression)];
    const checked = [username.expression, ...others].some((text) => text?.includes("claims.email_verified"));
    if (username.expression?.includes("claims.email") && !checked) {
      const detail =
        "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression";
      errors.push(invalid(path.child("username", "expression"), username.expression, detail));
    }
  }
  if (groups) errors.push(...prefixedErrors(groups, path.child("groups"), ["string", "list"]));
  if (uid) {
    if (uid.claim && uid.expression) {
      errors.push(invalid(path.child("uid"), "", "claim and expression can't both be set"));
    } else if (uid.expression) {
      errors.push(...expressionErrors(uid.expression, claimsEnvironment, ["string"], path.child("uid", "expression")));
    }
  }
  for (const [i, { key, valueExpression }] of extra.entries()) {
    const place = path.child("extra").index(i);
    if (!key) errors.push(required(place.child("key")));
    else if (!/^[a-z0-9.-]+\/[^A-Z]+$/.test(key)) {
      errors.push(
        invalid(place.child("key"), key, 'key must be a domain-prefix path (such as "acme.io/foo") in lower case'),
      );
    } else if (/^([a-z0-9-]+\.)*(k8s|kubernetes)\.io\//.test(key)) {
      errors.push(
        invalid(place.child("key"), key, "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"),
      );
    }
    if (extra.findIndex((one) => one.key === key) < i) errors.push(duplicate(place.child("key"), key));
    errors.push(
      ...expressionErrors(valueExpression, claimsEnvironment, ["string", "list"], place.child("valueExpression")),
    );
  }
  return errors;
}

function prefixedErrors(mapping: PrefixedClaim, path: FieldPath, kinds: readonly CelType["kind"][]): FieldError[] {
  const { claim, expression, prefix } = mapping;
  if (claim && expression) return [invalid(path, "", "claim and expression can't both be set")];
  if (expression && prefix !== undefined) {
    return [invalid(path.child("prefix"), prefix, "prefix can't be set when expression is set")];
  }
  if (claim && prefix === undefined) {
    const detail = "prefix is required when claim is set. It can be set to an empty string to disable prefixing";
    return [required(path.child("prefix"), detail)];
  }
  return expression ? expressionErrors(expression, claimsEnvironment, kinds, path.child("expression")) : [];
}

function expressionErrors(
  expression: string | undefined,
  environment: Environment,
  kinds: readonly CelType["kind"][],
  path: FieldPath,
): FieldError[] {
  if (!expression) return [required(path, "expression is required")];
  const compiled = compile(expression, environment);
  if (!compiled.program) return [invalid(path, expression, `compilation failed: ${compiled.message}`)];
  const { kind } = compiled.program.type;
  if (kind === "dyn" || kinds.includes(kind)) return [];
  return [invalid(path, expression, `must evaluate to ${kinds.join(" or ")}`)];
}

/** Of an expression that was found sound before. */
export function compiled(expression: string, environment: Environment): Program {
  const result = compile(expression, environment);
  if (!result.program) throw new Error(result.message);
  return result.program;
}
