/** The range of Services' addresses, and the Service `kubernetes` in `default`, by which pods reach the API server, with its endpoints. */
import { EndpointSlices, Endpoints, ServiceCIDRs, Services } from "../../api/resources.ts";
import { addressAt, cidr, familyOf, formatIp } from "../../base/ip.ts";
import { atStart, type BootstrapObject } from "./bootstrap-object.ts";

export interface KubernetesServiceOptions {
  /** One a family, the default family's first; the Service gets that one's first address. */
  serviceCidrs: readonly string[];
  /** Where the API server listens, as pods see it. */
  address: string;
  port: number;
}

const servicePort = 443;

export function kubernetesServiceAddress(serviceCidr: string): string {
  return formatIp(addressAt(cidr(serviceCidr), 1));
}

export function kubernetesService({ serviceCidrs, address, port }: KubernetesServiceOptions): BootstrapObject[] {
  const metadata = { name: "kubernetes", namespace: "default" };
  const clusterIP = kubernetesServiceAddress(serviceCidrs[0]!);
  const family = familyOf(clusterIP) === "ipv4" ? "IPv4" : "IPv6";
  return [
    atStart(ServiceCIDRs, { metadata: { name: "kubernetes" }, spec: { cidrs: [...serviceCidrs] } }),
    atStart(Services, {
      metadata: { ...metadata, labels: { component: "apiserver", provider: "kubernetes" } },
      spec: {
        type: "ClusterIP",
        clusterIP,
        clusterIPs: [clusterIP],
        ipFamilies: [family],
        ipFamilyPolicy: "SingleStack",
        sessionAffinity: "None",
        ports: [{ name: "https", port: servicePort, protocol: "TCP", targetPort: port }],
      },
    }),
    atStart(
      Endpoints,
      {
        metadata: { ...metadata, labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
        subsets: [{ addresses: [{ ip: address }], ports: [{ name: "https", port, protocol: "TCP" }] }],
      },
      "keep",
    ),
    atStart(
      EndpointSlices,
      {
        metadata: { ...metadata, labels: { "kubernetes.io/service-name": "kubernetes" } },
        addressType: familyOf(address) === "ipv4" ? "IPv4" : "IPv6",
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
        ports: [{ name: "https", port, protocol: "TCP" }],
      },
      "keep",
    ),
  ];
}
