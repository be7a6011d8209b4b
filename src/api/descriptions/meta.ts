/** What the types and fields that all groups share are for. The notation is in ./index.ts. */
export const meta = `
= *: Fields that mean the same wherever nothing else is said.
apiVersion: The group and version of the API that the object is written in, as in apps/v1.
kind: What sort of object this is, as in Deployment.
metadata: Its name, its labels, and what else every object has.
items: The objects.
namespace: Its namespace.
name: Its name.
uid: Its uid.
type: What the condition is about.
status: True, False or Unknown.
reason: Why, in a word for programs.
message: Why, for people.
lastTransitionTime: When the status last changed.
lastUpdateTime: When the condition was last updated.
observedGeneration: The metadata.generation that the status speaks of.
optional: Go on without it when it does not exist.
readOnly: True: it cannot be written.
fsType: The file system on it, as in ext4; ext4 by default.
partition: The partition to mount; the whole disk when absent.
secretRef: The Secret with the credentials.
path: The path to mount.
targetPortal: The portal's address and port.
iqn: The target's name.
lun: The unit's number at the target.
iscsiInterface: The initiator's interface; default by default.
portals: Further portals of the same target.
chapAuthDiscovery: Authenticate by CHAP at discovery.
chapAuthSession: Authenticate by CHAP at the session.
initiatorName: The initiator's name.
gateway: The gateway's address.
system: The storage system's name.
sslEnabled: Speak TLS with the gateway.
protectionDomain: The protection domain.
storagePool: The storage pool.
storageMode: ThickProvisioned or ThinProvisioned.
volumeName: The volume's name.
volumeNamespace: The volume's namespace.
conditions: What is known about it.

= APIGroup: A group of the API and its versions.
versions: The versions served.
preferredVersion: The version to use when nothing speaks for another.
serverAddressByClientCIDRs: Which address to use from where.
= APIGroupList: The groups of the API.
groups: The groups.
= APIResource: A resource of the API.
name: Its plural name, with /SUBRESOURCE for subresources.
singularName: Its singular name.
namespaced: Whether its objects live in namespaces.
group: Its group, where that is not the list's.
version: Its version, where that is not the list's.
kind: Its objects' kind.
verbs: What can be done: get, list, watch, create, update, patch, delete, deletecollection.
shortNames: Short names for kubectl.
categories: Categories it belongs to, such as all.
storageVersionHash: Changes when it is stored in another version.
= APIResourceList: The resources of a group and version.
groupVersion: The group and version.
resources: The resources.
= APIVersions: The versions of the core group.
versions: The versions.
serverAddressByClientCIDRs: Which address to use from where.
= Condition: A finding about an object.
= DeleteOptions: How to delete.
gracePeriodSeconds: How long the object has to end; 0 for at once. Its kind's default when absent.
preconditions: What must hold; otherwise the answer is 409 Conflict.
orphanDependents: Deprecated: use propagationPolicy.
propagationPolicy: What becomes of the objects it owns. Orphan: they stay. Background: they are deleted after it. Foreground: before it.
dryRun: All: go through every stage, but store nothing.
ignoreStoreReadErrorWithClusterBreakingPotential: Delete the object even though the store cannot read it, without finalizers.
= FieldSelectorRequirement: A condition on a field.
key: The field.
operator: In, NotIn, Exists or DoesNotExist.
values: What to compare with; none for Exists and DoesNotExist.
= GroupVersionForDiscovery: A version of a group.
groupVersion: The group and version, as in apps/v1.
version: The version alone.
= GroupResource: Names a resource.
group: Its group.
resource: The resource.
= GroupVersionKind: Names a kind.
group: Its group.
version: Its version.
= GroupVersionResource: Names a resource in a version.
group: Its group.
version: Its version.
resource: The resource.
= LabelSelector: Objects with certain labels. An empty one means all objects, an absent one none.
matchLabels: Labels that must have just these values.
matchExpressions: Conditions that must all be met.
= LabelSelectorRequirement: A condition on a label.
key: The label's key.
operator: In, NotIn, Exists or DoesNotExist.
values: What to compare with; none for Exists and DoesNotExist.
= ListMeta: What every list has.
selfLink: No longer in use.
resourceVersion: The state of the store that the list shows; where a watch may begin.
continue: There is more: ask again with this.
remainingItemCount: About how many more there are.
shardInfo: Which part of the whole this is.
= ManagedFieldsEntry: Which fields somebody has set.
manager: Who.
operation: Apply or Update.
apiVersion: In which version the fields are named.
time: When last.
fieldsType: FieldsV1.
fieldsV1: The fields, as nested keys.
subresource: Through which subresource.
= ObjectMeta: What every object has.
name: Its name, once for its kind in its namespace. It cannot be changed.
generateName: Without a name: the beginning of one; the server adds five characters.
namespace: The room its name is in; empty for objects of the whole cluster. It cannot be changed.
selfLink: No longer in use.
uid: Tells it from others that had its name before or will later. The server gives it.
resourceVersion: Changes with every change. Give it back with an update, and the update fails if somebody was faster.
generation: Counts the changes of what is wished for.
creationTimestamp: CreationTimestamp is a timestamp: when the server made the object.
deletionTimestamp: When it is to be gone, after somebody deleted it; it goes when nobody holds it any longer.
deletionGracePeriodSeconds: How long it was given to end.
labels: Keys and values by which it is found and selected.
annotations: Keys and values for tools and people; nothing is selected by them.
ownerReferences: Objects that it belongs to. When all of them are gone, it is deleted too.
finalizers: While there are any, it stays after its deletion, until whoever put them has done his work.
managedFields: Who has set which fields; kept for server-side apply.
= OwnerReference: Names an object's owner, in the same namespace or of the whole cluster.
apiVersion: The owner's group and version.
kind: The owner's kind.
name: The owner's name.
uid: The owner's uid.
controller: Whether this owner manages the object; only one may.
blockOwnerDeletion: With foreground deletion the owner waits until the object is gone.
= PartialObjectMetadata: What every object has, without the rest.
= PartialObjectMetadataList: What every object has, of several objects.
= Preconditions: What must hold before something is done.
uid: The object's uid.
resourceVersion: The object's resource version.
= ServerAddressByClientCIDR: An address for clients from somewhere.
clientCIDR: The clients' addresses.
serverAddress: The server's address.
= ShardInfo: Which part of the whole a list shows.
selector: How the part is chosen.
= Status: How a request ended.
status: Success or Failure.
message: What happened, for people.
reason: What happened, in a word: NotFound, AlreadyExists, Conflict, Invalid, Forbidden, ...
details: What it is about.
code: HTTP's code.
= StatusCause: One of the reasons for a failure.
reason: In a word: FieldValueRequired, FieldValueInvalid, ...
message: For people.
field: The field that is to blame, as in spec.containers[0].name.
= StatusDetails: What a request's outcome is about.
group: The group of the resource.
kind: The resource.
causes: The reasons, when there are several.
retryAfterSeconds: When to try again.
= Table: Objects as rows of a table, for people to read.
columnDefinitions: The columns.
rows: The rows.
= TableColumnDefinition: A column.
name: Its heading.
type: string, integer, number, boolean, date, ...
format: More about the type; name marks the column of names.
description: What it shows.
priority: 0 for columns that are always shown, more for those of kubectl get -o wide.
= TableRow: A row.
cells: Its cells, in the columns' order.
object: The object that it shows: the whole of it, its metadata, or nothing.
= TableRowCondition: A finding about a row: Completed.
= WatchEvent: A change that a watch reports.
type: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
object: The object after the change; before it for DELETED; a Status for ERROR.
= MicroTime: A time to the microsecond, as in 2026-01-31T23:59:59.123456Z.
= Time: A time to the second, as in 2026-01-31T23:59:59Z.
= Quantity: An amount: a number with a suffix, as in 500m (a half), 2, 128Mi, 1G.
= IntOrString: A whole number, or text such as a percentage or a port's name.
= RawExtension: Any object.
= FieldsV1: Fields, as nested keys: f:NAME for a field, k:{...} for an item by its key, v:VALUE for an item by its value.
= Patch: What to change.
= Info: The server's version.
major: The major version.
minor: The minor version.
gitVersion: The whole version, as in v1.36.0.
gitCommit: What it was built from.
gitTreeState: clean or dirty.
buildDate: When it was built.
goVersion: The Go version, of servers written in Go.
compiler: The compiler.
platform: The system and processor.
emulationMajor: The major version that it behaves like.
emulationMinor: The minor version that it behaves like.
minCompatibilityMajor: The oldest major version that it works with.
minCompatibilityMinor: The oldest minor version that it works with.
`;
