/** What is decided about a CertificateSigningRequest: who may say what, and what stands once it is said. */
import { X509Certificate } from "node:crypto";
import type { CertificateSigningRequest } from "../../api/certificates/v1.ts";
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  notSupported,
  required,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { rfc3339 } from "../../base/clock.ts";
import { goQuote } from "../../base/go-quote.ts";
import { pemBlocks } from "../../base/node/pem.ts";
import { each } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";

type Status = CertificateSigningRequest["status"] | undefined;

const conditionsPath = statusPath.child("conditions");
const certificatePath = statusPath.child("certificate");
const verdicts = ["Approved", "Denied"];
const lasting = [...verdicts, "Failed"];
const exclusive = "Approved and Denied conditions are mutually exclusive";

/** `subresource`: `approval` may give a verdict, `status` the certificate. */
export function validDecision(next: Status, previous: Status, subresource: string): FieldError[] {
  return [
    ...validConditions(next, previous),
    ...validCertificate(next?.certificate, previous?.certificate),
    ...validChange(next, previous, subresource),
  ];
}

/** A verdict that a writer of the status repeats is the one that stands, however it is repeated. */
export function keepVerdicts(next: Status, previous: Status): void {
  const conditions = next?.conditions ?? [];
  for (const verdict of verdicts) {
    const standing = (previous?.conditions ?? []).filter(({ type }) => type === verdict);
    const places = conditions.flatMap(({ type }, i) => (type === verdict ? [i] : []));
    if (places.length !== standing.length) continue;
    for (const [i, place] of places.entries()) conditions[place] = standing[i]!;
  }
}

/** Conditions that say no time get this one, or the time since when they stand. */
export function date(next: Status, previous: Status, nowMs: number): void {
  for (const condition of next?.conditions ?? []) {
    const before = previous?.conditions?.find(
      ({ type, status }) => type === condition.type && status === condition.status,
    );
    condition.lastUpdateTime ??= rfc3339(nowMs);
    condition.lastTransitionTime ??= before?.lastTransitionTime ?? rfc3339(nowMs);
  }
}

/** Faults that stand already are nothing new: two verdicts at once, a type twice or none. */
function validConditions(next: Status, previous: Status): FieldError[] {
  const types = new Set<string>();
  const standing = (previous?.conditions ?? []).map(({ type = "" }) => type);
  const bothStood = verdicts.every((verdict) => standing.includes(verdict));
  const repeated = new Set(standing).size < standing.length;
  return each(next?.conditions, conditionsPath, ({ type = "", status = "" }, at) => {
    const errors = type || standing.includes("") ? [] : [required(at.child("type"))];
    const states = lasting.includes(type) ? ["True"] : ["False", "True", "Unknown"];
    if (!status) errors.push(required(at.child("status")));
    else if (!states.includes(status)) errors.push(notSupported(at.child("status"), status, states));
    const others = verdicts.filter((verdict) => verdict !== type);
    if (!bothStood && others.length === 1 && types.has(others[0]!)) {
      errors.push(invalid(conditionsPath, type, exclusive));
    }
    if (!repeated && types.has(type)) errors.push(duplicate(at.child("type"), type));
    types.add(type);
    return errors;
  });
}

/** Of a certificate that takes another's place, unless that one was none to begin with. */
function validCertificate(next: string | undefined, previous: string | undefined): FieldError[] {
  if (next === previous || certificateProblem(previous)) return [];
  const problem = certificateProblem(next);
  return problem ? [invalid(certificatePath, "<certificate data>", problem)] : [];
}

function certificateProblem(encoded: string | undefined): string | undefined {
  if (!encoded) return undefined;
  const blocks = pemBlocks(Buffer.from(encoded, "base64").toString("latin1"));
  if (blocks.length === 0) return "must contain at least one CERTIFICATE PEM block";
  for (const { type, hasHeaders, der } of blocks) {
    if (type !== "CERTIFICATE") return `only CERTIFICATE PEM blocks are allowed, found ${goQuote(type)}`;
    if (hasHeaders) return "no PEM block headers are permitted";
    if (der.length === 0) return "found CERTIFICATE PEM block containing 0 certificates";
    try {
      new X509Certificate(der);
    } catch {
      return "x509: malformed certificate";
    }
  }
  return undefined;
}

function validChange(next: Status, previous: Status, subresource: string): FieldError[] {
  const ofType = (status: Status, type: string) => (status?.conditions ?? []).filter((one) => one.type === type);
  const removed = lasting.filter((type) => ofType(next, type).length < ofType(previous, type).length);
  const errors = removed.map((type) => refuse("remove", type));
  if (subresource !== "approval") {
    for (const type of verdicts) {
      const [now, before] = [ofType(next, type), ofType(previous, type)];
      if (now.length > before.length) errors.push(refuse("add", type));
      else if (now.length === before.length && !semanticallyEqual(now, before)) errors.push(refuse("modify", type));
    }
  }
  if (next?.certificate === previous?.certificate) return errors;
  if (subresource !== "status") {
    errors.push(forbidden(certificatePath, "updates may not set certificate content"));
  } else if (previous?.certificate) {
    errors.push(forbidden(certificatePath, "updates may not modify existing certificate content"));
  }
  return errors;
}

function refuse(what: string, type: string): FieldError {
  return forbidden(conditionsPath, `updates may not ${what} a condition of type "${type}"`);
}
