/** What a configuration implies where it says nothing. Apart from its check, which needs far more: every `pinnace up` plans. */
import { parseDuration } from "../../apimachinery/cel/time.ts";
import type { ClusterConfig, ClusterPlan, LeaderElectionConfig } from "./cluster-config.ts";

/** Without network.lan, the /24 of the first node that has an address. */
export function lanOfNodes(config: ClusterConfig): string | undefined {
  const address = config.nodes?.find((node) => node.address)?.address;
  return address && `${address.split(".").slice(0, 3).join(".")}.0/24`;
}

/** Upstream's defaults where nothing is said. */
export function leaderElectionMs({
  leaseDuration = "15s",
  renewDeadline = "10s",
  retryPeriod = "2s",
}: LeaderElectionConfig): NonNullable<ClusterPlan["leaderElection"]> {
  const ms = (text: string) => Number(parseDuration(text)! / 1_000_000n);
  return {
    leaseDurationMs: ms(leaseDuration),
    renewDeadlineMs: ms(renewDeadline),
    retryPeriodMs: ms(retryPeriod),
  };
}
