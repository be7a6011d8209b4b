/** What the client wants to read: media type, and whether as the object, a Table or metadata alone. Answers are remembered per header. */
import { StatusError } from "../../apimachinery/status-error.ts";

export type MediaType = "json" | "yaml" | "protobuf";

export interface Rendering {
  mediaType: MediaType;
  as: "object" | "Table" | "PartialObjectMetadata" | "PartialObjectMetadataList";
  /** Of Table and PartialObjectMetadata: `v1` or `v1beta1`. */
  version: string;
  pretty: boolean;
}

export const contentTypes: Record<MediaType, string> = {
  json: "application/json",
  yaml: "application/yaml",
  protobuf: "application/vnd.kubernetes.protobuf",
};

interface Clause {
  type: string;
  quality: number;
  parameters: Record<string, string>;
}

const plainJson: Rendering = { mediaType: "json", as: "object", version: "v1", pretty: false };
const offered = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const offeredWithoutProtobuf = "application/json, application/yaml";

type Outcome = Rendering | StatusError;
const remembered = new Map<string, Outcome>();

/** What some resources cannot be had as: custom ones in protobuf, reviews as a Table. */
export interface Offer {
  withoutProtobuf?: boolean;
  withoutTable?: boolean;
}

/** Throws the 406 that upstream gives when nothing on offer is accepted. */
export function negotiate(
  accept: string | undefined,
  { withoutProtobuf = false, withoutTable = false }: Offer = {},
): Rendering {
  if (!accept || accept === "application/json" || accept === "*/*") return plainJson;
  const key = `${withoutProtobuf ? "no protobuf " : ""}${withoutTable ? "no Table " : ""}${accept}`;
  let outcome = remembered.get(key);
  if (!outcome) {
    outcome = decide(parseAccept(accept), withoutProtobuf, withoutTable);
    if (remembered.size < 512) remembered.set(key, outcome);
  }
  if (outcome instanceof StatusError) throw outcome;
  return outcome;
}

function decide(clauses: readonly Clause[], withoutProtobuf: boolean, withoutTable: boolean): Outcome {
  const types = withoutProtobuf ? offeredWithoutProtobuf : offered;
  let typeMatched = false;
  for (const { type, parameters } of clauses) {
    const mediaType = mediaTypeOf(type);
    if (!mediaType || (withoutProtobuf && mediaType === "protobuf")) continue;
    typeMatched = true;
    const as = parameters["as"];
    const pretty = parameters["pretty"] !== undefined && parameters["pretty"] !== "0";
    if (as === undefined) return { mediaType, as: "object", version: "v1", pretty };
    const version = parameters["v"];
    if (parameters["g"] !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) continue;
    if (as === "Table" && (withoutTable || mediaType === "protobuf")) continue;
    if (as === "Table" || as === "PartialObjectMetadata" || as === "PartialObjectMetadataList") {
      return { mediaType, as, version, pretty };
    }
  }
  return typeMatched ? notAcceptable(`only the following media types are accepted: ${types}`) : noRepresentation(types);
}

export function notAcceptable(message: string): StatusError {
  return new StatusError(406, "NotAcceptable", message);
}

/** None of the types named is on offer at all. */
export function noRepresentation(types = offered): StatusError {
  return new StatusError(406, "NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${types}`, {});
}

function mediaTypeOf(type: string): MediaType | undefined {
  switch (type) {
    case "application/json":
    case "*/*":
      return "json";
    case "application/yaml":
      return "yaml";
    case "application/vnd.kubernetes.protobuf":
      return "protobuf";
    default:
      return undefined;
  }
}

/** Clauses of an Accept header, the most wanted first; equals keep their order. */
export function parseAccept(header: string): Clause[] {
  const clauses: Clause[] = [];
  for (const part of header.split(",")) {
    const [type, ...rest] = part.split(";");
    const parameters: Record<string, string> = {};
    let quality = 1;
    for (const pair of rest) {
      const equals = pair.indexOf("=");
      const name = (equals < 0 ? pair : pair.slice(0, equals)).trim().toLowerCase();
      const value =
        equals < 0
          ? ""
          : pair
              .slice(equals + 1)
              .trim()
              .replace(/^"(.*)"$/, "$1");
      if (name === "q") quality = Number.isNaN(Number(value)) ? 1 : Number(value);
      else parameters[name] = value;
    }
    if (type?.trim()) clauses.push({ type: type.trim().toLowerCase(), quality, parameters });
  }
  return clauses.sort((a, b) => b.quality - a.quality);
}
