/** What the types and fields of the smaller groups are for: storage, scheduling, coordination, events, node. The notation is in ./index.ts. */
export const cluster = `
= CSIDriver: How Kubernetes deals with a CSI driver. Its name is the driver's.
spec: What the driver can do and needs.
= CSIDriverList: CSIDrivers.
= CSIDriverSpec: What a CSI driver can do and needs.
attachRequired: Whether volumes must be attached to a node first; true by default.
podInfoOnMount: Whether it is told about the pod at mounting.
volumeLifecycleModes: Persistent (the default), Ephemeral or both.
storageCapacity: Whether the scheduler looks at its CSIStorageCapacity objects.
fsGroupPolicy: ReadWriteOnceWithFSType (the default), File or None: whether volumes' files get the pod's fsGroup.
tokenRequests: Tokens of the pod's ServiceAccount that it wants at mounting.
requiresRepublish: Whether it is asked to mount again from time to time.
seLinuxMount: Whether it can mount with an SELinux label.
nodeAllocatableUpdatePeriodSeconds: How often its numbers in CSINode are refreshed.
serviceAccountTokenInSecrets: Whether tokens come in the request's secrets.
preventPodSchedulingIfMissing: Whether pods wait for nodes that have it.
= CSINode: The CSI drivers on a node.
spec: The drivers.
= CSINodeDriver: A CSI driver on a node.
name: The driver.
nodeID: What the driver calls the node.
topologyKeys: Labels of the node that the driver has set.
allocatable: How many volumes it can have.
= CSINodeList: CSINodes.
= CSINodeSpec: The CSI drivers on a node.
drivers: The drivers.
= CSIStorageCapacity: How much room a driver has in some place.
nodeTopology: Where: nodes by label.
storageClassName: For which class.
capacity: How much in all.
maximumVolumeSize: How much for one volume.
= CSIStorageCapacityList: CSIStorageCapacities.
= StorageClass: A sort of storage, and who makes volumes of it on demand.
provisioner: Who makes them.
parameters: Parameters for whoever makes them.
reclaimPolicy: What becomes of a volume when its claim goes: Delete (the default) or Retain.
mountOptions: Options for mounting; nobody checks them beforehand.
allowVolumeExpansion: Whether claims may grow.
volumeBindingMode: Immediate (the default), or WaitForFirstConsumer: when the first pod that uses the claim is placed.
allowedTopologies: Where volumes may be made.
= StorageClassList: StorageClasses.
= TokenRequest: A token for a CSI driver.
audience: For whom it is.
expirationSeconds: How long it is valid.
= VolumeAttachment: A volume to be attached to a node.
spec: Which volume to which node.
status: How far it has come.
= VolumeAttachmentList: VolumeAttachments.
= VolumeAttachmentSource: The volume to be attached.
persistentVolumeName: A PersistentVolume.
inlineVolumeSpec: A volume that is described here.
= VolumeAttachmentSpec: Which volume to which node.
attacher: Who attaches it.
source: The volume.
nodeName: The node.
= VolumeAttachmentStatus: How far an attachment has come.
attached: Whether it is attached.
attachmentMetadata: What the driver said about it.
attachError: Why it could not be attached.
detachError: Why it could not be detached.
= VolumeAttributesClass: Attributes of volumes that can be changed while they are in use.
driverName: The CSI driver.
parameters: The attributes.
= VolumeAttributesClassList: VolumeAttributesClasses.
= VolumeError: Why something could not be done.
time: When.
errorCode: The gRPC code.
= VolumeNodeResources: How many volumes a driver can have on a node.
count: The number; no bound when absent.

= PriorityClass: A priority by name.
value: The priority; the higher goes first. It cannot be changed.
globalDefault: Whether it is for pods that name none.
description: When to use it.
preemptionPolicy: PreemptLowerPriority (the default) or Never: whether its pods drive out others.
= PriorityClassList: PriorityClasses.

= Lease: Says that somebody is alive, or is the one who leads.
spec: Who, and until when.
= LeaseList: Leases.
= LeaseSpec: Who holds a lease, and until when.
holderIdentity: Who.
leaseDurationSeconds: How long others wait after the last renewal.
acquireTime: When it was taken.
renewTime: When it was last renewed.
leaseTransitions: How often it changed hands.
strategy: How the leader is chosen.
preferredHolder: Who should have it instead.

= Event: Something that happened to an object, kept for an hour or so.
eventTime: When it was seen, to the microsecond.
series: The series it belongs to, when it happens again and again.
reportingController: Which controller reports it, as in kubernetes.io/kubelet.
reportingInstance: Which instance of the controller.
action: What was done or failed.
reason: In a word what happened, for programs.
regarding: What it happened to.
related: Another object that it is about.
note: What happened, for people; at most 1024 bytes.
type: Normal or Warning.
deprecatedSource: Who reports it, in core/v1's form.
deprecatedFirstTimestamp: When it was first seen, in core/v1's form.
deprecatedLastTimestamp: When it was last seen, in core/v1's form.
deprecatedCount: How often it was seen, in core/v1's form.
= EventList: Events.
= EventSeries: The same event again and again.
count: How often so far.
lastObservedTime: When the last time.

= Overhead: What a container runtime needs beside the containers.
podFixed: How much for each pod.
= RuntimeClass: A container runtime, by name.
handler: What the node's runtime calls it. It cannot be changed.
overhead: What it needs beside the containers.
scheduling: Which nodes have it.
= RuntimeClassList: RuntimeClasses.
= Scheduling: Which nodes have a runtime.
nodeSelector: Labels that they have.
tolerations: Taints that they have.
`;
