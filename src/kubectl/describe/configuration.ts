/** How `describe` shows ConfigMaps, Secrets and ServiceAccounts. */
import type { Unstructured } from "../api.ts";
import { type Describers, type Describing, fields, list, writeHead } from "./describing.ts";

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

function serviceAccount(object: Unstructured, { outline }: Describing) {
  writeHead(outline, object);
  const names = list<{ name: string }>(object["imagePullSecrets"]).map(({ name }) => name);
  for (const [i, name] of (names.length > 0 ? names : ["<none>"]).entries())
    outline.line(0, `${i === 0 ? "Image pull secrets:" : ""}\t${name}`);
}
