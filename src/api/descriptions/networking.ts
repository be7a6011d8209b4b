/** What the types and fields of networking.k8s.io and discovery.k8s.io are for. The notation is in ./index.ts. */
export const networking = `
= HTTPIngressPath: Where requests for a path go.
path: The path, beginning with /.
pathType: Exact; Prefix: by parts between slashes; ImplementationSpecific: as the controller likes.
backend: Where they go.
= HTTPIngressRuleValue: Where requests go, by path.
paths: The paths.
= IPAddress: Says that an address is in use. The Service allocator keeps one for each cluster address.
spec: By whom.
= IPAddressList: IPAddresses.
= IPAddressSpec: Who uses an address.
parentRef: The object that uses it.
= IPBlock: A range of addresses.
cidr: The range, as in 192.168.1.0/24.
except: Ranges within it that are not meant.
= Ingress: Passes HTTP requests from outside to Services, by host name and path. An ingress controller does the work.
spec: Which requests go where.
status: Where it can be reached.
= IngressBackend: Where requests go.
service: A Service and its port.
resource: Another object in the same namespace; not together with service.
= IngressClass: An ingress controller, and how it is set up.
spec: Which controller.
= IngressClassList: IngressClasses.
= IngressClassParametersReference: Names an object with parameters for the controller.
apiGroup: Its group.
scope: Cluster or Namespace.
= IngressClassSpec: Which ingress controller.
controller: Its name, as in example.com/ingress-controller. It cannot be changed.
parameters: An object with parameters for it.
= IngressList: Ingresses.
= IngressLoadBalancerIngress: Where an Ingress can be reached.
ip: Its address.
hostname: Its name.
ports: The state of its ports.
= IngressLoadBalancerStatus: Where an Ingress can be reached.
ingress: Its addresses and names.
= IngressPortStatus: The state of a port.
port: The port.
protocol: TCP, UDP or SCTP.
error: What is wrong with it.
= IngressRule: Where requests for a host go.
host: The host name; *.NAME for all names one level below. Empty means every host.
http: Where they go, by path.
= IngressServiceBackend: A Service and its port.
name: The Service, in the same namespace.
port: Its port.
= IngressSpec: Which requests go where.
ingressClassName: Which IngressClass looks after it; the default class when absent.
defaultBackend: Where requests go that no rule matches.
tls: Certificates.
rules: Where requests go, by host.
= IngressStatus: Where an Ingress can be reached.
loadBalancer: Its addresses and names.
= IngressTLS: A certificate for host names.
hosts: The host names.
secretName: The Secret with tls.crt and tls.key.
= NetworkPolicy: Which traffic pods may have. A pod that no policy selects may have all.
spec: Whose and which.
= NetworkPolicyList: NetworkPolicies.
= NetworkPolicyEgressRule: Traffic that may go out: to any of these peers at any of these ports.
ports: The ports; all when empty.
to: The peers; all when empty.
= NetworkPolicyIngressRule: Traffic that may come in: from any of these peers to any of these ports.
ports: The ports; all when empty.
from: The peers; all when empty.
= NetworkPolicyPeer: Somebody to exchange traffic with: pods by label, or a range of addresses.
podSelector: Pods by label; in the policy's own namespace unless namespaceSelector is there.
namespaceSelector: Namespaces by label; all their pods unless podSelector is there.
ipBlock: A range of addresses; stands alone.
= NetworkPolicyPort: A port, or several in a row.
protocol: TCP (the default), UDP or SCTP.
port: A number, or the name of a container port; every port when absent.
endPort: The last of the ports, when port is a number.
= NetworkPolicySpec: Whose traffic, and which.
podSelector: Whose: pods by label, in the policy's namespace; empty means all of them.
ingress: What may come in; nothing when empty and policyTypes has Ingress.
egress: What may go out; nothing when empty and policyTypes has Egress.
policyTypes: Ingress, Egress or both: what the policy is about. By default Ingress, and Egress if there are egress rules.
= ParentReference: Names the object that uses an address.
group: Its group.
resource: Its resource, as in services.
= ServiceBackendPort: A port of a Service.
name: Its name.
number: Its number; not together with the name.
= ServiceCIDR: Addresses for Services.
spec: Which.
status: Whether they can be used.
= ServiceCIDRList: ServiceCIDRs.
= ServiceCIDRSpec: Addresses for Services.
cidrs: At most one range of IPv4 and one of IPv6. They cannot be changed.
= ServiceCIDRStatus: Whether the addresses can be used.

= Endpoint: One of those behind a Service, usually a pod.
addresses: Its address; one.
conditions: How it is.
hostname: The name by which DNS knows it under the Service.
targetRef: The pod.
deprecatedTopology: No longer in use.
nodeName: The node it is on.
zone: The zone it is in.
hints: For whom it is meant.
= EndpointConditions: How an endpoint is.
ready: It takes requests: it is serving and not terminating. Absent means true.
serving: Its readiness probe succeeds, be it terminating or not. Absent means as ready.
terminating: It is ending. Absent means false.
= EndpointHints: For whom an endpoint is meant.
forZones: Zones whose clients should use it.
forNodes: Nodes whose clients should use it.
= EndpointPort: A port of all endpoints of a slice.
name: The Service port's name; empty when it has just one.
protocol: TCP, UDP or SCTP.
port: The port number.
appProtocol: What is spoken there.
= EndpointSlice: Some of the addresses behind a Service, up to 100, that have the same ports. The label kubernetes.io/service-name says which Service.
addressType: IPv4, IPv6 or FQDN. It cannot be changed.
endpoints: The endpoints, at most 1000.
ports: The ports, at most 100.
= EndpointSliceList: EndpointSlices.
= ForNode: A node.
= ForZone: A zone.
`;
