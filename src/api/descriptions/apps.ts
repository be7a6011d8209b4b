/** What the types and fields of apps are for. The notation is in ./index.ts. */
export const apps = `
= ControllerRevision: A state of a StatefulSet's or DaemonSet's template, kept so that one can go back to it.
data: The state.
revision: Its number; the higher, the newer.
= ControllerRevisionList: ControllerRevisions.

= DaemonSet: Keeps one equal pod running on every node, or on every node of a kind.
spec: Which pods on which nodes.
status: How many there are.
= DaemonSetCondition: A finding about a DaemonSet.
= DaemonSetList: DaemonSets.
= DaemonSetSpec: Which pods on which nodes.
selector: The labels of its pods. It cannot be changed, and the template must have them.
template: The pods. Its nodeSelector and affinity say on which nodes.
updateStrategy: How pods are replaced when the template changes.
minReadySeconds: How long a new pod must be ready before it counts as available; 0 by default.
revisionHistoryLimit: How many old templates are kept to go back to; 10 by default.
= DaemonSetStatus: How many pods a DaemonSet has.
currentNumberScheduled: Nodes that should have the pod and have it.
numberMisscheduled: Nodes that have the pod and should not.
desiredNumberScheduled: Nodes that should have the pod.
numberReady: Nodes whose pod is ready.
updatedNumberScheduled: Nodes whose pod is of the newest template.
numberAvailable: Nodes whose pod has been ready for minReadySeconds.
numberUnavailable: Nodes that should have an available pod and have none.
collisionCount: How often a revision's name was taken already.
= DaemonSetUpdateStrategy: How a DaemonSet's pods are replaced.
type: RollingUpdate (the default), or OnDelete: only when somebody deletes them.
rollingUpdate: How many at a time.
= RollingUpdateDaemonSet: How many of a DaemonSet's pods are replaced at a time.
maxUnavailable: How many nodes may be without an available pod, as a number or a percentage, rounded up; 1 by default.
maxSurge: How many nodes may have the old pod and the new one, as a number or a percentage, rounded up; 0 by default.

= Deployment: Keeps a number of equal pods running and replaces them step by step when their template changes.
spec: How many of which pods.
status: How many there are.
= DeploymentCondition: A finding about a Deployment: Available, Progressing, ReplicaFailure.
= DeploymentList: Deployments.
= DeploymentSpec: How many of which pods, and how they are replaced.
replicas: How many pods; 1 by default.
selector: The labels of its pods. It cannot be changed, and the template must have them.
template: The pods. When it changes, all pods are replaced.
strategy: How pods are replaced.
minReadySeconds: How long a new pod must be ready before it counts as available; 0 by default.
revisionHistoryLimit: How many old ReplicaSets are kept to go back to; 10 by default.
paused: True: changes of the template wait.
progressDeadlineSeconds: After so many seconds without progress the condition Progressing becomes False; 600 by default.
= DeploymentStatus: How many pods a Deployment has.
replicas: All.
updatedReplicas: Those of the newest template.
readyReplicas: Those that are ready.
availableReplicas: Those that have been ready for minReadySeconds.
unavailableReplicas: Those that are missing or not available yet.
terminatingReplicas: Those that are ending.
collisionCount: How often a ReplicaSet's name was taken already.
= DeploymentStrategy: How a Deployment's pods are replaced.
type: RollingUpdate (the default): a few at a time. Recreate: all old ones end before the first new one starts.
rollingUpdate: How many at a time.
= RollingUpdateDeployment: How many of a Deployment's pods are replaced at a time.
maxUnavailable: How many may be missing, as a number or a percentage of replicas, rounded down; 25% by default. Not 0 when maxSurge is.
maxSurge: How many there may be beyond replicas, as a number or a percentage of them, rounded up; 25% by default. Not 0 when maxUnavailable is.

= ReplicaSet: Keeps a number of equal pods running. Deployments make ReplicaSets, one for each state of their template.
spec: How many of which pods.
status: How many there are.
= ReplicaSetCondition: A finding about a ReplicaSet.
= ReplicaSetList: ReplicaSets.
= ReplicaSetSpec: How many of which pods.
replicas: How many pods; 1 by default.
minReadySeconds: How long a new pod must be ready before it counts as available; 0 by default.
selector: The labels of its pods. It cannot be changed, and the template must have them.
template: The pods it makes. Changing it does not touch those that exist.
= ReplicaSetStatus: How many pods a ReplicaSet has.
replicas: All.
fullyLabeledReplicas: Those with all the template's labels.
readyReplicas: Those that are ready.
availableReplicas: Those that have been ready for minReadySeconds.
terminatingReplicas: Those that are ending.

= RollingUpdateStatefulSetStrategy: Which of a StatefulSet's pods are replaced, and how many at a time.
partition: Pods with lower numbers keep the old template; 0 by default.
maxUnavailable: How many may be missing, as a number or a percentage, rounded up; 1 by default.
= StatefulSet: Keeps pods running that have a number, a name and storage of their own each: NAME-0, NAME-1 and so on.
spec: How many of which pods.
status: How many there are.
= StatefulSetCondition: A finding about a StatefulSet.
= StatefulSetList: StatefulSets.
= StatefulSetOrdinals: How pods are numbered.
start: The first number; 0 by default.
= StatefulSetPersistentVolumeClaimRetentionPolicy: What becomes of claims made from the templates.
whenDeleted: When the StatefulSet goes: Retain (the default) or Delete.
whenScaled: When a pod goes for good: Retain (the default) or Delete.
= StatefulSetSpec: How many of which pods, and how they are replaced.
replicas: How many pods; 1 by default.
selector: The labels of its pods. It cannot be changed, and the template must have them.
template: The pods.
volumeClaimTemplates: Claims made for every pod: TEMPLATE-NAME-NUMBER. Its pods find them again when they are replaced.
serviceName: The headless Service under which DNS knows its pods: NAME-0.SERVICE.NAMESPACE.svc.DOMAIN.
podManagementPolicy: OrderedReady (the default): one after the other. Parallel: all at once.
updateStrategy: How pods are replaced when the template changes.
revisionHistoryLimit: How many old templates are kept to go back to; 10 by default.
minReadySeconds: How long a new pod must be ready before it counts as available; 0 by default.
persistentVolumeClaimRetentionPolicy: What becomes of claims made from the templates; they stay by default.
ordinals: How pods are numbered.
= StatefulSetStatus: How many pods a StatefulSet has.
replicas: All.
readyReplicas: Those that are ready.
currentReplicas: Those of the old template.
updatedReplicas: Those of the newest template.
currentRevision: The old template's ControllerRevision.
updateRevision: The newest template's ControllerRevision.
collisionCount: How often a revision's name was taken already.
availableReplicas: Those that have been ready for minReadySeconds.
= StatefulSetUpdateStrategy: How a StatefulSet's pods are replaced.
type: RollingUpdate (the default): from the highest number down. OnDelete: only when somebody deletes them.
rollingUpdate: Which, and how many at a time.
`;
