/** GET of a collection: consistent pages, selectors, and the rules of resourceVersion and resourceVersionMatch. */
import type { KubeObject } from "../../api/object.ts";
import { syntaxProblem } from "../../apimachinery/serializer/json-scan.ts";
import { badRequestError, type FailureStatus, StatusError } from "../../apimachinery/status-error.ts";
import { CompactedError, FutureRevisionError } from "../../storage/store.ts";
import type { ListPage, ListRequest } from "../../storage/watch-cache-contract.ts";
import type { ListAnswer } from "../answer.ts";
import { type ListOptions, revisionOf } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import { tooLargeError, waitForRevision } from "../revisions.ts";
import { selectionOf } from "../selection.ts";
import type { RequestContext, Services } from "../services.ts";
import { listConverted } from "./converted-selection.ts";

export async function list(
  services: Services,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  options: ListOptions,
): Promise<ListAnswer> {
  const { cache } = resource;
  const { selection, readsConverted } = selectionOf(resource, options.labelSelector, options.fieldSelector);
  const asked = revisionOf(options.resourceVersion, "list");
  if (options.continue && asked) {
    throw badRequestError("specifying resource version is not allowed when using continue");
  }
  if (!cache.isReady) await cache.ready();
  const request: ListRequest<KubeObject> = { keyPrefix: resource.keyPrefix(namespace) };
  if (selection) request.selection = selection;
  // What any state will do for comes whole, from memory.
  if (options.limit > 0 && asked !== 0) request.limit = options.limit;
  if (options.continue) {
    const token = parseContinue(options.continue);
    request.from = request.keyPrefix + token.start;
    // Without one it goes on in the newest state, and from there on in that.
    if (token.revision > 0) request.revision = token.revision;
  } else if (asked) {
    const exact =
      options.resourceVersionMatch === "Exact" || (options.limit > 0 && options.resourceVersionMatch === "");
    if (exact) {
      if (asked > cache.revision) throw tooLargeError(asked, cache.revision);
      request.revision = asked;
    } else {
      await waitForRevision(services, context, resource, asked);
    }
  }
  let page: ListPage<KubeObject>;
  try {
    page = await (readsConverted ? listConverted(resource, request) : cache.list(request));
  } catch (error) {
    if (error instanceof FutureRevisionError) throw tooLargeError(request.revision ?? 0, error.revision);
    if (!(error instanceof CompactedError)) throw error;
    if (options.continue) throw new ExpiredContinueError(request.from!.slice(request.keyPrefix!.length));
    throw new StatusError(410, "Expired", "The resourceVersion for the provided list is too old.");
  }
  await resource.prepare(page.entries.map(({ object }) => object));
  const more = page.next !== undefined;
  return {
    kind: "list",
    resource,
    entries: page.entries,
    revision: page.revision,
    continue: more ? continueToken(page.revision, page.next!.slice(request.keyPrefix!.length)) : undefined,
    remaining: more && !selection ? page.remaining : undefined,
  };
}

const tokenVersion = "meta.k8s.io/v1";

/** Where the next page begins, for clients to hand back; opaque to them. */
function continueToken(revision: number, start: string): string {
  return Buffer.from(JSON.stringify({ v: tokenVersion, rv: revision, start })).toString("base64url");
}

function parseContinue(text: string): { revision: number; start: string } {
  const invalid = (why: string) => badRequestError(`invalid continue token: continue key is not valid: ${why}`);
  if (!/^[A-Za-z0-9_-]*={0,2}$/.test(text)) {
    const at = text.search(/[^A-Za-z0-9_-]/);
    throw invalid(`illegal base64 data at input byte ${at}`);
  }
  // Bytes, not characters: what is no token at all is reported byte by byte.
  const decoded = Buffer.from(text, "base64url").toString("latin1");
  let token: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    token = JSON.parse(Buffer.from(decoded, "latin1").toString("utf8"));
  } catch {
    // Bytes beyond ASCII are no text at all; Go shows the first of them as it is.
    const first = decoded[0] ?? "";
    if (first >= "\x80") throw invalid(`invalid character '${first}' looking for beginning of value`);
    throw invalid(syntaxProblem(decoded));
  }
  if (token?.v !== tokenVersion) {
    throw invalid(`server does not recognize this encoded version ${JSON.stringify(token?.v ?? "")}`);
  }
  if (typeof token.rv !== "number" || token.rv === 0)
    throw invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  if (typeof token.start !== "string" || token.start === "")
    throw invalid("encoded start key empty (version meta.k8s.io/v1)");
  if (`/${token.start}/`.includes("/../")) throw invalid(`${JSON.stringify(token.start)}`);
  return { revision: token.rv, start: token.start };
}

/** The revision of a list begun earlier is gone. The answer carries a token that goes on from the same place in a newer state. */
class ExpiredContinueError extends StatusError {
  readonly #start: string;

  constructor(start: string) {
    super(
      410,
      "Expired",
      "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    this.#start = start;
  }

  override toStatus(): FailureStatus {
    const status = super.toStatus();
    return {
      ...status,
      metadata: { continue: continueToken(-1, this.#start) } as unknown as FailureStatus["metadata"],
    };
  }
}
