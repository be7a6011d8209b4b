/** Who a container runs as: names and groups looked up in the image's own /etc/passwd and /etc/group. */
import type { SecurityContext } from "../container-runtime.ts";
import { RuntimeError } from "../container-runtime.ts";

export interface ContainerUser {
  uid: number;
  gid: number;
  additionalGids: number[];
}

/**
 * Pure. `imageUser` is the image config's `User`: `name`, `uid`, `name:group`, `uid:gid` and the mixed forms.
 * A number needs no entry in /etc/passwd; a name does.
 */
export function resolveUser(
  imageUser: string | undefined,
  security: SecurityContext | undefined,
  passwd: string,
  group: string,
): ContainerUser {
  const [imageName, imageGroup] = (imageUser ?? "").split(":");
  const wanted = security?.runAsUser?.toString() ?? (security?.runAsUserName || imageName || "0");
  const accounts = parse(passwd).map(([name, , uid, gid]) => ({ name: name!, uid: Number(uid), gid: Number(gid) }));
  const account = isNumber(wanted)
    ? accounts.find((each) => each.uid === Number(wanted))
    : accounts.find((each) => each.name === wanted);
  if (!account && !isNumber(wanted)) {
    throw new RuntimeError("InvalidArgument", `unable to find user ${wanted}: no matching entries in passwd file`);
  }
  const uid = account?.uid ?? Number(wanted);
  const groups = parse(group).map(([name, , gid, members]) => ({
    name: name!,
    gid: Number(gid),
    members: (members ?? "").split(",").filter(Boolean),
  }));
  const gid =
    security?.runAsGroup ??
    groupId(security?.runAsUser === undefined ? imageGroup : undefined, groups) ??
    account?.gid ??
    0;
  const additional = new Set<number>(security?.supplementalGroups ?? []);
  if (security?.supplementalGroupsPolicy !== "Strict" && account) {
    for (const each of groups) if (each.members.includes(account.name)) additional.add(each.gid);
  }
  additional.add(gid);
  return { uid, gid, additionalGids: [...additional] };
}

/** The home folder of a user, for HOME. */
export function homeOf(uid: number, passwd: string): string | undefined {
  return parse(passwd).find(([, , id]) => Number(id) === uid)?.[5] || undefined;
}

function groupId(wanted: string | undefined, groups: { name: string; gid: number }[]): number | undefined {
  if (!wanted) return undefined;
  if (isNumber(wanted)) return Number(wanted);
  const found = groups.find((each) => each.name === wanted);
  if (!found)
    throw new RuntimeError("InvalidArgument", `unable to find group ${wanted}: no matching entries in group file`);
  return found.gid;
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function parse(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
