/** Many writes in parallel, few at first: a quota that forbids them all is asked a few times, not hundreds. */

/** Runs `count` calls in batches that double while all succeed. Returns how many succeeded; the first failure of the failing batch is `error`. */
export async function slowStart(
  count: number,
  call: (i: number) => Promise<void>,
  { firstBatch = 8 }: { firstBatch?: number } = {},
): Promise<{ succeeded: number; error?: unknown }> {
  let succeeded = 0;
  for (let size = Math.min(count, firstBatch); size > 0; size = Math.min(2 * size, count - succeeded)) {
    const start = succeeded;
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => call(start + i)));
    const failure = results.find((result) => result.status === "rejected");
    succeeded += results.filter((result) => result.status === "fulfilled").length;
    if (failure) return { succeeded, error: failure.reason };
  }
  return { succeeded };
}
