/** What the core group's types and fields are for. The notation is in ./index.ts. */
export const core = `
= AWSElasticBlockStoreVolumeSource: A disk of Amazon's Elastic Block Store. CSI drivers took its place.
volumeID: The disk's id at the cloud.

= Affinity: Which nodes a pod wants, and which other pods it wants near or far.
nodeAffinity: Rules about the labels of the node.
podAffinity: Pods that should run in the same place.
podAntiAffinity: Pods that should not run in the same place.

= AppArmorProfile: The AppArmor profile that confines a container.
type: RuntimeDefault (the container runtime's own), Localhost (one loaded on the node) or Unconfined.
localhostProfile: The name of the profile on the node; only for type Localhost.

= AttachedVolume: A volume that is attached to a node.
name: The volume's unique name.
devicePath: Where the node sees the device.

= AzureDiskVolumeSource: A data disk of Azure. CSI drivers took its place.
diskName: The disk's name in the blob store.
diskURI: The disk's address in the blob store.
cachingMode: None, ReadOnly or ReadWrite; ReadWrite by default.
kind: Shared, Dedicated or Managed; Shared by default.

= AzureFilePersistentVolumeSource: A file share of Azure. CSI drivers took its place.
secretName: The Secret with the storage account's name and key.
secretNamespace: The namespace of that Secret; the claim's by default.
shareName: The share's name.

= AzureFileVolumeSource: A file share of Azure. CSI drivers took its place.
secretName: The Secret with the storage account's name and key.
shareName: The share's name.

= Binding: Puts one object onto another: a pod onto a node.
target: What the object is bound to: a Node.

= CSIPersistentVolumeSource: A volume that a CSI driver provides.
driver: The driver's name, as it registers itself.
volumeHandle: The driver's own id for the volume.
volumeAttributes: What the driver noted when it made the volume.
controllerPublishSecretRef: The Secret handed to the driver when the volume is attached to a node or detached.
nodeStageSecretRef: The Secret handed to the driver when the volume is first prepared on a node.
nodePublishSecretRef: The Secret handed to the driver when the volume is mounted for a pod.
controllerExpandSecretRef: The Secret handed to the driver when the volume grows.
nodeExpandSecretRef: The Secret handed to the driver when the file system grows on the node.

= CSIVolumeSource: A volume that a CSI driver makes for this pod and removes with it.
driver: The driver's name, as it registers itself.
volumeAttributes: Parameters for the driver; which there are, its documentation says.
nodePublishSecretRef: The Secret handed to the driver when the volume is mounted.

= Capabilities: Linux capabilities beyond and short of the container runtime's default set.
add: Capabilities to add, such as NET_ADMIN; ALL for every one.
drop: Capabilities to take away; ALL for every one.

= CephFSPersistentVolumeSource: A directory of a Ceph file system. CSI drivers took its place.
monitors: The addresses of Ceph's monitors.
user: Who mounts it; admin by default.
secretFile: Where the user's key ring lies on the node; /etc/ceph/user.secret by default.
= CephFSVolumeSource like CephFSPersistentVolumeSource: A directory of a Ceph file system. CSI drivers took its place.
= CinderPersistentVolumeSource: A disk of OpenStack's Cinder. CSI drivers took its place.
volumeID: The disk's id at the cloud.
= CinderVolumeSource: A disk of OpenStack's Cinder. CSI drivers took its place.
volumeID: The disk's id at the cloud.

= ClientIPConfig: How long a client stays with the pod it met first.
timeoutSeconds: Seconds of silence after which the client may get another pod: 1 to 86400, 10800 (three hours) by default.

= ClusterTrustBundleProjection: Writes the certificates of ClusterTrustBundles into a file.
name: One bundle by its name; not together with signerName and labelSelector.
signerName: All bundles of this signer that the label selector matches.
labelSelector: Which of the signer's bundles; absent matches none, empty all.
optional: Do not hold the pod up when there is no such bundle.
path: The file, relative to the volume.

= ComponentCondition: One finding about a component.
type: Healthy is the only one.
status: True, False or Unknown.
message: What was found.
error: What went wrong when it was asked for.
= ComponentStatus: Whether a part of the control plane is well. Deprecated: /livez and /readyz say more.
conditions: What was found.
= ComponentStatusList: The parts of the control plane.

= ConfigMap: Configuration that is not secret, as keys and values that pods read as environment variables or files.
immutable: True: the data can no longer be changed, only the whole object deleted. Never becomes false again.
data: Values that are UTF-8 text, by key. A key holds letters, digits, "-", "_" and ".", and is in data or in binaryData, not in both.
binaryData: Values that are not UTF-8 text, in base64, by key.
= ConfigMapEnvSource: All keys of a ConfigMap as environment variables.
optional: Go on without it when there is no such ConfigMap.
= ConfigMapKeySelector: One key of a ConfigMap in the pod's namespace.
key: Which key.
optional: Go on without it when there is no such ConfigMap or key.
= ConfigMapList: ConfigMaps.
= ConfigMapNodeConfigSource: Names a ConfigMap with a kubelet's configuration. No longer in use.
resourceVersion: Its resource version.
kubeletConfigKey: The key that holds the configuration.
= ConfigMapProjection: Keys of a ConfigMap as files in a projected volume.
items: Which keys go to which files; all, under their own names, when empty. A listed key must exist unless optional is set.
optional: Do not hold the pod up when there is no such ConfigMap or key.
= ConfigMapVolumeSource: Keys of a ConfigMap as the files of a volume, kept up to date while the pod runs.
items: Which keys go to which files; all, under their own names, when empty. A listed key must exist unless optional is set.
defaultMode: The files' permission bits, octal in YAML (0644) or decimal; 0644 by default.
optional: Do not hold the pod up when there is no such ConfigMap or key.

= Container: One program that runs in a pod, from an image.
name: The container's name, a DNS label, once in a pod. It cannot be changed.
image: The image to run, as in docker.io/library/nginx:1.27. A name without a registry is looked up in the default one.
command: What to run instead of the image's entry point, without a shell. $(NAME) stands for an environment variable, $$(NAME) for itself.
args: The arguments, instead of the image's. $(NAME) stands for an environment variable, $$(NAME) for itself.
workingDir: The directory to start in; the image's by default.
ports: Ports the container listens on: for people to read, for names that Services and probes refer to, and for host ports. A port that is not listed is reachable all the same.
envFrom: Sources of which every key becomes an environment variable. Later ones win over earlier ones, and env over all.
env: Environment variables.
resources: What the container is promised of the node, and what it must not exceed.
resizePolicy: Whether a change of cpu or memory needs the container to restart.
restartPolicy: For init containers, Always makes a sidecar: it starts in its turn, keeps running, and ends after the pod's containers. Otherwise the pod's policy holds, unless this one overrides it.
restartPolicyRules: Rules about exit codes that go before restartPolicy; the first that matches decides.
volumeMounts: Which of the pod's volumes appear where in the container.
volumeDevices: Which of the pod's claims appear as block devices.
livenessProbe: Asked again and again: when it fails, the container is restarted.
readinessProbe: Asked again and again: while it fails, Services send the container nothing.
startupProbe: Until it succeeds, the other probes wait; when it fails for good, the container is restarted.
lifecycle: What to do right after the container has started and right before it ends.
terminationMessagePath: The file whose content becomes the termination message in the status; /dev/termination-log by default. At most 4096 bytes.
terminationMessagePolicy: File: that file alone. FallbackToLogsOnError: the log's end when the file is empty and the container failed.
imagePullPolicy: Always, IfNotPresent or Never. By default Always for the tag latest and for no tag, IfNotPresent for others.
securityContext: With which rights the container runs; goes before the pod's.
stdin: Keep standard input open, for kubectl attach and run -i.
stdinOnce: Close standard input when the first client that attached has gone.
tty: Give the container a terminal; needs stdin.
= ContainerExtendedResourceRequest: Which request of a claim stands for a container's extended resource.
containerName: The container.
resourceName: The extended resource.
requestName: The request in the claim.
= ContainerImage: An image that a node has.
names: The names and digests it is known by.
sizeBytes: Its size on the node, in bytes.
= ContainerPort: A port that a container listens on.
name: A name for it, once in a pod, that Services and probes may use: up to 15 lower-case letters, digits and "-".
hostPort: Open this port on the node too, and pass what arrives to the container. Rarely needed: a Service is usually better.
containerPort: The port, 1 to 65535.
protocol: TCP (the default), UDP or SCTP.
hostIP: The node's address to which the host port belongs; all by default.
= ContainerResizePolicy: What changing a resource of a running container needs.
resourceName: cpu or memory.
restartPolicy: NotRequired (the default) or RestartContainer.
= ContainerRestartRule: What to do when a container ends in a certain way.
action: Restart, or RestartAllContainers.
exitCodes: The exit codes it is about.
= ContainerRestartRuleOnExitCodes: Exit codes.
operator: In or NotIn.
values: The codes, at most 255 of them.
= ContainerState: What a container is doing: one of its members is there.
waiting: It does not run yet, or not at the moment.
running: It runs.
terminated: It has ended.
= ContainerStateRunning: A container that runs.
startedAt: Since when.
= ContainerStateTerminated: A container that has ended.
exitCode: The exit status of its first process; 128 and the signal's number when a signal ended it.
signal: The signal that ended it.
reason: In a word: Completed, Error, OOMKilled, ...
message: What it left as its termination message.
startedAt: When it had started.
finishedAt: When it ended.
containerID: Its id at the container runtime, as in containerd://... .
= ContainerStateWaiting: A container that does not run.
reason: In a word why: ContainerCreating, ImagePullBackOff, CrashLoopBackOff, ...
message: More about it.
= ContainerStatus: How a container of the pod is.
name: Which container.
state: What it is doing.
lastState: How it ended the time before.
ready: Whether it takes requests: it runs and its readiness probe, if any, succeeds.
restartCount: How often it was started again.
image: The image it runs, as the runtime calls it.
imageID: The image's digest at the container runtime.
containerID: Its id at the container runtime.
started: Whether it runs and its startup probe, if any, has succeeded.
allocatedResources: What the node set aside for it.
resources: The requests and limits in force.
volumeMounts: How its volumes are mounted.
user: As whom its first process started.
allocatedResourcesStatus: The health of devices that it was given.
stopSignal: The signal that asks it to end.
= ContainerUser: As whom a container's first process started.
linux: On Linux.
= DaemonEndpoint: Where a daemon of the node listens.
Port: The port.

= DownwardAPIProjection: Facts about the pod as files in a projected volume.
items: The files.
= DownwardAPIVolumeFile: A file that holds a fact about the pod.
path: The file, relative to the volume; no "..".
fieldRef: A field of the pod: metadata.name, metadata.namespace, metadata.uid, metadata.labels, metadata.annotations and single ones of those.
resourceFieldRef: A request or a limit of a container.
mode: The file's permission bits; the volume's by default.
= DownwardAPIVolumeSource: Facts about the pod as the files of a volume.
items: The files.
defaultMode: The files' permission bits; 0644 by default.

= EmptyDirVolumeSource: A directory that begins empty and goes with the pod.
medium: Empty for the node's disk, Memory for a file system in memory, HugePages for huge pages.
sizeLimit: How much it may hold. A pod that exceeds it is evicted.

= EndpointAddress: An address behind a Service.
ip: The address.
hostname: The name by which DNS knows this address under the Service.
nodeName: The node it is on.
targetRef: The pod it belongs to.
= EndpointPort: A port behind a Service.
name: The Service port's name; empty when it has just one.
port: The port number.
protocol: TCP, UDP or SCTP.
appProtocol: What is spoken there, as in kubernetes.io/h2c.
= EndpointSubset: Addresses that have the same ports: each address with each port.
addresses: Those that take requests.
notReadyAddresses: Those that do not take requests at the moment.
ports: The ports.
= Endpoints: The addresses behind a Service. Deprecated: EndpointSlices hold more.
subsets: The addresses and ports.
= EndpointsList: Endpoints.

= EnvFromSource: A source of which every key becomes an environment variable.
prefix: Written before each key.
configMapRef: A ConfigMap.
secretRef: A Secret.
= EnvVar: An environment variable.
name: Its name; anything printable but "=".
value: Its value. $(NAME) stands for a variable defined before it, $$(NAME) for itself.
valueFrom: Where the value comes from, in place of value.
= EnvVarSource: Where an environment variable's value comes from.
fieldRef: A field of the pod: metadata.name, metadata.labels['KEY'], spec.nodeName, status.podIP, status.hostIP and others.
resourceFieldRef: A request or a limit of a container.
configMapKeyRef: A key of a ConfigMap.
secretKeyRef: A key of a Secret.
fileKeyRef: A key of a file in one of the pod's volumes.
= EphemeralContainer like Container: A container that is put into a running pod to look at it. It is not restarted and cannot be removed.
targetContainerName: The container whose processes it sees.
= EphemeralVolumeSource: A volume whose claim is made for this pod and goes with it.
volumeClaimTemplate: The claim. It is called POD-VOLUME and belongs to the pod.

= Event: Something that happened to an object, kept for an hour or so.
involvedObject: What it happened to.
reason: In a word what happened, for programs: Scheduled, Pulled, BackOff, ...
message: What happened, for people.
source: Who reports it.
firstTimestamp: When it was first seen.
lastTimestamp: When it was last seen.
count: How often it was seen.
type: Normal or Warning.
eventTime: When it was seen, to the microsecond.
series: The series it belongs to, when it happens again and again.
action: What was done or failed.
related: Another object that it is about.
reportingComponent: Which controller reports it, as in kubernetes.io/kubelet.
reportingInstance: Which instance of the controller.
= EventList: Events.
= EventSeries: The same event again and again.
count: How often so far.
lastObservedTime: When the last time.
= EventSource: Who reports an event.
component: Which component.
host: On which node.

= ExecAction: Runs a command in the container.
command: The command and its arguments, without a shell. An exit status of 0 means success.
= FCVolumeSource: A disk on Fibre Channel.
targetWWNs: The worldwide names of the targets.
lun: The unit's number at the target.
wwids: The volume's worldwide ids, in place of targetWWNs and lun.
= FileKeySelector: A key of a file, in the form NAME=VALUE, in a volume.
volumeName: The pod's volume.
path: The file in the volume.
key: The key.
optional: Go on without it when there is no such file or key.
= FlexPersistentVolumeSource: A volume that a program on the node mounts. Deprecated: use CSI.
driver: The driver's name.
options: Options for the driver.
= FlexVolumeSource: A volume that a program on the node mounts. Deprecated: use CSI.
driver: The driver's name.
options: Options for the driver.
= FlockerVolumeSource: A volume of Flocker. No longer supported.
datasetName: The dataset's name.
datasetUUID: The dataset's id.
= GCEPersistentDiskVolumeSource: A disk of Google's cloud. CSI drivers took its place.
pdName: The disk's name at the cloud.
= GRPCAction: Asks gRPC's health service.
port: Where it listens, 1 to 65535.
service: Which service to ask about; the whole server when empty.
= GitRepoVolumeSource: A clone of a git repository. No longer supported: clone in an init container.
repository: Where it is.
revision: Which commit.
directory: Where in the volume; "." for the volume itself.
= GlusterfsPersistentVolumeSource: A Gluster volume. No longer supported.
endpoints: The Endpoints with the servers' addresses.
endpointsNamespace: The namespace of those Endpoints.
= GlusterfsVolumeSource: A Gluster volume. No longer supported.
endpoints: The Endpoints with the servers' addresses.
= HTTPGetAction: Sends an HTTP GET; an answer from 200 to 399 means success.
path: The path to ask for; / by default.
port: A number, 1 to 65535, or the name of a container port.
host: The host to ask; the pod's address by default. For virtual hosts set the header Host instead.
scheme: HTTP (the default) or HTTPS; the certificate is not checked.
httpHeaders: Headers to send.
= HTTPHeader: A header of a request.
name: Its name.
value: Its value.
= HostAlias: A line in the pod's /etc/hosts.
ip: The address.
hostnames: The names for it.
= HostIP: An address of the node.
ip: The address.
= HostPathVolumeSource: A file or directory of the node itself. Whoever may use it can often take over the node.
path: Where on the node.
type: What must be there or is made: DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice; empty checks nothing.
= ISCSIPersistentVolumeSource: A disk on iSCSI.
= ISCSIVolumeSource: A disk on iSCSI.
= ImageVolumeSource: The content of an image, read-only, as a volume.
reference: The image's name.
pullPolicy: Always, IfNotPresent or Never; by default Always for the tag latest, IfNotPresent for others.
= ImageVolumeStatus: Which image a volume shows.
imageRef: The image's digest.
= KeyToPath: Which key goes to which file.
key: The key.
path: The file, relative to the volume; no "..".
mode: The file's permission bits; the volume's by default.

= Lifecycle: What happens right after a container has started and right before it ends.
postStart: Done at once after the start. When it fails, the container is ended and its restart policy decides.
preStop: Done before the container is asked to end, within the pod's termination grace period.
stopSignal: The signal that asks the container to end, in place of the image's; needs the pod's os.name.
= LifecycleHandler: One thing to do; just one member may be there.
exec: Run a command in the container.
httpGet: Send an HTTP request.
tcpSocket: Open a TCP connection. No longer supported here: it does nothing.
sleep: Wait.

= LimitRange: Bounds and defaults for the resources of every pod and claim in a namespace.
spec: The bounds.
= LimitRangeItem: Bounds and defaults for one sort of object.
type: Container, Pod or PersistentVolumeClaim.
max: The most that may be asked for, by resource.
min: The least that may be asked for, by resource.
default: The limit that a container gets when it names none.
defaultRequest: The request that a container gets when it names none.
maxLimitRequestRatio: How many times the request the limit may be.
= LimitRangeList: LimitRanges.
= LimitRangeSpec: Bounds and defaults.
limits: One for each sort of object.
= LinuxContainerUser: As whom a process started.
uid: The user.
gid: The group.
supplementalGroups: Further groups.
= LoadBalancerIngress: Where a load balancer listens.
ip: Its address.
hostname: Its name, when it has one in place of an address.
ipMode: VIP: packets arrive with this address as their destination. Proxy: they arrive with a node's or a pod's.
ports: The state of its ports.
= LoadBalancerStatus: Where a load balancer listens.
ingress: Its addresses and names.
= LocalObjectReference: Names an object in the same namespace.
= LocalVolumeSource: A directory or a disk of one certain node.
path: Where on the node.
fsType: The file system to make on a disk that has none; a suitable one by default.
= ModifyVolumeStatus: How the change to another VolumeAttributesClass stands.
targetVolumeAttributesClassName: The class it is to have.
status: Pending, InProgress or Infeasible.
= NFSVolumeSource: A directory that an NFS server exports.
server: The server's name or address.
path: The exported directory.

= Namespace: A room for names: objects in different namespaces may have the same name.
spec: How it should be.
status: How it is.
= NamespaceCondition: A finding about a namespace, mostly about its deletion.
= NamespaceList: Namespaces.
= NamespaceSpec: How a namespace should be.
finalizers: What must be done before it can go; kubernetes means that its content is deleted first.
= NamespaceStatus: How a namespace is.
phase: Active, or Terminating while its content is deleted.
conditions: What is known about it.

= Node: A machine that runs pods.
spec: How it should be.
status: How it is; its kubelet writes it.
= NodeAddress: An address of a node.
type: Hostname, InternalIP, ExternalIP, InternalDNS or ExternalDNS.
address: The address or name.
= NodeAffinity: Rules about the node's labels.
requiredDuringSchedulingIgnoredDuringExecution: What the node must have when the pod is placed. Labels that change later do not move the pod.
preferredDuringSchedulingIgnoredDuringExecution: What a node would better have; the weights of what it has are added up.
= NodeAllocatableResourceClaimStatus: What of a node's resources is held through a claim.
resourceClaimName: The claim.
containers: The containers that use it.
resources: How much of what.
= NodeCondition: A finding about a node.
type: Ready, MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable, ...
lastHeartbeatTime: When it was last reported.
= NodeConfigSource: Where a kubelet's configuration comes from. No longer in use.
configMap: A ConfigMap.
= NodeConfigStatus: Which configuration a kubelet uses. No longer in use.
assigned: The one it should use.
active: The one it uses.
lastKnownGood: The one it falls back to.
error: What is wrong with the assigned one.
= NodeDaemonEndpoints: Where the node's daemons listen.
kubeletEndpoint: The kubelet.
= NodeFeatures: What the node's container runtime can do.
supplementalGroupsPolicy: Whether it knows supplementalGroupsPolicy.
= NodeList: Nodes.
= NodeRuntimeHandler: A handler of the node's container runtime.
name: Its name; empty for the default one.
features: What it can do.
= NodeRuntimeHandlerFeatures: What a runtime handler can do.
recursiveReadOnlyMounts: Mounts that are read-only with everything mounted below.
userNamespaces: User namespaces.
= NodeSelector: Which nodes: those that any of the terms matches.
nodeSelectorTerms: The terms; one that matches is enough.
= NodeSelectorRequirement: A condition on one label or field of a node.
key: The label's key, or the field's name.
operator: In, NotIn, Exists, DoesNotExist, Gt or Lt.
values: What to compare with: none for Exists and DoesNotExist, one whole number for Gt and Lt.
= NodeSelectorTerm: Conditions that must all be met.
matchExpressions: Conditions on the node's labels.
matchFields: Conditions on the node's fields; metadata.name is the only one.
= NodeSpec: How a node should be.
podCIDR: The addresses for its pods.
podCIDRs: The addresses for its pods, at most one range of IPv4 and one of IPv6.
providerID: Its id at the cloud, as in PROVIDER://ID.
unschedulable: True: no new pods (kubectl cordon).
taints: Which pods it keeps off, unless they tolerate it.
configSource: No longer in use.
externalID: No longer in use.
= NodeStatus: How a node is.
capacity: All it has, by resource.
allocatable: What of it pods may use.
phase: No longer in use.
conditions: What is known about it.
addresses: Its addresses and names.
daemonEndpoints: Where its daemons listen.
nodeInfo: Its kernel, system and programs.
images: The images it has.
volumesInUse: The attachable volumes that it mounts.
volumesAttached: The volumes attached to it.
config: No longer in use.
runtimeHandlers: The handlers of its container runtime.
features: What its container runtime can do.
declaredFeatures: Features that it declares to the scheduler.
= NodeSwapStatus: The node's swap space.
capacity: How much, in bytes.
= NodeSystemInfo: A node's kernel, system and programs.
machineID: The id in /etc/machine-id.
systemUUID: The id that its firmware gives.
bootID: The id of this boot.
kernelVersion: The kernel, as uname -r says.
osImage: The operating system, as /etc/os-release says.
containerRuntimeVersion: The container runtime and its version.
kubeletVersion: The kubelet's version.
kubeProxyVersion: Deprecated: the kubelet's version.
operatingSystem: linux or windows.
architecture: amd64, arm64, ...
swap: Its swap space.

= ObjectFieldSelector: A field of the pod.
apiVersion: In which version the path is meant; v1 by default.
fieldPath: The path, as in metadata.name.
= ObjectReference: Names an object.
kind: Its kind.
apiVersion: Its group and version.
resourceVersion: The state of it that is meant.
fieldPath: The part of it that is meant, as in spec.containers{name}.

= PersistentVolume: Storage in the cluster that outlives pods.
spec: Which storage, and who may have it.
status: How it is.
= PersistentVolumeClaim: A user's wish for storage; it is bound to a PersistentVolume.
spec: What is wished for.
status: What was got.
= PersistentVolumeClaimCondition: A finding about a claim, mostly about its growing.
type: Resizing, FileSystemResizePending, ControllerResizeError, NodeResizeError, ModifyingVolume, ...
lastProbeTime: When it was last looked at.
= PersistentVolumeClaimList: Claims.
= PersistentVolumeClaimSpec: What a claim wishes for.
accessModes: How it will be mounted: ReadWriteOnce (one node), ReadOnlyMany, ReadWriteMany, ReadWriteOncePod (one pod).
selector: Which volumes come into question, by label.
resources: How much storage. It may grow later if the class permits, and not shrink.
volumeName: One certain volume.
storageClassName: The class that makes the volume. Absent means the default class, "" no class at all.
volumeMode: Filesystem (the default) or Block.
dataSource: A snapshot or another claim that the volume is filled from.
dataSourceRef: What the volume is filled from, of any kind.
volumeAttributesClassName: Attributes that can be changed while the volume is in use, such as throughput.
= PersistentVolumeClaimStatus: How a claim is.
phase: Pending, Bound or Lost (its volume is gone).
accessModes: How its volume may be mounted.
capacity: How much its volume holds.
conditions: What is known about it.
allocatedResources: What was set aside for it while it grows.
allocatedResourceStatuses: How far the growing has come, by resource.
currentVolumeAttributesClassName: The VolumeAttributesClass in force.
modifyVolumeStatus: How the change to another class stands.
= PersistentVolumeClaimTemplate: A claim to be made.
metadata: Labels and annotations for the claim.
spec: What is wished for.
= PersistentVolumeClaimVolumeSource: A claim in the pod's namespace.
claimName: Which claim.
= PersistentVolumeList: PersistentVolumes.
= PersistentVolumeSpec: Which storage, and who may have it.
capacity: How much it holds.
gcePersistentDisk: Deprecated: a disk of Google's cloud.
awsElasticBlockStore: Deprecated: a disk of Amazon's cloud.
hostPath: A directory of whatever node the pod is on; for trying out on one node.
glusterfs: No longer supported.
nfs: A directory that an NFS server exports.
rbd: Deprecated: a Ceph block device.
iscsi: A disk on iSCSI.
cinder: Deprecated: a disk of OpenStack.
cephfs: Deprecated: a Ceph file system.
fc: A disk on Fibre Channel.
flocker: No longer supported.
flexVolume: Deprecated: a program on the node mounts it.
azureFile: Deprecated: a file share of Azure.
vsphereVolume: Deprecated: a disk of vSphere.
quobyte: No longer supported.
azureDisk: Deprecated: a disk of Azure.
photonPersistentDisk: No longer supported.
portworxVolume: Deprecated: a volume of Portworx.
scaleIO: No longer supported.
local: A directory or disk of one certain node; nodeAffinity must say which.
storageos: No longer supported.
csi: A volume that a CSI driver provides.
accessModes: How it may be mounted: ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod.
claimRef: The claim that has it, or that it is kept for.
persistentVolumeReclaimPolicy: What becomes of it when its claim goes: Retain (the default for those made by hand), Delete (for those made on demand), Recycle (deprecated).
storageClassName: The class it belongs to; only claims of this class get it.
mountOptions: Options for mounting; nobody checks them beforehand.
volumeMode: Filesystem (the default) or Block.
nodeAffinity: The nodes that can reach it.
volumeAttributesClassName: The VolumeAttributesClass it has.
= PersistentVolumeStatus: How a PersistentVolume is.
phase: Pending, Available, Bound, Released (its claim is gone) or Failed.
message: Why it is so.
reason: Why it is so, in a word.
lastPhaseTransitionTime: When the phase last changed.
= PhotonPersistentDiskVolumeSource: A disk of Photon. No longer supported.
pdID: The disk's id.

= Pod: Containers that run together on one node and share its address there. Deployments and their like make pods for you.
spec: How it should be.
status: How it is; the kubelet of its node writes it.
= PodAffinity: Pods that should run in the same place.
requiredDuringSchedulingIgnoredDuringExecution: What must hold when the pod is placed; all of it.
preferredDuringSchedulingIgnoredDuringExecution: What would be better; the weights of what holds are added up.
= PodAffinityTerm: Pods, and what "the same place" means.
labelSelector: Which pods, by label.
namespaces: In which namespaces; the pod's own when this and namespaceSelector are absent.
topologyKey: Nodes with the same value of this label are the same place: kubernetes.io/hostname, topology.kubernetes.io/zone, ...
namespaceSelector: In which namespaces, by label; empty means all.
matchLabelKeys: Keys whose values are taken from the pod itself and must be the same: pod-template-hash, ...
mismatchLabelKeys: Keys whose values are taken from the pod itself and must differ.
= PodAntiAffinity: Pods that should not run in the same place.
requiredDuringSchedulingIgnoredDuringExecution: What must hold when the pod is placed; all of it.
preferredDuringSchedulingIgnoredDuringExecution: What would be better; the weights of what holds are added up.
= PodCertificateProjection: A key and a certificate made for the pod, as files.
signerName: Who signs.
keyType: RSA3072, RSA4096, ECDSAP256, ECDSAP384, ECDSAP521 or ED25519.
maxExpirationSeconds: How long it may be valid, at the most; a day by default.
credentialBundlePath: The file for key and certificates together.
keyPath: The file for the key.
certificateChainPath: The file for the certificates.
userAnnotations: Notes for the signer.
= PodCondition: A finding about a pod.
type: PodScheduled, Initialized, ContainersReady, Ready, DisruptionTarget, ...
observedGeneration: The metadata.generation it speaks of.
lastProbeTime: When it was last looked at.
= PodDNSConfig: What goes into the pod's resolv.conf beyond what dnsPolicy puts there.
nameservers: Addresses of DNS servers.
searches: Domains in which short names are looked up.
options: Options of the resolver.
= PodDNSConfigOption: An option of the resolver.
name: Its name, as in ndots.
value: Its value, if it has one.
= PodExtendedResourceClaimStatus: The claim that stands for the pod's extended resources.
requestMappings: Which request stands for which container's resource.
resourceClaimName: The claim.
= PodIP: An address of a pod.
ip: The address.
= PodList: Pods.
= PodOS: The pod's operating system.
name: linux or windows.
= PodReadinessGate: A condition that others set and without which the pod is not ready.
conditionType: The condition's type.
= PodResourceClaim: A claim to devices that the pod's containers refer to.
name: Its name within the pod.
resourceClaimName: A claim that exists.
resourceClaimTemplateName: A template of which a claim is made for this pod.
= PodResourceClaimStatus: The claim made for the pod from a template.
name: Its name within the pod.
resourceClaimName: The claim's name.
= PodSchedulingGate: Something that must be removed before the pod is placed.
name: Its name.
= PodSchedulingGroup: The group that the pod is placed with.
podGroupName: The PodGroup.
= PodSecurityContext: With which rights the pod's containers run, as far as they do not say otherwise.
seLinuxOptions: The SELinux label of its processes.
windowsOptions: Settings for Windows.
seccompProfile: Which system calls are allowed.
appArmorProfile: The AppArmor profile.
runAsUser: The user id of the containers' processes; the image's by default.
runAsGroup: The group id of the containers' processes; the runtime's default otherwise.
runAsNonRoot: True: the kubelet refuses to start a container as root.
supplementalGroups: Further groups of the containers' first processes.
supplementalGroupsPolicy: Merge (with those of the image's /etc/group; the default) or Strict.
fsGroup: A group that owns the files of volumes that know owners, and to which all processes belong.
sysctls: Kernel settings of the pod's namespaces.
fsGroupChangePolicy: Always (the default), or OnRootMismatch to leave files alone when the volume's root already fits.
seLinuxChangePolicy: MountOption or Recursive: how volumes get their SELinux label.
= PodSpec: How a pod should be.
volumes: Storage that its containers can mount.
initContainers: Containers that run before the others, one after the other, each to its end; those with restartPolicy Always keep running.
containers: Its containers; at least one. They cannot be added or removed later.
ephemeralContainers: Containers put in later to look at it; only the subresource ephemeralcontainers adds them.
restartPolicy: Always (the default), OnFailure or Never, for all its containers.
terminationGracePeriodSeconds: How long its containers have to end before they are killed; 30 by default, 0 for at once.
activeDeadlineSeconds: After so many seconds it is ended and counts as failed.
dnsPolicy: ClusterFirst (the default), ClusterFirstWithHostNet, Default (the node's settings) or None (dnsConfig alone).
nodeSelector: Labels that the node must have.
serviceAccountName: As which ServiceAccount it talks to the API; default by default.
serviceAccount: Deprecated: the older name of serviceAccountName.
automountServiceAccountToken: Whether a token of the ServiceAccount is mounted; yes unless the ServiceAccount says no.
nodeName: The node it runs on. The scheduler fills it in; set by hand, the scheduler is passed by.
hostNetwork: Use the node's own network instead of one of its own.
hostPID: See the node's processes.
hostIPC: Share the node's IPC namespace.
shareProcessNamespace: Let its containers see one another's processes.
securityContext: With which rights its containers run, as far as they do not say otherwise.
imagePullSecrets: Secrets with credentials for image registries.
hostname: Its host name; its own name by default.
subdomain: With a headless Service of this name, DNS knows it as HOSTNAME.SUBDOMAIN.NAMESPACE.svc.DOMAIN.
affinity: Which nodes it wants, and which pods near or far.
schedulerName: Who places it; default-scheduler by default.
tolerations: Which taints of nodes it puts up with.
hostAliases: Lines for its /etc/hosts.
priorityClassName: Its PriorityClass.
priority: Its priority, from its class. The higher goes first and may drive out the lower.
dnsConfig: What goes into its resolv.conf beyond what dnsPolicy puts there.
readinessGates: Conditions that others set and without which it is not ready.
runtimeClassName: The RuntimeClass: which container runtime runs it.
enableServiceLinks: Whether its containers get environment variables about the namespace's Services; true by default.
preemptionPolicy: PreemptLowerPriority (the default) or Never: whether it drives out others to find room.
overhead: What the runtime needs beside its containers; from its RuntimeClass.
topologySpreadConstraints: How pods like it spread over zones and nodes; all must hold.
setHostnameAsFQDN: True: its host name is its full DNS name.
os: Its operating system.
hostUsers: False: it runs in a user namespace of its own, where its root is nobody on the node.
schedulingGates: While there are any, it is not placed. They can be removed, not added.
resourceClaims: Claims to devices that its containers may refer to.
resources: Requests and limits for the pod as a whole.
hostnameOverride: Its host name, whatever DNS calls it.
schedulingGroup: The group that it is placed with.
= PodStatus: How a pod is.
observedGeneration: The metadata.generation it speaks of.
phase: Pending, Running, Succeeded (all containers ended well), Failed (all ended, one badly) or Unknown.
conditions: What is known about it.
message: Why it is so.
reason: Why it is so, in a word: Evicted, ...
nominatedNodeName: The node where room is being made for it.
hostIP: Its node's address.
hostIPs: Its node's addresses.
podIP: Its address in the cluster.
podIPs: Its addresses in the cluster, at most one of IPv4 and one of IPv6.
startTime: When the kubelet took it up, before its images were pulled.
initContainerStatuses: How its init containers are.
containerStatuses: How its containers are.
qosClass: Guaranteed, Burstable or BestEffort: who is killed last or first when memory runs out.
ephemeralContainerStatuses: How its ephemeral containers are.
resize: Deprecated: how a change of its resources stands; see its conditions.
resourceClaimStatuses: The claims made for it.
extendedResourceClaimStatus: The claim that stands for its extended resources.
allocatedResources: What the node set aside for it.
resources: Its requests and limits in force.
nodeAllocatableResourceClaimStatuses: What of the node's resources it holds through claims.
= PodTemplate: A template of a pod, kept on its own.
template: The pod.
= PodTemplateList: PodTemplates.
= PodTemplateSpec: The pods that a controller makes.
metadata: Their labels and annotations. The labels must match the controller's selector.
spec: How they should be.
= PortStatus: The state of a load balancer's port.
port: The Service's port.
protocol: TCP, UDP or SCTP.
error: What is wrong with it.
= PortworxVolumeSource: A volume of Portworx. CSI drivers took its place.
volumeID: The volume's id.
= PreferredSchedulingTerm: A wish about nodes.
weight: How much it counts, 1 to 100.
preference: Which nodes.
= Probe: How the kubelet finds out how a container is. Just one of exec, httpGet, tcpSocket and grpc.
exec: Run a command in the container.
httpGet: Send an HTTP request.
tcpSocket: Open a TCP connection.
grpc: Ask gRPC's health service.
initialDelaySeconds: How long to wait after the container's start; 0 by default.
timeoutSeconds: How long to wait for an answer; 1 by default.
periodSeconds: How often to ask; every 10 seconds by default.
successThreshold: After how many successes in a row it counts as well again; 1 by default, and always 1 for liveness and startup.
failureThreshold: After how many failures in a row it counts as failed; 3 by default.
terminationGracePeriodSeconds: How long the container has to end when the probe has failed; the pod's by default.
= ProjectedVolumeSource: Several sources in one directory.
sources: The sources.
defaultMode: The files' permission bits; 0644 by default.
= QuobyteVolumeSource: A volume of Quobyte. No longer supported.
registry: The addresses of the registry.
volume: The volume's name.
user: Who mounts it.
group: With which group.
tenant: The tenant it belongs to.
= RBDPersistentVolumeSource: A Ceph block device. CSI drivers took its place.
monitors: The addresses of Ceph's monitors.
image: The device's image.
pool: The pool; rbd by default.
user: Who uses it; admin by default.
keyring: Where the key ring lies on the node; /etc/ceph/keyring by default.
= RBDVolumeSource like RBDPersistentVolumeSource: A Ceph block device. CSI drivers took its place.
= ReplicationController: Keeps a number of equal pods running. Deployments took its place.
spec: How many of which pods.
status: How many there are.
= ReplicationControllerCondition: A finding about a ReplicationController.
= ReplicationControllerList: ReplicationControllers.
= ReplicationControllerSpec: How many of which pods.
replicas: How many; 1 by default.
minReadySeconds: How long a new pod must be ready before it counts as available.
selector: The labels of its pods; those of the template by default.
template: The pods it makes.
= ReplicationControllerStatus: How many pods there are.
replicas: All.
fullyLabeledReplicas: Those with all the template's labels.
readyReplicas: Those that are ready.
availableReplicas: Those that have been ready for minReadySeconds.
conditions: What is known about it.
= ResourceClaim: A claim of the pod that a container uses.
name: The name in the pod's resourceClaims.
request: One request of the claim; all when empty.
= ResourceFieldSelector: A request or a limit of a container.
containerName: Which container; in environment variables its own by default.
resource: limits.cpu, limits.memory, limits.ephemeral-storage, and the same of requests.
divisor: The unit to count in; 1 by default.
= ResourceHealth: The health of a device.
resourceID: The device.
health: Healthy, Unhealthy or Unknown.
message: More about it.
= ResourceQuota: How much a namespace may use in all.
spec: How much it may.
status: How much it does.
= ResourceQuotaList: ResourceQuotas.
= ResourceQuotaSpec: How much a namespace may use.
hard: The bounds, by name: pods, requests.cpu, limits.memory, count/deployments.apps, ...
scopes: Which objects count: Terminating, NotTerminating, BestEffort, NotBestEffort, PriorityClass, CrossNamespacePodAffinity, ...
scopeSelector: Which objects count, with values.
= ResourceQuotaStatus: How much a namespace uses.
hard: The bounds in force.
used: What is used.
= ResourceRequirements: What a container is promised and what it must not exceed.
limits: The most it may use. Over its memory it is killed, over its cpu slowed down.
requests: What it is promised; the scheduler finds a node that has it. The limits by default.
claims: Claims to devices that it uses.
= ResourceStatus: The health of a resource.
name: The resource, or claim:NAME/REQUEST.
resources: The devices.
= SELinuxOptions: An SELinux label.
user: Its user.
role: Its role.
type: Its type.
level: Its level.
= ScaleIOPersistentVolumeSource: A volume of ScaleIO. No longer supported.
= ScaleIOVolumeSource: A volume of ScaleIO. No longer supported.
= ScopeSelector: Which objects a quota counts.
matchExpressions: Conditions that must all be met.
= ScopedResourceSelectorRequirement: A condition about one scope.
scopeName: The scope.
operator: In, NotIn, Exists or DoesNotExist.
values: What to compare with; none for Exists and DoesNotExist.
= SeccompProfile: Which system calls a container may make.
type: RuntimeDefault (the container runtime's own), Localhost (a file on the node) or Unconfined.
localhostProfile: The file, below the kubelet's seccomp directory; only for type Localhost.
= Secret: Something small that is secret, such as a password or a key.
immutable: True: the data can no longer be changed, only the whole object deleted. Never becomes false again.
data: The values in base64, by key.
stringData: Values as plain text, by key; written into data and never shown.
type: What it is for, which says what keys it must have: Opaque (the default), kubernetes.io/tls, kubernetes.io/dockerconfigjson, kubernetes.io/basic-auth, ...
= SecretEnvSource: All keys of a Secret as environment variables.
optional: Go on without it when there is no such Secret.
= SecretKeySelector: One key of a Secret in the pod's namespace.
key: Which key.
optional: Go on without it when there is no such Secret or key.
= SecretList: Secrets.
= SecretProjection: Keys of a Secret as files in a projected volume.
items: Which keys go to which files; all, under their own names, when empty. A listed key must exist unless optional is set.
optional: Do not hold the pod up when there is no such Secret or key.
= SecretReference: Names a Secret.
= SecretVolumeSource: Keys of a Secret as the files of a volume in memory, kept up to date while the pod runs.
secretName: The Secret.
items: Which keys go to which files; all, under their own names, when empty. A listed key must exist unless optional is set.
defaultMode: The files' permission bits, octal in YAML (0644) or decimal; 0644 by default.
optional: Do not hold the pod up when there is no such Secret or key.
= SecurityContext: With which rights a container runs; goes before the pod's.
capabilities: Linux capabilities to add and to drop.
privileged: True: nearly as mighty as root on the node.
seLinuxOptions: The SELinux label of its processes.
windowsOptions: Settings for Windows.
seccompProfile: Which system calls are allowed.
appArmorProfile: The AppArmor profile.
runAsUser: The user id of its processes; the pod's or the image's by default.
runAsGroup: The group id of its processes.
runAsNonRoot: True: the kubelet refuses to start it as root.
readOnlyRootFilesystem: True: its own file system cannot be written.
allowPrivilegeEscalation: False: no process may gain more rights than its parent has (no setuid programs).
procMount: Default, or Unmasked for a full /proc; that needs a user namespace.
= Service: One name and address for a set of pods, wherever they run.
spec: Which pods, which ports, and from where it can be reached.
status: What others made of it, such as a load balancer's address.
= ServiceAccount: Who a pod is when it talks to the API.
secrets: Secrets that its pods may use. Deprecated: tokens are made on demand.
imagePullSecrets: Secrets with credentials for image registries; given to its pods.
automountServiceAccountToken: Whether its pods get a token mounted; true by default.
= ServiceAccountList: ServiceAccounts.
= ServiceAccountTokenProjection: A token of the pod's ServiceAccount as a file, renewed before it expires.
audience: For whom the token is; the API server by default.
expirationSeconds: How long it is valid; 3600 by default, 600 at the least.
path: The file, relative to the volume.
= ServiceList: Services.
= ServicePort: A port of a Service, and where its traffic goes.
name: Its name, once in a Service; needed when there are several ports.
protocol: TCP (the default), UDP or SCTP.
appProtocol: What is spoken there: a known protocol's name, or DOMAIN/NAME.
port: The port at the Service's address, 1 to 65535.
targetPort: The port at the pods: a number, or the name of a container port, which may be another number in each pod. The same as port by default.
nodePort: For NodePort and LoadBalancer: the port at every node, usually 30000 to 32767. One is allocated when it is absent.
= ServiceSpec: Which pods a Service stands for, at which ports, and from where it can be reached.
ports: The ports.
selector: The labels of the pods it stands for. Without one, you write its EndpointSlices yourself.
clusterIP: Its address within the cluster; allocated when absent. None makes it headless: DNS answers with the pods' own addresses.
clusterIPs: Its addresses within the cluster, at most one of IPv4 and one of IPv6; the first is clusterIP.
type: ClusterIP (the default): within the cluster. NodePort: also at a port of every node. LoadBalancer: also at a load balancer's address. ExternalName: just another name in DNS.
externalIPs: Further addresses whose traffic is the Service's when it arrives at a node. You see to it that it does.
sessionAffinity: None (the default), or ClientIP: a client stays with the pod it met first.
loadBalancerIP: Deprecated: the address to ask the load balancer for.
loadBalancerSourceRanges: Only clients of these address ranges may use the load balancer.
externalName: For ExternalName: the name that DNS gives as an alias.
externalTrafficPolicy: For traffic from outside: Cluster (the default): to any pod, which sees a node's address. Local: to pods of the node it came to, which see the client's.
healthCheckNodePort: For LoadBalancer with policy Local: the port at which a node says whether it has such pods.
publishNotReadyAddresses: True: DNS and proxies count pods as ready even when they are not.
sessionAffinityConfig: How long a client stays with its pod.
ipFamilies: IPv4, IPv6 or both, in this order.
ipFamilyPolicy: SingleStack (the default), PreferDualStack or RequireDualStack.
allocateLoadBalancerNodePorts: For LoadBalancer: false if no node ports are needed; true by default.
loadBalancerClass: For LoadBalancer: who is to provide it. Cannot be changed while the type is LoadBalancer.
internalTrafficPolicy: For traffic from within: Cluster (the default) or Local: to pods of the same node alone.
trafficDistribution: PreferSameZone (PreferClose is its older name) or PreferSameNode: which pods to prefer.
= ServiceStatus: What others made of a Service.
loadBalancer: Where its load balancer listens.
conditions: What is known about it.
= SessionAffinityConfig: How long a client stays with its pod.
clientIP: For ClientIP.
= SleepAction: Waits.
seconds: How long.
= StorageOSPersistentVolumeSource: A volume of StorageOS. No longer supported.
= StorageOSVolumeSource: A volume of StorageOS. No longer supported.
= Sysctl: A kernel setting.
name: Its name, as in net.ipv4.ip_unprivileged_port_start.
value: Its value.
= TCPSocketAction: Opens a TCP connection; that it opens means success.
port: A number, 1 to 65535, or the name of a container port.
host: Where to; the pod's address by default.
= Taint: Keeps pods off a node, unless they tolerate it.
key: Its key.
value: Its value.
effect: NoSchedule: no new pods. PreferNoSchedule: better not. NoExecute: those that run have to go, too.
timeAdded: When it was put on.
= Toleration: Taints that a pod puts up with.
key: The taint's key; empty, with Exists, for every one.
operator: Equal (the default), Exists, Lt or Gt.
value: The taint's value; empty for Exists.
effect: The taint's effect; empty for every one.
tolerationSeconds: For NoExecute: how long the pod stays; for ever when absent.
= TopologySelectorLabelRequirement: A condition on one label.
key: The label's key.
values: One of these values.
= TopologySelectorTerm: Where volumes may be made.
matchLabelExpressions: Conditions on nodes' labels that must all be met.
= TopologySpreadConstraint: How equal pods spread over zones or nodes.
maxSkew: By how many pods one place may have more than the place with the fewest.
topologyKey: Nodes with the same value of this label are the same place.
whenUnsatisfiable: DoNotSchedule: then the pod waits. ScheduleAnyway: then it goes where the difference is least.
labelSelector: Which pods are counted.
minDomains: How many places there should be at the least; with fewer, the fewest counts as none.
nodeAffinityPolicy: Honor (the default): only nodes that the pod may go to count. Ignore: all.
nodeTaintsPolicy: Honor: only nodes whose taints the pod tolerates count. Ignore (the default): all.
matchLabelKeys: Keys whose values are taken from the pod itself: pod-template-hash, ...
= TypedLocalObjectReference: Names an object of any kind in the same namespace.
apiGroup: Its group; empty for the core group.
= TypedObjectReference: Names an object of any kind.
apiGroup: Its group; empty for the core group.
= Volume: Storage that a pod's containers can mount. Just one source beside the name.
name: Its name within the pod, a DNS label.
hostPath: A file or directory of the node.
emptyDir: A directory that begins empty and goes with the pod.
gcePersistentDisk: Deprecated: a disk of Google's cloud.
awsElasticBlockStore: Deprecated: a disk of Amazon's cloud.
gitRepo: No longer supported: clone in an init container.
secret: Keys of a Secret as files.
nfs: A directory that an NFS server exports.
iscsi: A disk on iSCSI.
glusterfs: No longer supported.
persistentVolumeClaim: A claim in the pod's namespace.
rbd: Deprecated: a Ceph block device.
flexVolume: Deprecated: a program on the node mounts it.
cinder: Deprecated: a disk of OpenStack.
cephfs: Deprecated: a Ceph file system.
flocker: No longer supported.
downwardAPI: Facts about the pod as files.
fc: A disk on Fibre Channel.
azureFile: Deprecated: a file share of Azure.
configMap: Keys of a ConfigMap as files.
vsphereVolume: Deprecated: a disk of vSphere.
quobyte: No longer supported.
azureDisk: Deprecated: a disk of Azure.
photonPersistentDisk: No longer supported.
projected: Several sources in one directory.
portworxVolume: Deprecated: a volume of Portworx.
scaleIO: No longer supported.
storageos: No longer supported.
csi: A volume that a CSI driver makes for this pod.
ephemeral: A claim that is made for this pod and goes with it.
image: The content of an image, read-only.
= VolumeDevice: A claim as a block device.
name: The pod's volume.
devicePath: Where the container sees it.
= VolumeMount: Where a container sees a volume.
name: The pod's volume.
readOnly: True: it cannot be written.
recursiveReadOnly: Disabled, IfPossible or Enabled: whether readOnly holds for what is mounted below, too.
mountPath: Where in the container.
subPath: Only this file or directory of the volume.
mountPropagation: None (the default), HostToContainer or Bidirectional: whether mounts made later are seen by the other side.
subPathExpr: As subPath; $(NAME) stands for an environment variable.
= VolumeMountStatus: How a volume is mounted.
name: The pod's volume.
mountPath: Where in the container.
recursiveReadOnly: Disabled or Enabled.
volumeStatus: More about the volume.
= VolumeNodeAffinity: The nodes that can reach a volume.
required: Conditions on the node.
= VolumeProjection: One source of a projected volume; just one member.
secret: Keys of a Secret.
downwardAPI: Facts about the pod.
configMap: Keys of a ConfigMap.
serviceAccountToken: A token of the pod's ServiceAccount.
clusterTrustBundle: Certificates to trust.
podCertificate: A key and a certificate made for the pod.
= VolumeResourceRequirements: How much storage.
limits: The most it may be.
requests: The least it must be, as in storage: 1Gi.
= VolumeStatus: More about a mounted volume.
image: Which image it shows.
= VsphereVirtualDiskVolumeSource: A disk of vSphere. CSI drivers took its place.
volumePath: The disk's path.
storagePolicyName: Its storage policy.
storagePolicyID: Its storage policy's id.
= WeightedPodAffinityTerm: A wish about other pods.
weight: How much it counts, 1 to 100.
podAffinityTerm: Which pods, and what "the same place" means.
= WindowsSecurityContextOptions: Settings for Windows containers.
gmsaCredentialSpecName: The name of the group managed account's specification.
gmsaCredentialSpec: That specification itself.
runAsUserName: As whom the container's entry point runs.
hostProcess: Run as a process of the host.
`;
