/** The claim or its class cannot be worked with, on any Node: the attempt to schedule the Pod ends. */
export class AllocationError extends Error {
  override name = "AllocationError";
}
