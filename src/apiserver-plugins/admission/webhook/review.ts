/** AdmissionReview, there and back: what a webhook is told, and what may be believed of its answer. */

import type { AdmissionResponse } from "../../../api/admission/v1.ts";
import type { Status } from "../../../api/meta/v1.ts";
import { parseExactly } from "../../../apimachinery/serializer/big-integers.ts";
import { StatusError } from "../../../apimachinery/status-error.ts";

export interface VerifiedResponse {
  allowed: boolean;
  /** JSON patch operations, of mutating webhooks. Undefined: none. */
  patch: unknown;
  status: Partial<Status> | undefined;
  auditAnnotations: Readonly<Record<string, string>>;
  warnings: readonly string[];
}

/** The newest version that both sides know. */
export function reviewVersion(versions: readonly string[]): "v1" | "v1beta1" {
  return versions.find((version) => version === "v1" || version === "v1beta1") as "v1" | "v1beta1";
}

/** Throws an Error that says what is wrong with the answer. */
export function verifiedResponse(answer: unknown, uid: string, version: string, mutating: boolean): VerifiedResponse {
  const review = (typeof answer === "object" && answer !== null ? answer : {}) as {
    apiVersion?: string;
    kind?: string;
    response?: Partial<AdmissionResponse> | null;
  };
  const wanted = `admission.k8s.io/${version}`;
  if (version === "v1" && (review.apiVersion !== wanted || review.kind !== "AdmissionReview")) {
    const [group = "", given = ""] = (review.apiVersion ?? "").split("/");
    throw new Error(
      `expected webhook response of ${wanted}, Kind=AdmissionReview, got ${given ? `${group}/${given}` : `/${group}`}, Kind=${review.kind ?? ""}`,
    );
  }
  const { response } = review;
  if (!response) throw new Error("webhook response was absent");
  if (version === "v1" && response.uid !== uid) {
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? "")}`);
  }
  const { patch, patchType } = response;
  if (version === "v1" && mutating) {
    if (patch && !patchType) throw new Error("webhook returned response.patch but not response.patchType");
    if (!patch && patchType !== undefined)
      throw new Error("webhook returned response.patchType but not response.patch");
  } else if (version === "v1" && (patch || patchType)) {
    throw new Error(`validating webhook may not return response.${patch ? "patch" : "patchType"}`);
  }
  return {
    allowed: response.allowed === true,
    patch: mutating && patch ? operationsOf(patch, version === "v1" ? patchType : "JSONPatch") : undefined,
    status: response.status as Partial<Status> | undefined,
    auditAnnotations: response.auditAnnotations ?? {},
    warnings: response.warnings ?? [],
  };
}

/** Answers that are sound but for their patch: what is wrong is said without a word on the response. */
export class PatchProblem extends Error {}

function operationsOf(patch: string, type: string | undefined): unknown {
  let operations: unknown;
  try {
    operations = parseExactly(Buffer.from(patch, "base64").toString());
  } catch (error) {
    throw new PatchProblem(`received undecodable patch in webhook response: ${(error as Error).message}`);
  }
  if (type !== "JSONPatch") throw new PatchProblem(`unsupported patch type ${JSON.stringify(type)}`);
  return operations;
}

/** The refusal of a webhook, in its own words. */
export function denied(webhook: string, status: Partial<Status> | undefined): StatusError {
  const by = `admission webhook ${JSON.stringify(webhook)} denied the request`;
  const { message, reason = "", code = 0, details } = status ?? {};
  const text = message ? `${by}: ${message}` : reason ? `${by}: ${reason}` : `${by} without explanation`;
  return new StatusError(code < 400 ? 400 : code, reason, text, details as StatusError["details"]);
}
