/** The flags that every verb takes: which server, as whom, in which namespace. */
import type { Flag } from "./flags.ts";

export const globalFlags: readonly Flag[] = [
  { name: "namespace", short: "n", kind: "string", help: "the namespace to work in" },
  { name: "context", kind: "string", help: "the kubeconfig's context to use" },
  { name: "cluster", kind: "string", help: "the kubeconfig's cluster to use" },
  { name: "user", kind: "string", help: "the kubeconfig's user to use" },
  { name: "kubeconfig", kind: "string", help: "the kubeconfig file" },
  { name: "server", short: "s", kind: "string", help: "the API server's address" },
  { name: "token", kind: "string", help: "the bearer token to show" },
  { name: "as", kind: "string", help: "the user to act as" },
  { name: "as-group", kind: "list", help: "a group to act as; may be repeated" },
  { name: "as-uid", kind: "string", help: "the user's uid to act as" },
  { name: "certificate-authority", kind: "string", help: "the file of the authority to trust" },
  { name: "client-certificate", kind: "string", help: "the file of the certificate to show" },
  { name: "client-key", kind: "string", help: "the file of that certificate's key" },
  { name: "insecure-skip-tls-verify", kind: "bool", help: "do not check the server's certificate" },
  { name: "tls-server-name", kind: "string", help: "the name to expect in the server's certificate" },
  { name: "request-timeout", kind: "string", default: "0", help: "how long one request may take; 0 for any time" },
  { name: "cache-dir", kind: "string", help: "accepted; nothing is cached on disk" },
  { name: "disable-compression", kind: "bool", help: "accepted; answers are not compressed" },
  { name: "warnings-as-errors", kind: "bool", help: "end with an error when the server warned" },
  { name: "v", short: "v", kind: "int", default: 0, help: "accepted for scripts" },
];
