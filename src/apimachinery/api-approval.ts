/** Groups of the Kubernetes project itself, whose definitions say where they were approved. */

export const approvalAnnotation = "api-approved.kubernetes.io";

export function isProtectedGroup(group: string): boolean {
  return /(^|\.)(k8s|kubernetes)\.io$/.test(group);
}

export interface Approval {
  state: "Approved" | "Unapproved" | "Missing" | "Invalid";
  /** Why, in upstream's words. */
  message: string;
}

export function approvalOf(annotations: Readonly<Record<string, string>> | undefined): Approval {
  const said = annotations?.[approvalAnnotation];
  const due = `protected groups must have approval annotation ${JSON.stringify(approvalAnnotation)}`;
  const see = "see https://github.com/kubernetes/enhancements/pull/1111";
  if (!said) return { state: "Missing", message: `${due}, ${see}` };
  if (said.startsWith("unapproved")) return { state: "Unapproved", message: `not approved: ${JSON.stringify(said)}` };
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(said) && URL.canParse(said))
    return { state: "Approved", message: `approved in ${said}` };
  return { state: "Invalid", message: `${due} with either a URL or a reason starting with "unapproved", ${see}` };
}
