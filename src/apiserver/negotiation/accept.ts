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
  subtype: string;
  quality: number;
  parameters: Record<string, string>;
}

/** What a clause wants the answer to be turned into; undefined: nothing. */
interface Transform {
  as: string;
  group: string;
  version: string;
}

const plainJson: Rendering = { mediaType: "json", as: "object", version: "v1", pretty: false };
/** In the order in which a wildcard tries them. */
const mediaTypes: readonly MediaType[] = ["json", "yaml", "protobuf"];
const offered = mediaTypes.map((mediaType) => contentTypes[mediaType]).join(", ");

type Outcome = Rendering | StatusError;
const remembered = new Map<string, Outcome>();

/** What some answers cannot be had as, and who looks at the header first. */
export interface Offer {
  /** Custom resources have no protobuf form; their metadata has. */
  withoutProtobuf?: boolean;
  /** Reviews have no columns. */
  withoutTable?: boolean;
  /** Discovery and errors are neither Tables nor metadata. */
  withoutTransforms?: boolean;
  /**
   * Nobody looked for a media type of ours before: upstream's router refuses built-in resources to whoever names none, in words of its
   * own; custom resources and the aggregator's paths do not pass it.
   */
  unrouted?: boolean;
}

/** Throws the 406 that upstream gives when nothing on offer is accepted. */
export function negotiate(accept: string | undefined, offer: Offer = {}): Rendering {
  if (!accept || accept === "application/json" || accept === "*/*") return plainJson;
  const { withoutProtobuf, withoutTable, withoutTransforms, unrouted } = offer;
  const kinds = [withoutProtobuf, withoutTable, withoutTransforms, unrouted].map((each) => (each ? "1" : "0"));
  const key = `${kinds.join("")} ${accept}`;
  let outcome = remembered.get(key);
  if (!outcome) {
    outcome = decide(accept, offer);
    if (remembered.size < 512) remembered.set(key, outcome);
  }
  if (outcome instanceof StatusError) throw outcome;
  return outcome;
}

/** The media type of an error for this client: JSON when it can read nothing that there is. */
export function negotiateError(accept: string | undefined): MediaType {
  try {
    return negotiate(accept, { withoutTransforms: true, unrouted: true }).mediaType;
  } catch {
    return "json";
  }
}

/** The media type in which the client wants discovery in one document; undefined when it does not ask for that. */
export function negotiateAggregated(accept: string | undefined): MediaType | undefined {
  if (!accept?.includes("APIGroupDiscoveryList")) return undefined;
  const isAggregated = (_: MediaType, transform: Transform | undefined) =>
    transform?.as === "APIGroupDiscoveryList" &&
    transform.group === "apidiscovery.k8s.io" &&
    transform.version === "v2";
  return choose(parseAccept(accept), isAggregated)?.mediaType;
}

function decide(accept: string, { withoutProtobuf, withoutTable, withoutTransforms, unrouted }: Offer): Outcome {
  if (!unrouted && !namesMediaType(accept)) return noRepresentation();
  const allows = (mediaType: MediaType, transform: Transform | undefined): boolean => {
    if (!transform) return !(withoutProtobuf && mediaType === "protobuf");
    const { as, group, version } = transform;
    if (withoutTransforms || group !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) return false;
    if (as === "Table") return !withoutTable && mediaType !== "protobuf";
    return as === "PartialObjectMetadata" || as === "PartialObjectMetadataList";
  };
  const chosen = choose(parseAccept(accept), allows);
  if (!chosen) return notAcceptable(`only the following media types are accepted: ${offered}`);
  const { mediaType, transform, pretty } = chosen;
  if (!transform) return { mediaType, as: "object", version: "v1", pretty };
  return { mediaType, as: transform.as as Rendering["as"], version: transform.version, pretty };
}

/** The router looks for a media type of ours, as it is spelled, and at nothing that follows it. */
function namesMediaType(accept: string): boolean {
  return accept.split(",").some((part) => {
    const type = part.split(";", 1)[0]!.trim();
    return type === "*/*" || mediaTypes.some((mediaType) => contentTypes[mediaType] === type);
  });
}

interface Choice {
  mediaType: MediaType;
  transform: Transform | undefined;
  pretty: boolean;
}

function choose(
  clauses: readonly Clause[],
  allows: (mediaType: MediaType, transform: Transform | undefined) => boolean,
): Choice | undefined {
  for (const { type, subtype, parameters } of clauses) {
    for (const mediaType of mediaTypes) {
      if (!matches(type, subtype, mediaType)) continue;
      const { as, g, v, stream, sv, pretty } = parameters;
      // Streams are of watch events, and there is none of YAML.
      if (stream && (stream !== "watch" || mediaType === "yaml")) continue;
      if (sv && sv !== "v1") continue;
      const transforms = as !== undefined || g !== undefined || v !== undefined;
      const transform = transforms ? { as: as ?? "", group: g ?? "", version: v ?? "" } : undefined;
      if (allows(mediaType, transform)) return { mediaType, transform, pretty: pretty === "1" };
    }
  }
  return undefined;
}

function matches(type: string, subtype: string, mediaType: MediaType): boolean {
  if (type === "*") return subtype === "*";
  return type === "application" && (subtype === "*" || contentTypes[mediaType] === `${type}/${subtype}`);
}

export function notAcceptable(message: string): StatusError {
  return new StatusError(406, "NotAcceptable", message);
}

/** None of the types named is on offer at all. */
export function noRepresentation(types = offered): StatusError {
  return new StatusError(406, "NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${types}`, {});
}

/** Clauses of an Accept header, the most wanted first. What is neither `*` nor `type/subtype` is none. */
export function parseAccept(header: string): Clause[] {
  const clauses: Clause[] = [];
  for (const part of header.split(",")) {
    const [range = "", ...rest] = part.split(";");
    const [type = "", subtype, ...more] = range.split("/").map((each) => each.trim());
    if (more.length > 0 || (subtype === undefined && type !== "*")) continue;
    const parameters: Record<string, string> = {};
    let quality = 1;
    for (const pair of rest) {
      const equals = pair.indexOf("=");
      if (equals < 0) continue;
      const name = pair.slice(0, equals).trim();
      const value = pair.slice(equals + 1);
      if (name === "q") quality = Number(value) || 0;
      else parameters[name] = value.trim();
    }
    place(clauses, { type, subtype: subtype ?? "*", quality, parameters });
  }
  return clauses;
}

/** A clause comes before those that are wanted less, and what names a type before wildcards, however much these are wanted. */
function place(clauses: Clause[], clause: Clause): void {
  let at = clauses.length;
  while (at > 0 && comesBefore(clause, clauses[at - 1]!)) at--;
  clauses.splice(at, 0, clause);
}

function comesBefore(a: Clause, b: Clause): boolean {
  if (a.quality > b.quality) return true;
  return (a.type !== "*" && b.type === "*") || (a.subtype !== "*" && b.subtype === "*");
}
