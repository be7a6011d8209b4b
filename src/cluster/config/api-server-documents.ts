/** Documents of upstream's that the API server takes from files of their own, and reads again while it runs. */
import schema from "../../../schema/cluster-v1alpha1.schema.json" with { type: "json" };
import { FieldPath } from "../../apimachinery/field-error.ts";
import {
  type AuthenticationConfiguration,
  authenticationConfigurationErrors,
} from "../../apiserver-plugins/authentication/authentication-configuration.ts";
import {
  type AuthorizationConfiguration,
  authorizationConfigurationErrors,
} from "../../apiserver-plugins/authorization/authorization-configuration.ts";
import { checkedDocument, pathOf } from "./checked-document.ts";
import type { Schema } from "./schema-errors.ts";

const { authentication, authorization } = (schema as Schema).properties!["apiServer"]!.properties!;

const beginning = (kind: string) =>
  `a mapping that begins with "apiVersion: apiserver.config.k8s.io/v1" and "kind: ${kind}"`;

/** Throws ConfigError. `ownIssuers`: those of ServiceAccounts' tokens. */
export function parseAuthenticationConfiguration(
  text: string,
  fileName: string,
  ownIssuers: readonly string[],
): AuthenticationConfiguration {
  return checkedDocument(text, fileName, {
    schema: authentication!.properties!["configuration"]!,
    root: schema as Schema,
    expected: beginning("AuthenticationConfiguration"),
    mistakesOf: (document: AuthenticationConfiguration) =>
      authenticationConfigurationErrors(document, FieldPath.root, ownIssuers).map(mistakeOf),
  });
}

/** Throws ConfigError. */
export function parseAuthorizationConfiguration(text: string, fileName: string): AuthorizationConfiguration {
  return checkedDocument(text, fileName, {
    schema: authorization!,
    root: schema as Schema,
    expected: beginning("AuthorizationConfiguration"),
    mistakesOf: (document: AuthorizationConfiguration) => authorizationConfigurationErrors(document).map(mistakeOf),
  });
}

const mistakeOf = ({ field, message }: { field: string; message: string }) => ({ path: pathOf(field), message });
