/** Authorizers that look at nothing, for trying out. */
import { type Authorizer, allow } from "../../apiserver/authorization.ts";

export const alwaysAllowAuthorizer: Authorizer = { name: "AlwaysAllow", authorize: () => allow };

export const alwaysDenyAuthorizer: Authorizer = {
  name: "AlwaysDeny",
  authorize: () => ({ kind: "no-opinion", reason: "Everything is forbidden." }),
};
