/**
 * In which ways somebody may act as another (constrained impersonation, KEP-5284): as the node that one runs on, as any node, as a
 * ServiceAccount, as another user; and the way without bounds that there always was. In the bounded ways it takes leave for the user
 * (`impersonate:<mode>`) and for what is done as that user (`impersonate-on:<mode>:<verb>`).
 */
import { validDomainPrefixedPath } from "../../apimachinery/domain-prefixed-path.ts";
import { FieldPath } from "../../apimachinery/field-error.ts";
import { dns1123LabelProblems, dns1123SubdomainProblems } from "../../apimachinery/name-validation.ts";
import { StatusError } from "../../apimachinery/status-error.ts";
import { mastersGroup, type UserInfo } from "../authentication.ts";
import { type Attributes, forbiddenRequest } from "../authorization.ts";

/** What the headers name, as they name it. */
export interface WantedUser {
  name: string;
  uid: string;
  groups: readonly string[];
  extra: Readonly<Record<string, readonly string[]>>;
}

export interface Impersonated {
  user: UserInfo;
  /** The verb that gave leave for the user; undefined in the way without bounds. */
  constraint?: string;
}

/** Throws a 403. */
export type Authorize = (attributes: Attributes) => void | Promise<void>;

interface Mode {
  name: string;
  fits(wanted: WantedUser, requestor: UserInfo): boolean;
}

const nodeKey = "authentication.kubernetes.io/node-name";
const unbounded = "impersonate";

const modes: readonly Mode[] = [
  {
    name: "associated-node",
    fits: (wanted, requestor) =>
      isNameAlone(wanted) &&
      serviceAccountOf(requestor.name) !== undefined &&
      requestor.extra?.[nodeKey]?.length === 1 &&
      requestor.extra[nodeKey][0] === nodeOf(wanted.name),
  },
  { name: "arbitrary-node", fits: (wanted) => isNameAlone(wanted) && nodeOf(wanted.name) !== undefined },
  { name: "serviceaccount", fits: (wanted) => isNameAlone(wanted) && serviceAccountOf(wanted.name) !== undefined },
  {
    name: "user-info",
    fits: ({ name }) => nodeOf(name) === undefined && serviceAccountOf(name) === undefined,
  },
];

/** How users last came to act as others: that way is tried first, and says why it is none when there is none. */
export class ImpersonationModes {
  readonly #last = new Map<string, number>();
  readonly #modes: readonly Mode[];

  constructor(isConstrained: boolean) {
    this.#modes = isConstrained ? modes : [];
  }

  /** `asked`: the request, as the requestor's own. Throws the 403 of the first way that might have led there. */
  async impersonate(wanted: WantedUser, asked: Attributes, authorize: Authorize): Promise<Impersonated> {
    const { name } = asked.user;
    const all = this.#modes.length;
    const last = this.#last.get(name) ?? 0;
    const order = [last, ...Array.from({ length: all + 1 }, (_, i) => i).filter((i) => i !== last)];
    let refusal: StatusError | undefined;
    for (const i of order) {
      const mode = this.#modes[i];
      if (mode && !mode.fits(wanted, asked.user)) continue;
      try {
        const found = await (mode
          ? within(mode.name, wanted, asked, authorize)
          : withoutBounds(wanted, asked, authorize));
        if (last !== i) this.#remember(name, i);
        return found;
      } catch (error) {
        if (!(error instanceof StatusError)) throw error;
        refusal ??= error;
      }
    }
    throw refusal;
  }

  #remember(name: string, mode: number): void {
    if (this.#last.size >= rememberedUsers) this.#last.delete(this.#last.keys().next().value!);
    this.#last.set(name, mode);
  }
}

const rememberedUsers = 10_000;

async function within(
  mode: string,
  wanted: WantedUser,
  asked: Attributes,
  authorize: Authorize,
): Promise<Impersonated> {
  const user = mode === "associated-node" ? withoutPlace(asked.user) : asked.user;
  await authorize({ ...asked, user, verb: `impersonate-on:${mode}:${asked.verb}` });
  const constraint = `impersonate:${mode}`;
  const about = attributesFor(user, constraint, "authentication.k8s.io");
  let { groups } = wanted;
  const node = nodeOf(wanted.name);
  const account = serviceAccountOf(wanted.name);
  if (node !== undefined) {
    groups = ["system:nodes"];
    // Who is let be the node that it runs on is let be so wherever it runs.
    await authorize(about("nodes", mode === "associated-node" ? "*" : node));
  } else if (account) {
    groups = groupsOf(account.namespace);
    await authorize({ ...about("serviceaccounts", account.name), namespace: account.namespace });
  } else await authorize(about("users", wanted.name));
  if (wanted.uid) await authorize(about("uids", wanted.uid));
  await authorizeGroups(wanted.groups, about, authorize);
  await authorizeExtra(wanted.extra, about, authorize);
  return { user: acting(wanted, groups), constraint };
}

