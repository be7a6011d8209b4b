/** How `describe` shows ConfigMaps, Secrets and ServiceAccounts. */
import type { Unstructured } from "../api.ts";
import { coreObjects, type Describers, type Describing, fields, list, writeHead } from "./describing.ts";

export const configuration: Describers = {
  "/ConfigMap": configMap,
  "/Secret": secret,
  "/ServiceAccount": serviceAccount,
};

const tokenType = "kubernetes.io/service-account-token";

async function configMap(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.line(0, "\nData\n====");
  for (const [key, value] of Object.entries(fields(object["data"])).sort(([a], [b]) => (a < b ? -1 : 1))) {
    outline.line(0, `${key}:\n----\n${String(value)}\n`);
  }
  outline.line(0, "\nBinaryData\n====");
  for (const [key, value] of Object.entries(fields(object["binaryData"]))) {
    outline.line(0, `${key}: ${Buffer.from(String(value), "base64").length} bytes`);
  }
  outline.line(0, "");
}

async function secret(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  outline.line(0, `\nType:  ${String(object["type"])}`);
  outline.line(0, "\nData\n====");
  for (const [key, value] of Object.entries(fields(object["data"])).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = Buffer.from(String(value), "base64");
    const isShown = key === "token" && object["type"] === tokenType;
    outline.line(0, `${key}:\t${isShown ? bytes.toString() : `${bytes.length} bytes`}`);
  }
}

async function serviceAccount(object: Unstructured, { api, outline }: Describing) {
  writeHead(outline, object);
  const { name, namespace, uid } = object.metadata;
  const secrets = await coreObjects(api, "secrets", namespace).catch(() => undefined);
  const shown = (value: unknown) =>
    list<{ name: string }>(value).map((reference) =>
      !secrets || secrets.some(({ metadata }) => metadata.name === reference.name)
        ? reference.name
        : `${reference.name} (not found)`,
    );
  const tokens = (secrets ?? []).filter(
    ({ type, metadata: { annotations = {} } }) =>
      type === tokenType &&
      annotations["kubernetes.io/service-account.name"] === name &&
      annotations["kubernetes.io/service-account.uid"] === uid,
  );
  for (const [title, found] of [
    ["Image pull secrets", shown(object["imagePullSecrets"])],
    ["Mountable secrets", shown(object["secrets"])],
    ["Tokens", tokens.map(({ metadata }) => metadata.name).sort()],
  ] as const) {
    for (const [i, each] of (found.length > 0 ? found : ["<none>"]).entries())
      outline.line(0, `${i === 0 ? `${title}:` : ""}\t${each}`);
  }
}
