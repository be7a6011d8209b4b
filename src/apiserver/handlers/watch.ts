/** GET of a collection with watch: where it begins, what it selects, when it ends. How events travel is the door's matter. */
import type { KubeObject } from "../../api/object.ts";
import { internalError, StatusError } from "../../apimachinery/status-error.ts";
import type { Timer } from "../../base/clock.ts";
import { CompactedError } from "../../storage/store.ts";
import type {
  CacheWatch,
  WatchBatch,
  WatchRequest,
  WatchSink,
  WatchStart,
} from "../../storage/watch-cache-contract.ts";
import { type ListOptions, revisionOf } from "../request-options.ts";
import type { ServedResource } from "../resource-registry.ts";
import { tooOldError, waitForRevision } from "../revisions.ts";
import { selectionOf } from "../selection.ts";
import type { RequestContext, Services } from "../services.ts";
import { ConvertedSight } from "./converted-selection.ts";

/** Receives one watch. */
export interface WatchReceiver {
  /** Takes a batch at once. Returns false to be left alone until `resume()`. */
  deliver(batch: WatchBatch<KubeObject>): boolean;
  /** The watch is over: with an error to tell the client of, or without. Called once, never after `stop()`. */
  ended(error: StatusError | undefined): void;
  /** The receiver was held back for too long, and nothing more will be kept for it. In the place of `ended`. */
  dropped?(): void;
}

export interface OpenWatch {
  resume(): void;
  stop(): void;
}

const leastTimeoutSeconds = 1800;

/** Rejects with what a client hears before the stream begins; what it hears in the stream goes to `receiver.ended`. */
export async function watch(
  services: Services,
  context: RequestContext,
  resource: ServedResource,
  namespace: string,
  options: ListOptions,
  receiver: WatchReceiver,
): Promise<OpenWatch> {
  const { cache } = resource;
  const { selection, readsConverted } = selectionOf(resource, options.labelSelector, options.fieldSelector);
  const revision = revisionOf(options.resourceVersion, "watch");
  if (!cache.isReady) await cache.ready();
  const keyPrefix = resource.keyPrefix(namespace);
  const request: WatchRequest<KubeObject> = {
    keyPrefix,
    start: startOf(revision, options),
    bookmarks: options.allowWatchBookmarks,
  };
  const sight = selection && readsConverted ? new ConvertedSight(resource, selection) : undefined;
  if (selection && !sight) request.selection = selection;
  const seconds = options.timeoutSeconds || leastTimeoutSeconds * (1 + services.random.float());
  let over = false;
  let timer: Timer | undefined;
  let stream: CacheWatch | undefined;
  const close = () => {
    over = true;
    timer?.[Symbol.dispose]();
    forget();
    stream?.stop();
  };
  const finish = (error: StatusError | undefined) => {
    if (over) return;
    close();
    receiver.ended(error);
  };
  const forget = resource.onWatchesEnd(() => finish(undefined));
  // The client goes on from here, also where nothing that it selects has changed for long.
  const timeIsUp = () => {
    if (options.allowWatchBookmarks) stream?.bookmark();
    finish(undefined);
  };
  const sink: WatchSink<KubeObject> = {
    deliver(batch) {
      if (over) return true;
      const preparing = resource.needsPreparing ? seen(resource, batch, sight) : undefined;
      if (!preparing) return receiver.deliver(batch);
      // Nothing more comes until these have been converted: events keep their order.
      preparing.then(
        (visible) => {
          if (over || !visible || receiver.deliver(visible)) stream?.resume();
        },
        (error: Error) => finish(error instanceof StatusError ? error : internalError(error.message)),
      );
      return false;
    },
    ended: (end) => {
      if (end.kind === "full" && receiver.dropped && !over) {
        close();
        receiver.dropped();
      } else finish(end.kind === "failed" ? internalError(end.error.message) : undefined);
    },
  };
  try {
    // A streaming list shows nothing older than what was asked for.
    if (options.sendInitialEvents && revision) await waitForRevision(services, context, resource, revision);
    if (sight) request.start = await sight.begin(keyPrefix, request.start);
    stream = await cache.watch(request, sink);
  } catch (error) {
    if (error instanceof CompactedError) {
      finish(tooOldError(revision ?? 0, error.compactRevision));
      return { resume() {}, stop() {} };
    }
    if (error instanceof StatusError) {
      finish(error);
      return { resume() {}, stop() {} };
    }
    forget();
    throw error;
  }
  if (over) stream.stop();
  else timer = services.clock.setTimer(seconds * 1000, timeIsUp, { background: true });
  // The caller resumes once it can take the first batch.
  return {
    resume: () => stream.resume(),
    stop: close,
  };
}

function startOf(revision: number | undefined, options: ListOptions): WatchStart {
  // A watch from no state in particular is a streaming list, whether it says so or not.
  const { sendInitialEvents = !revision, allowWatchBookmarks } = options;
  if (sendInitialEvents) return { kind: "initial", bookmark: allowWatchBookmarks };
  return revision ? { kind: "after", revision } : { kind: "now" };
}

/** What is to be delivered of a batch once it has been converted; undefined for the batch as it is, at once. */
function seen(
  resource: ServedResource,
  batch: WatchBatch<KubeObject>,
  sight: ConvertedSight | undefined,
): Promise<WatchBatch<KubeObject> | undefined> | undefined {
  const preparing = prepared(resource, batch);
  if (!sight) return preparing?.then(() => batch);
  return (preparing ?? Promise.resolve()).then(async () => {
    const visible = sight.of(batch);
    if (visible) await prepared(resource, visible);
    return visible;
  });
}

function prepared(resource: ServedResource, batch: WatchBatch<KubeObject>): Promise<void> | undefined {
  return resource.prepare(batch.events.flatMap((event) => ("entry" in event ? [event.entry.object] : [])));
}
