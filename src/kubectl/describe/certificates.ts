/** How `describe` shows CertificateSigningRequests: what the request in them asks for. */
import { formatIp } from "../../base/ip.ts";
import { humanDuration, rfc1123 } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import { CommandError } from "../command-error.ts";
import { type Describers, type Describing, type Fields, fields, list, oneLine } from "./describing.ts";
import type { Outline } from "./outline.ts";

export const certificates: Describers = {
  "certificates.k8s.io/CertificateSigningRequest": certificateSigningRequest,
};

function certificateSigningRequest(object: Unstructured, { outline }: Describing): void {
  const spec = fields(object["spec"]);
  const request = readRequest(String(spec["request"] ?? ""));
  outline.field(0, "Name", object.metadata.name);
  outline.field(0, "Labels", oneLine(object.metadata.labels));
  outline.field(0, "Annotations", oneLine(object.metadata.annotations));
  outline.field(0, "CreationTimestamp", rfc1123(object.metadata.creationTimestamp));
  outline.field(0, "Requesting User", spec["username"]);
  if (spec["signerName"]) outline.field(0, "Signer", spec["signerName"]);
  const seconds = spec["expirationSeconds"];
  if (seconds !== undefined) outline.field(0, "Requested Duration", humanDuration(Number(seconds) * 1000));
  outline.field(0, "Status", statusOf(fields(object["status"])));
  outline.line(0, "Subject:");
  outline.line(0, `\tCommon Name:\t${request.subject("2.5.4.3").at(-1) ?? ""}`);
  outline.line(0, `\tSerial Number:\t${request.subject("2.5.4.5").at(-1) ?? ""}`);
  for (const [title, type] of subjectFields) writeList(outline, title, request.subject(type));
  const { dnsNames, emails, uris, addresses } = request;
  if (dnsNames.length + emails.length + uris.length + addresses.length === 0) return;
  outline.line(0, "Subject Alternative Names:");
  writeList(outline, "DNS Names", dnsNames);
  writeList(outline, "Email Addresses", emails);
  writeList(outline, "URIs", uris);
  writeList(outline, "IP Addresses", addresses);
}

const subjectFields = [
  ["Organization", "2.5.4.10"],
  ["Organizational Unit", "2.5.4.11"],
  ["Country", "2.5.4.6"],
  ["Locality", "2.5.4.7"],
  ["Province", "2.5.4.8"],
  ["StreetAddress", "2.5.4.9"],
  ["PostalCode", "2.5.4.17"],
] as const;

function writeList(outline: Outline, title: string, values: readonly string[]): void {
  for (const [i, value] of values.entries()) outline.line(0, i === 0 ? `\t${title}:\t${value}` : `\t\t${value}`);
}

function statusOf(status: Fields): string {
  const types = new Set(list<{ type: string }>(status["conditions"]).map(({ type }) => type));
  const verdict = types.has("Denied") ? "Denied" : types.has("Approved") ? "Approved" : "Pending";
  return `${verdict}${types.has("Failed") ? ",Failed" : ""}${status["certificate"] ? ",Issued" : ""}`;
}

interface Request {
  /** What the subject says of a kind of attribute. */
  subject(type: string): string[];
  dnsNames: string[];
  emails: string[];
  uris: string[];
  addresses: string[];
}

/** PKCS #10 (RFC 2986), given as PEM in base64. Throws a CommandError when it is not. */
function readRequest(encoded: string): Request {
  const pem = Buffer.from(encoded, "base64").toString("latin1");
  const body = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([^-]+)-----END/.exec(pem)?.[1];
  if (!body) throw new CommandError("Error parsing CSR: PEM block type must be CERTIFICATE REQUEST");
  try {
    const [info] = valuesIn(Buffer.from(body, "base64"))[0]!.values;
    const [, subject, , attributes] = info!.values;
    const names = subject!.values.flatMap((set) => set.values).map(({ values }) => values);
    const extensions = (attributes?.values ?? [])
      .filter(({ values }) => identifier(values[0]!) === extensionRequest)
      .flatMap(({ values }) => values[1]!.values[0]!.values);
    const alternatives = extensions
      .filter(({ values }) => identifier(values[0]!) === subjectAltName)
      .flatMap(({ values }) => valuesIn(values.at(-1)!.bytes)[0]!.values);
    const of = (tag: number) => alternatives.filter((name) => (name.tag & 0x1f) === tag);
    const text = ({ bytes }: Value) => bytes.toString("latin1");
    return {
      subject: (type) => names.filter(([kind]) => identifier(kind!) === type).map(([, value]) => textOf(value!)),
      dnsNames: of(2).map(text),
      emails: of(1).map(text),
      uris: of(6).map(text),
      addresses: of(7).map(({ bytes }) => formatIp(bytes)),
    };
  } catch (cause) {
    throw new CommandError(`Error parsing CSR: ${(cause as Error).message}`);
  }
}

const extensionRequest = "1.2.840.113549.1.9.14";
const subjectAltName = "2.5.29.17";

/** One value of DER (X.690). */
interface Value {
  tag: number;
  bytes: Buffer;
  /** Of a constructed one: those in it. */
  readonly values: Value[];
}

function valuesIn(bytes: Buffer): Value[] {
  const found: Value[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at++]!;
    let length = bytes[at++]!;
    if (length > 0x80) {
      const count = length - 0x80;
      length = bytes.readUIntBE(at, count);
      at += count;
    }
    if (length === undefined || at + length > bytes.length) throw new Error("asn1: syntax error: data truncated");
    const content = bytes.subarray(at, at + length);
    found.push({
      tag,
      bytes: content,
      get values() {
        return valuesIn(content);
      },
    });
    at += length;
  }
  return found;
}

function identifier({ bytes }: Value): string {
  const parts = [Math.min(2, Math.floor(bytes[0]! / 40))];
  parts.push(bytes[0]! - parts[0]! * 40);
  let part = 0;
  for (const byte of bytes.subarray(1)) {
    part = part * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      parts.push(part);
      part = 0;
    }
  }
  return parts.join(".");
}

const bmpString = 30;

function textOf({ tag, bytes }: Value): string {
  return tag === bmpString ? Buffer.from(bytes).swap16().toString("utf16le") : bytes.toString("utf8");
}
