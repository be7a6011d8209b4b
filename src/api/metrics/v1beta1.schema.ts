/** metrics.k8s.io is upstream's metrics-server's, not the API server's: the served document does not describe it, so it stands here by hand. */
export const schema = `
@io.k8s.metrics.pkg.apis.metrics.v1beta1
=ContainerMetrics
name string r e #1
usage {quantity} r e #2
=NodeMetrics kind
kind string
apiVersion string
metadata meta/v1.ObjectMeta e #1
timestamp time r e #2
window duration r e #3
usage {quantity} r e #4
=NodeMetricsList kind
kind string
apiVersion string
metadata meta/v1.ListMeta e #1
items [NodeMetrics] r e #2
=PodMetrics kind
kind string
apiVersion string
metadata meta/v1.ObjectMeta e #1
timestamp time r e #2
window duration r e #3
containers [ContainerMetrics] r e #4
=PodMetricsList kind
kind string
apiVersion string
metadata meta/v1.ListMeta e #1
items [PodMetrics] r e #2
`;
