/** What the types and fields of autoscaling and policy are for. The notation is in ./index.ts. */
export const autoscaling = `
= ContainerResourceMetricSource: A resource that one container of each pod uses.
name: cpu or memory.
target: What it should be.
container: The container.
= ContainerResourceMetricStatus: What one container of each pod uses.
name: cpu or memory.
current: How much.
container: The container.
= CrossVersionObjectReference: Names an object in the same namespace.
= ExternalMetricSource: A metric from outside the cluster.
metric: Which.
target: What it should be.
= ExternalMetricStatus: A metric from outside the cluster.
metric: Which.
current: What it is.
= HPAScalingPolicy: How fast the number of pods may change.
type: Pods or Percent.
value: By how much.
periodSeconds: In which time, up to 1800 seconds.
= HPAScalingRules: How the number of pods changes in one direction.
stabilizationWindowSeconds: Of all that was wanted in this time, the most careful is done: 300 for down, 0 for up by default.
selectPolicy: Max (the default), Min, or Disabled: no change in this direction.
policies: How fast it may change.
tolerance: How far the metric may be off before anything is done; 0.1 by default.
= HorizontalPodAutoscaler: Changes the number of a Deployment's pods, or of something like it, by what they use.
spec: Whose, within which bounds, by what.
status: What it does.
= HorizontalPodAutoscalerBehavior: How the number of pods changes.
scaleUp: Upwards.
scaleDown: Downwards.
= HorizontalPodAutoscalerCondition: A finding about an autoscaler: AbleToScale, ScalingActive, ScalingLimited.
= HorizontalPodAutoscalerList: HorizontalPodAutoscalers.
= HorizontalPodAutoscalerSpec: Whose pods, within which bounds, by what.
scaleTargetRef: The Deployment, or what else has the subresource scale.
minReplicas: The least number; 1 by default.
maxReplicas: The greatest number.
metrics: By what; the one that wants the most pods decides. 80 % of the requested cpu by default.
behavior: How fast, and how carefully.
targetCPUUtilizationPercentage: How much of the cpu that they request pods should use on average.
= HorizontalPodAutoscalerStatus: What an autoscaler does.
lastScaleTime: When it last changed the number.
currentReplicas: How many pods it last saw.
desiredReplicas: How many it wants.
currentMetrics: What it last measured.
currentCPUUtilizationPercentage: How much of the cpu that they request pods use on average.
= MetricIdentifier: Names a metric.
selector: Which series of it, by label.
= MetricSpec: A metric and what it should be.
type: Resource, ContainerResource, Pods, Object or External; the member of that name says more.
object: A metric of an object.
pods: A metric of each pod.
resource: A resource that each pod uses.
containerResource: A resource that one container of each pod uses.
external: A metric from outside the cluster.
= MetricStatus like MetricSpec: A metric and what it is.
= MetricTarget: What a metric should be.
type: Utilization, Value or AverageValue.
value: A value.
averageValue: A value for each pod on average.
averageUtilization: A percentage of what pods request.
= MetricValueStatus: What a metric is.
value: A value.
averageValue: A value for each pod on average.
averageUtilization: A percentage of what pods request.
= ObjectMetricSource: A metric of an object.
describedObject: The object.
target: What it should be.
metric: Which.
= ObjectMetricStatus: A metric of an object.
describedObject: The object.
current: What it is.
metric: Which.
= PodsMetricSource: A metric of each pod.
metric: Which.
target: What it should be on average.
= PodsMetricStatus: A metric of each pod.
metric: Which.
current: What it is on average.
= ResourceMetricSource: A resource that each pod uses.
name: cpu or memory.
target: What it should be.
= ResourceMetricStatus: A resource that each pod uses.
name: cpu or memory.
current: How much.
= Scale: How many pods something has; the subresource scale of Deployments and their like.
spec: How many it should have.
status: How many it has.
= ScaleSpec: How many pods there should be.
replicas: The number.
= ScaleStatus: How many pods there are.
replicas: The number.
selector: Their labels, as a selector's text.

= Eviction: Deletes a pod if its PodDisruptionBudgets permit.
deleteOptions: How to delete it.
= PodDisruptionBudget: How many of a set of pods may be taken out at a time, on purpose, as by kubectl drain.
spec: Which pods, and how many.
status: How many may go now.
= PodDisruptionBudgetList: PodDisruptionBudgets.
= PodDisruptionBudgetSpec: Which pods, and how many of them.
minAvailable: How many must stay, as a number or a percentage.
selector: Which pods, by label; empty means all of the namespace.
maxUnavailable: How many may be missing, as a number or a percentage; not together with minAvailable.
unhealthyPodEvictionPolicy: Whether pods that run and are not ready may go: IfHealthyBudget (only when enough others are well; the default) or AlwaysAllow.
= PodDisruptionBudgetStatus: How many pods may be taken out now.
disruptedPods: Pods whose eviction was permitted and which are not gone yet.
disruptionsAllowed: How many may go now.
currentHealthy: How many are well.
desiredHealthy: How many must be well.
expectedPods: How many there should be.
`;
