/** What the types and fields of rbac.authorization.k8s.io, authentication.k8s.io, authorization.k8s.io and certificates.k8s.io are for. The notation is in ./index.ts. */
export const access = `
= AggregationRule: Which ClusterRoles' rules make up this one.
clusterRoleSelectors: ClusterRoles by label; any that one of these selects.
= ClusterRole: What may be done, in the whole cluster or in whatever namespace a RoleBinding names it.
rules: What may be done.
aggregationRule: Take the rules from other ClusterRoles; a controller writes them here.
= ClusterRoleBinding: Gives a ClusterRole to users, groups and ServiceAccounts, for the whole cluster.
subjects: To whom.
roleRef: Which role. It cannot be changed.
= ClusterRoleBindingList: ClusterRoleBindings.
= ClusterRoleList: ClusterRoles.
= PolicyRule: Something that may be done. There are no rules that forbid.
verbs: get, list, watch, create, update, patch, delete, deletecollection, ...; * for all.
apiGroups: The groups of the resources; "" for the core group, * for all.
resources: The resources, with /SUBRESOURCE for subresources; * for all.
resourceNames: Only objects of these names; all when empty.
nonResourceURLs: Paths that are not resources, as in /healthz; only in ClusterRoles.
= Role: What may be done in one namespace.
rules: What may be done.
= RoleBinding: Gives a Role or a ClusterRole to users, groups and ServiceAccounts, in one namespace.
subjects: To whom.
roleRef: Which role. It cannot be changed.
= RoleBindingList: RoleBindings.
= RoleList: Roles.
= RoleRef: Names a role.
apiGroup: rbac.authorization.k8s.io.
kind: Role or ClusterRole.
= Subject: Somebody to whom a role is given.
kind: User, Group or ServiceAccount.
apiGroup: rbac.authorization.k8s.io for users and groups, empty for ServiceAccounts.
namespace: A ServiceAccount's namespace.

= TokenRequest: Asks for a token of a ServiceAccount.
spec: Which.
status: The token.
= TokenRequestSpec: Which token is wanted.
audiences: For whom it is; the API server by default.
expirationSeconds: How long it should be valid; an hour by default, ten minutes at the least.
boundObjectRef: A Pod, Node or Secret without which it becomes invalid.
= TokenRequestStatus: The token that was made.
token: The token.
expirationTimestamp: Until when it is valid.
= BoundObjectReference: Names the object that a token depends on.
= TokenReview: Asks whose token this is.
spec: The token.
status: Whose it is.
= TokenReviewSpec: A token.
token: The token.
audiences: For whom it should be.
= TokenReviewStatus: Whose token it is.
authenticated: Whether it is valid.
user: Who it belongs to.
audiences: For whom it is.
error: Why it could not be checked.
= UserInfo: A user.
username: The name.
uid: The uid.
groups: The groups.
extra: More, as whoever authenticated the user said it.
= SelfSubjectReview: Asks who I am.
status: Who.
= SelfSubjectReviewStatus: Who asked.
userInfo: The user.

= FieldSelectorAttributes: Objects with these field values.
rawSelector: The selector's text; not together with requirements.
requirements: Conditions that must all be met.
= LabelSelectorAttributes: Objects with these labels.
rawSelector: The selector's text; not together with requirements.
requirements: Conditions that must all be met.
= LocalSubjectAccessReview: Asks whether somebody may do something in this namespace.
spec: Who and what.
status: The answer.
= SubjectAccessReview: Asks whether somebody may do something.
spec: Who and what.
status: The answer.
= SelfSubjectAccessReview: Asks whether I may do something.
spec: What.
status: The answer.
= SelfSubjectRulesReview: Asks what I may do in a namespace.
spec: In which.
status: The answer.
= SelfSubjectRulesReviewSpec: In which namespace.
= SubjectRulesReviewStatus: What somebody may do.
resourceRules: With resources.
nonResourceRules: With paths.
incomplete: There may be more.
evaluationError: Why there may be more.
= ResourceRule: Something that may be done with resources.
verbs: What; * for all.
apiGroups: The groups of the resources.
resources: The resources.
resourceNames: Only objects of these names; all when empty.
= NonResourceRule: Something that may be done with paths.
verbs: What, as HTTP has it in lower case; * for all.
nonResourceURLs: The paths.
= SelfSubjectAccessReviewSpec: What is asked for.
resourceAttributes: Something with resources.
nonResourceAttributes: Something with a path.
= SubjectAccessReviewSpec: Who, and what is asked for.
resourceAttributes: Something with resources.
nonResourceAttributes: Something with a path.
user: The user.
groups: The user's groups.
extra: More about the user.
uid: The user's uid.
= SubjectAccessReviewStatus: Whether it is permitted.
allowed: Whether it is.
denied: Whether it is expressly forbidden.
reason: Why.
evaluationError: What went wrong on the way.
= ResourceAttributes: Something to do with a resource.
verb: What; * for all.
group: The resource's group; * for all.
version: The resource's version; * for all.
resource: The resource; * for all.
subresource: The subresource.
fieldSelector: Only objects with these field values.
labelSelector: Only objects with these labels.
= NonResourceAttributes: Something to do with a path.
path: The path.
verb: What, as HTTP has it in lower case.

= CertificateSigningRequest: Asks a signer for a certificate; somebody has to approve it.
spec: What is asked for. It cannot be changed.
status: What became of it.
= CertificateSigningRequestCondition: Approved, Denied or Failed.
= CertificateSigningRequestList: CertificateSigningRequests.
= CertificateSigningRequestSpec: Which certificate is asked for.
request: A PKCS #10 request in PEM.
signerName: Who should sign, as in kubernetes.io/kube-apiserver-client.
expirationSeconds: How long it should be valid; 600 at the least.
usages: What it is for: client auth, server auth, digital signature, ...
username: Who asked; the server writes it.
uid: The uid of who asked; the server writes it.
groups: The groups of who asked; the server writes them.
extra: More about who asked; the server writes it.
= CertificateSigningRequestStatus: What became of a request.
conditions: Whether it was approved or denied.
certificate: The certificate, in PEM.
`;
