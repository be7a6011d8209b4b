/** What AWS' annotations ask of a balancer, as far as it changes what the balancer does. Pure. */
import type { Service } from "../../api/core/v1.ts";
import type { DeepReadonly } from "../../api/object.ts";

const prefix = "service.beta.kubernetes.io/";
const networkClass = "service.k8s.aws/nlb";

export interface AwsBalancer {
  /** Classic ones carry TCP only and know no affinity. */
  kind: "classic" | "network";
  /** For private clients only. */
  isInternal: boolean;
  healthCheck: { port?: number; path?: string; failuresUntilOut?: number };
}

/** Whose balancers a cloud makes: those of no class, and AWS' own class for network balancers. */
export function isCloudClass(loadBalancerClass: string | undefined): boolean {
  return loadBalancerClass === undefined || loadBalancerClass === networkClass;
}

/** Undefined for a Service that says nothing of AWS. */
export function awsBalancerOf({ metadata, spec }: DeepReadonly<Service>): AwsBalancer | undefined {
  const annotations = metadata.annotations ?? {};
  const isAws = Object.keys(annotations).some((key) => key.startsWith(`${prefix}aws-load-balancer-`));
  if (!isAws && spec.loadBalancerClass !== networkClass) return undefined;
  const of = (name: string) => annotations[`${prefix}aws-load-balancer-${name}`];
  const isNetwork =
    spec.loadBalancerClass === networkClass || ["nlb", "nlb-ip", "external"].includes(of("type")?.toLowerCase() ?? "");
  const number = (text: string | undefined) => (text && /^\d+$/.test(text) ? Number(text) : undefined);
  const [port, path, failuresUntilOut] = [
    number(of("healthcheck-port")),
    of("healthcheck-path"),
    number(of("healthcheck-unhealthy-threshold")),
  ];
  return {
    kind: isNetwork ? "network" : "classic",
    isInternal: of("scheme") ? of("scheme") === "internal" : isTrue(of("internal")),
    healthCheck: {
      ...(port ? { port } : {}),
      ...(path?.startsWith("/") && !/\s/.test(path) ? { path } : {}),
      ...(failuresUntilOut ? { failuresUntilOut } : {}),
    },
  };
}

/** AWS took any word for yes that is not a no. */
function isTrue(text: string | undefined): boolean {
  return text !== undefined && !["", "false", "0.0.0.0/0"].includes(text.toLowerCase());
}

/** Why AWS would refuse the Service, in its controller's words; undefined when it would not. */
export function whyAwsRefuses({ spec }: DeepReadonly<Service>, { kind }: AwsBalancer): string | undefined {
  if (kind === "network") return undefined;
  if (spec.ports?.some(({ protocol = "TCP" }) => protocol !== "TCP")) {
    return "Only TCP LoadBalancer is supported for AWS ELB";
  }
  if (spec.sessionAffinity === "ClientIP") return "unsupported load balancer affinity: ClientIP";
  return undefined;
}

/** The balancer's name, always the same for one Service: as AWS forms it from the UID. */
export function hostNameOf(
  { metadata }: DeepReadonly<Service>,
  { kind, isInternal }: AwsBalancer,
  domain: string,
): string {
  const name = `a${metadata.uid.replaceAll("-", "")}`.slice(0, 32);
  let number = 0;
  for (const character of metadata.uid) number = (number * 31 + character.charCodeAt(0)) % 2_000_000_000;
  const tail = kind === "network" ? number.toString(16).padStart(16, "0") : String(number).padStart(10, "1");
  return `${isInternal ? "internal-" : ""}${name}-${tail}.${domain}`;
}
