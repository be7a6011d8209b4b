/** Paths that anyone may read, so that load balancers can ask for health. */
import { type Authorizer, allow } from "../../apiserver/authorization.ts";

const paths = new Set(["/healthz", "/livez", "/readyz"]);

export const alwaysAllowPathsAuthorizer: Authorizer = {
  name: "always-allow-paths",
  authorize: ({ isResource, path }) => (!isResource && paths.has(path) ? allow : { kind: "no-opinion", reason: "" }),
};
