/** Kubernetes' `authorizer`: what the requesting user, or a ServiceAccount, may do. */
import { type FunctionTable, memberFunction, type Sizes } from "../environment.ts";
import { Bool, opaque, Text } from "../types.ts";
import { OpaqueValue } from "../values.ts";

export const authorizerType = opaque("kubernetes.authorization.Authorizer");
const pathType = opaque("kubernetes.authorization.PathCheck");
const groupType = opaque("kubernetes.authorization.GroupCheck");
export const resourceCheckType = opaque("kubernetes.authorization.ResourceCheck");
const decisionType = opaque("kubernetes.authorization.Decision");

/** What an expression asks. Without `path` it is about a resource. */
export interface AuthorizationQuestion {
  verb: string;
  path?: string;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
  fieldSelector?: string;
  labelSelector?: string;
  /** Another user than the one that the authorizer stands for. */
  serviceAccount?: { namespace: string; name: string };
}

export interface AuthorizationAnswer {
  allowed: boolean;
  reason: string;
  error?: string;
}

/** Answers at once: expressions do not wait. */
export type AskAuthorizer = (question: AuthorizationQuestion) => AuthorizationAnswer;

type Check = Omit<AuthorizationQuestion, "verb">;

class AuthorizerValue extends OpaqueValue {
  override readonly typeName: string;
  readonly ask: AskAuthorizer;
  readonly check: Check;
  constructor(typeName: string, ask: AskAuthorizer, check: Check) {
    super();
    this.typeName = typeName;
    this.ask = ask;
    this.check = check;
  }
  as(type: { name: string }, more: Partial<Check>): AuthorizerValue {
    return new AuthorizerValue(type.name, this.ask, { ...this.check, ...more });
  }
}

class DecisionValue extends OpaqueValue {
  override readonly typeName = decisionType.name;
  readonly answer: AuthorizationAnswer;
  constructor(answer: AuthorizationAnswer) {
    super();
    this.answer = answer;
  }
}

const nothing: Check = { group: "", resource: "", subresource: "", namespace: "", name: "" };

/** The value of the variable `authorizer`. */
export function authorizerValue(ask: AskAuthorizer): OpaqueValue {
  return new AuthorizerValue(authorizerType.name, ask, nothing);
}

/** The value of the variable `authorizer.requestResource`. */
export function requestResourceValue(ask: AskAuthorizer, check: Check): OpaqueValue {
  return new AuthorizerValue(resourceCheckType.name, ask, check);
}

const checkCost = 350_000;

function check({ ask, check: about }: AuthorizerValue, verb: string): DecisionValue {
  return new DecisionValue(ask({ ...about, verb }));
}

/** Selectors are parsed into requirements: a list, and for every other character at most one of them. */
const parsing = { cost: ([, text = 0]: Sizes) => 10 + Math.ceil(text * 0.1) + Math.ceil(text * 0.5) * 50 };

const refine = (name: keyof Check, more: { cost?: (sizes: Sizes) => number } = {}) => [
  memberFunction(
    [resourceCheckType, Text],
    resourceCheckType,
    (value: AuthorizerValue, text: string) => value.as(resourceCheckType, { [name]: text }),
    more,
  ),
];

export const authorizerLibrary: FunctionTable = {
  path: [
    memberFunction([authorizerType, Text], pathType, (value: AuthorizerValue, path: string) =>
      value.as(pathType, { path }),
    ),
  ],
  group: [
    memberFunction([authorizerType, Text], groupType, (value: AuthorizerValue, group: string) =>
      value.as(groupType, { group }),
    ),
  ],
  serviceAccount: [
    memberFunction(
      [authorizerType, Text, Text],
      authorizerType,
      (value: AuthorizerValue, namespace: string, name: string) =>
        value.as(authorizerType, { serviceAccount: { namespace, name } }),
    ),
  ],
  resource: [
    memberFunction([groupType, Text], resourceCheckType, (value: AuthorizerValue, resource: string) =>
      value.as(resourceCheckType, { resource }),
    ),
  ],
  subresource: refine("subresource"),
  namespace: refine("namespace"),
  name: refine("name"),
  fieldSelector: refine("fieldSelector", parsing),
  labelSelector: refine("labelSelector", parsing),
  check: [
    memberFunction([pathType, Text], decisionType, check, { cost: () => checkCost }),
    memberFunction([resourceCheckType, Text], decisionType, check, { cost: () => checkCost }),
  ],
  allowed: [memberFunction([decisionType], Bool, ({ answer }: DecisionValue) => answer.allowed)],
  reason: [memberFunction([decisionType], Text, ({ answer }: DecisionValue) => answer.reason)],
  errored: [memberFunction([decisionType], Bool, ({ answer }: DecisionValue) => answer.error !== undefined)],
  error: [memberFunction([decisionType], Text, ({ answer }: DecisionValue) => answer.error ?? "")],
};
