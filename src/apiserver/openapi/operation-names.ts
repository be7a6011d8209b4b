/** How OpenAPI operations are named after groups. */

/** `rbacAuthorization` of `rbac.authorization.k8s.io`, `core` of no group at all. */
export function camel(group: string): string {
  const words = (group || "core").replace(/\.k8s\.io$/, "").split(/[^A-Za-z0-9]+/);
  return words.map((word, index) => (index === 0 ? word : pascal(word))).join("");
}

export function pascal(name: string): string {
  return name === "" ? "" : name[0]!.toUpperCase() + name.slice(1);
}
