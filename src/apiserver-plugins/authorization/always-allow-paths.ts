/** Paths that anyone may read, so that load balancers and people without a login can ask for health and version. */
import { type Authorizer, allow } from "../../apiserver/authorization.ts";

const paths = new Set(["/healthz", "/livez", "/readyz", "/version", "/version/"]);

export const alwaysAllowPathsAuthorizer: Authorizer = {
  name: "always-allow-paths",
  authorize: ({ isResource, path }) => (!isResource && paths.has(path) ? allow : { kind: "no-opinion", reason: "" }),
};
