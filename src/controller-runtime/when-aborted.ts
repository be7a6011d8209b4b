/** The end of a signal as a promise; one listener per signal, however many wait. */

const ends = new WeakMap<AbortSignal, Promise<void>>();

export function whenAborted(signal: AbortSignal): Promise<void> {
  let end = ends.get(signal);
  if (!end) {
    end = new Promise((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    ends.set(signal, end);
  }
  return end;
}