async function withoutBounds(wanted: WantedUser, { user }: Attributes, authorize: Authorize): Promise<Impersonated> {
  const about = attributesFor(user, unbounded, "");
  const more = attributesFor(user, unbounded, "authentication.k8s.io");
  const account = serviceAccountOf(wanted.name);
  if (account) await authorize({ ...about("serviceaccounts", account.name), namespace: account.namespace });
  else await authorize(about("users", wanted.name));
  if (wanted.uid) await authorize(more("uids", wanted.uid));
  for (const group of wanted.groups) await authorize(about("groups", group));
  for (const [key, values] of Object.entries(wanted.extra)) {
    for (const value of values) await authorize({ ...more("userextras", value), subresource: key });
  }
  return { user: acting(wanted, account && wanted.groups.length === 0 ? groupsOf(account.namespace) : wanted.groups) };
}

type About = (resource: string, name: string) => Attributes;

function attributesFor(user: UserInfo, verb: string, group: string): About {
  const common = { user, verb, isResource: true, group, version: "v1", subresource: "", namespace: "", path: "" };
  return (resource, name) => ({ ...common, resource, name });
}

/** From so many on, leave for all of them is asked for first. */
const manyChecks = 4;

async function authorizeGroups(groups: readonly string[], about: About, authorize: Authorize): Promise<void> {
  if (groups.includes("")) {
    throw forbiddenRequest(about("groups", ""), "impersonating the empty string group is not allowed");
  }
  if (groups.includes(mastersGroup)) {
    throw forbiddenRequest(about("groups", mastersGroup), "impersonating the system:masters group is not allowed");
  }
  if (groups.length >= manyChecks && (await isAllowed(about("groups", "*"), authorize))) return;
  for (const group of groups) await authorize(about("groups", group));
}

async function authorizeExtra(extra: WantedUser["extra"], about: About, authorize: Authorize): Promise<void> {
  const entries = Object.entries(extra);
  const problem = extraProblem(entries);
  if (problem) throw forbiddenRequest(about("userextras", ""), problem);
  const count = entries.reduce((sum, [, values]) => sum + values.length, 0);
  const isLarge = Math.max(entries.length, count) >= manyChecks;
  if (isLarge && (await isAllowed({ ...about("userextras", "*"), subresource: "*" }, authorize))) return;
  for (const [key, values] of entries) {
    for (const value of values) await authorize({ ...about("userextras", value), subresource: key });
  }
}

function extraProblem(entries: readonly (readonly [string, readonly string[]])[]): string | undefined {
  for (const [key, values] of entries) {
    if (key === "") return "impersonating the empty string key in extra is not allowed";
    const errors = validDomainPrefixedPath(key, FieldPath.root.child("extra", "key")).map(
      ({ field, message }) => `${field}: ${message}`,
    );
    if (errors.length > 0) {
      const text = errors.length === 1 ? errors[0] : `[${errors.join(", ")}]`;
      return `impersonating an invalid key in extra is not allowed: ${text}`;
    }
    if (key !== key.toLowerCase()) {
      return `impersonating a non-lowercase key in extra is not allowed: ${JSON.stringify(key)}`;
    }
    if (values.length === 0) return "impersonating empty values in extra is not allowed";
    if (values.includes("")) return "impersonating the empty string value in extra is not allowed";
  }
  return undefined;
}

async function isAllowed(attributes: Attributes, authorize: Authorize): Promise<boolean> {
  try {
    await authorize(attributes);
    return true;
  } catch (error) {
    if (error instanceof StatusError) return false;
    throw error;
  }
}

function acting({ name, uid, extra }: WantedUser, groups: readonly string[]): UserInfo {
  const user = { name, groups, ...(uid ? { uid } : {}), ...(Object.keys(extra).length > 0 ? { extra } : {}) };
  if (name === "system:anonymous") return { ...user, groups: [...new Set([...groups, "system:unauthenticated"])] };
  const isSaid = groups.includes("system:authenticated") || groups.includes("system:unauthenticated");
  return isSaid ? user : { ...user, groups: [...groups, "system:authenticated"] };
}

/** Where an account's pods run says nothing about what all of them may do. */
function withoutPlace({ extra = {}, ...user }: UserInfo): UserInfo {
  return { ...user, extra: { "authentication.kubernetes.io/associated-node-keys": Object.keys(extra).sort() } };
}

function isNameAlone({ uid, groups, extra }: WantedUser): boolean {
  return uid === "" && groups.length === 0 && Object.keys(extra).length === 0;
}

function nodeOf(username: string): string | undefined {
  if (!username.startsWith("system:node:")) return undefined;
  const name = username.slice("system:node:".length);
  return dns1123SubdomainProblems(name).length === 0 ? name : undefined;
}

function serviceAccountOf(username: string): { namespace: string; name: string } | undefined {
  const [system, kind, namespace, name, ...rest] = username.split(":");
  if (system !== "system" || kind !== "serviceaccount" || !namespace || !name || rest.length > 0) return undefined;
  if (dns1123LabelProblems(namespace).length > 0 || dns1123SubdomainProblems(name).length > 0) return undefined;
  return { namespace, name };
}

function groupsOf(namespace: string): string[] {
  return ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
}
