/** The roles that a command line names. */
import { allRoles, isRole, type Role } from "../roles.ts";

/** All of them when it names none. Throws when one is unknown, or one is missing that the others need. */
export function checkedRoles(names: readonly string[] | undefined): ReadonlySet<Role> {
  if (!names) return new Set(allRoles);
  const unknown = names.filter((name) => !isRole(name));
  if (unknown.length > 0)
    throw new Error(
      `unknown roles: ${unknown.map((name) => `"${name}"`).join(", ")}; known are ${allRoles.join(", ")}`,
    );
  const roles = new Set(names as Role[]);
  if (!roles.has("apiserver"))
    throw new Error('the role "apiserver" must be among --roles: the others work through it');
  return roles;
}
