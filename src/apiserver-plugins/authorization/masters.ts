/** Members of `system:masters` may do everything, whatever other authorizers would say. */
import { mastersGroup } from "../../apiserver/authentication.ts";
import { type Authorizer, allow } from "../../apiserver/authorization.ts";

export const mastersAuthorizer: Authorizer = {
  name: "privileged-group",
  authorize: ({ user }) => (user.groups.includes(mastersGroup) ? allow : { kind: "no-opinion", reason: "" }),
};
