/** What the built-in kubectl is asked beside the real one. */

/** One a line; nothing in them changes the cluster. `{pod}` is the name of a running pod. */
export const invocations: readonly string[] = `
get pods
get pods -o wide
get pod {pod} -o yaml
get pod {pod} -o json
get po,svc,deploy
get all
get all -A
get deploy web -o yaml
get deployments.apps
get deployments.v1.apps web
get svc -o json
get pods -o name
get nodes
get nodes -o wide
get nodes --show-labels
get pods -L app,pod-template-hash
get pods --no-headers
get pods --sort-by=.metadata.name
get pods -A --sort-by=.metadata.name
get pods -l app=web
get pods -l app=nope
get pods -l app in (web,other)
get pods --field-selector status.phase=Running
get pods --field-selector status.phase=Failed
get ns
get ns default -o yaml
get svc/web deploy/web
get svc web outside
get endpoints web
get endpointslices
get cm settings -o yaml
get secrets
get sa
get replicasets
get pv
get pvc
get ds,sts,job,cj -A
get ingress -A
get crd
get leases -A
get priorityclasses
get clusterroles view
get nodes nope
get pods nope1 nope2
get pods nope --ignore-not-found
get pods,foo
get foo
get
get pods/x y
get pod/x/y
get pods x -A
get pods --show-kind
get pods -o bad
get pods -o jsonpath={.items[*].metadata.name}
get pods -o jsonpath={range .items[*]}{.metadata.name}{"\\t"}{.status.podIP}{"\\n"}{end}
get pods -o jsonpath={.items[?(@.status.phase=="Running")].metadata.name}
get pods -o jsonpath={.items[0].metadata.labels.app}
get pods -o jsonpath={.items[*].spec.containers[*].image}
get pods -o jsonpath={..image}
get nodes -o jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}
get svc web -o jsonpath={.spec.ports[0].nodePort}
get svc web -o jsonpath={.spec
get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP
get pods -o custom-columns=LABELS:.metadata.labels,NONE:.metadata.nope --no-headers
get pods -o custom-columns=broken
get svc -o go-template={{range .items}}{{.metadata.name}}{{"\\n"}}{{end}}
get svc web -o go-template={{.spec.type}} {{len .spec.ports}} {{index .metadata.name}}
get svc web -o template --template={{if eq .spec.type "NodePort"}}yes{{else}}no{{end}}
get --raw /version
get --raw /api/v1/namespaces/default/configmaps/settings
get --raw /nope
get pods -n nope
get pods -n kube-system
get events -o name --sort-by=.metadata.name
describe pod {pod}
describe pods -l app=web
describe pod nope
describe svc web
describe svc
describe deploy web
describe rs
describe nodes
describe cm settings
describe cm
describe secret password
describe ns default
describe sa default
describe endpoints web
describe endpointslices
describe svc/web deploy/web
describe
describe foo
logs nope
logs
rollout status deploy/web
rollout status deploy/nope
rollout history deploy/web
rollout history deploy/web --revision=1
rollout history deploy/web --revision=9
rollout history deploy/web -o name
create deployment x --image=nginx --dry-run=client -o yaml
create deployment x --image=nginx --replicas=3 --port=80 --dry-run=client -o yaml -- sleep 5
create deployment x --image=nginx --image=busybox --dry-run=client -o yaml
create cm x --from-literal=a=b --from-literal=c=d --dry-run=client -o yaml
create cm settings --from-literal=a=b
create secret generic x --from-literal=a=b --dry-run=client -o yaml
create secret docker-registry x --docker-username=u --docker-password=p --dry-run=client -o yaml
create service clusterip x --tcp=80:8080 --dry-run=client -o yaml
create service nodeport x --tcp=80:8080 --dry-run=client -o yaml
create service loadbalancer x --tcp=80 --dry-run=client -o yaml
create service externalname x --external-name=example.org --dry-run=client -o yaml
create job x --image=busybox --dry-run=client -o yaml -- echo hi
create cronjob x --image=busybox --schedule=*/5 --dry-run=client -o yaml -- echo hi
create role x --verb=get,list --resource=pods,deployments.apps --dry-run=client -o yaml
create clusterrole x --verb=get --resource=nodes --dry-run=client -o yaml
create rolebinding x --role=x --user=bob --serviceaccount=a:b --dry-run=client -o yaml
create clusterrolebinding x --clusterrole=view --group=team --dry-run=client -o yaml
create quota x --hard=cpu=1,pods=2 --dry-run=client -o yaml
create ns x --dry-run=client -o yaml
create ns x --dry-run=server
create sa x --dry-run=client -o yaml
create ingress x --rule=foo.com/bar=svc1:8080 --dry-run=client -o yaml
run x --image=nginx --dry-run=client -o yaml
run x --image=nginx --port=80 --env=A=b --labels=a=b --dry-run=client -o yaml -- a b
run x --image=nginx --restart=Never --dry-run=client -o yaml --command -- sleep 5
run x --image=nginx --dry-run=server
expose deploy web --port=90 --name=w2 --dry-run=client -o yaml
expose deploy web --port=90 --target-port=8080 --type=NodePort --name=w2 --dry-run=server
expose deploy web --name=w2 --dry-run=client -o yaml
expose pod {pod} --port=80 --name=w3 --dry-run=client -o yaml
expose svc web --name=w4 --port=81 --dry-run=client -o yaml
label deploy web x=y --dry-run=client
label deploy web app=other --dry-run=client
label pod nope a=b
label deploy web
annotate deploy web x=y --dry-run=server
set image deploy/web echo=nginx --dry-run=server
set image deploy/web nope=nginx
set env deploy/web --list
set resources deploy web --limits=cpu=200m --dry-run=server
patch deploy web -p {"spec":{"replicas":2}}
patch deploy web -p {"spec":{"replicas":3}} --dry-run=server
patch deploy web --type=json -p [{"op":"remove","path":"/metadata/nope"}]
patch deploy web --type=bad -p {}
scale deploy web --replicas=2
scale deploy web --replicas=3 --current-replicas=7
delete pod nope
delete pods
delete pods --all --dry-run=client
delete deploy web --dry-run=server
delete
api-resources
api-resources -o name
api-resources -o wide
api-resources --namespaced=false
api-resources --api-group=apps
api-versions
cluster-info
config get-contexts
config get-contexts -o name
config get-contexts nope
config current-context
config view
config view --minify
config get-clusters
config get-users
auth can-i get pods
auth can-i list nodes
auth can-i list pods --as bob
auth can-i delete pods --as system:serviceaccount:default:default
auth whoami
auth whoami --as bob --as-group team
wait --for=condition=Ready pod -l app=web
wait --for=condition=Available deploy/web
wait --for=condition=Nope pod -l app=web --timeout=1s
wait --for=delete pod/nope
wait --for=jsonpath={.status.phase}=Running pod -l app=web
wait --for=condition=Ready pod nope
uncordon worker-1
cordon worker-1 --dry-run=client
taint node worker-1 nope-
exec deploy/web -- sh -c echo out; echo err >&2; exit 3
exec {pod} -- hostname
exec nope -- hostname
exec {pod}
get pods --context nope
get pods --as nobody
get pods -q
get pods --watch=x
getpods
config nope
rollout nope
create nope
set nope x
replace --raw /x
top pods -A --sort-by=bad
top pod nope
top pods -l app=nope
certificate approve
certificate approve nope
certificate deny nope
explain pods
explain pods.spec
explain pods.spec.containers.ports
explain deploy.spec.strategy
explain pods --recursive
explain deploy --recursive --output plaintext-openapiv2
explain pods.spec.containers.env --output plaintext-openapiv2
explain pods.spec.nope
explain pods.spec.nope --output plaintext-openapiv2
explain deploy --api-version=apps/v2
explain pods --output bad
explain foo
explain
explain svc.spec.type
explain cm.data
explain events --api-version=events.k8s.io/v1
explain crd.spec.versions.schema.openAPIV3Schema
explain hpa
explain ing.spec --recursive
explain pods.spec.nodeName.x
diff
diff -f /nope
cp a
cp a b
cp a:b c:d
cp x/y/z:a b
cp :a b
cp {pod}: b
cp /nope {pod}:/x
cp nope:/a b
port-forward
port-forward {pod}
port-forward svc/web 81
port-forward svc/nope 80
port-forward {pod} nope
port-forward {pod} 18080:8080 --address 1.2.3.4
port-forward svc/outside 80
debug
debug nope --image=busybox
debug {pod} --image=x --profile=bad
debug {pod} --image=x --set-image=a=b
debug {pod} --copy-to=c2
debug {pod} --image=x -t
debug cm/settings --image=y
debug node/nope --image=y
proxy --port=abc
plugin list
completion
completion foo
auth nope
auth can-i get pods/log
auth can-i create deployments.apps -n kube-system
auth can-i get pods -q --as bob
auth whoami -o json --as bob
apply
apply -k /nope
apply -f x -k y
apply view-last-applied deploy web -o json
apply --force-conflicts -f x
create -f /nope
create
create cm x --from-literal=a
create cm x --from-file=/nope
create service nodeport x
create job x --from=cronjob/nope
create role x --verb=get
create rolebinding x
create quota x --hard=cpu=1 --scopes=BestEffort --dry-run=client -o yaml
create clusterrole x --verb=get --non-resource-url=/logs --dry-run=client -o yaml
create ns x --dry-run=bad
run x --image=nginx --dry-run=client
run x --image=nginx --annotations=a=b --dry-run=client -o yaml
run x --image=nginx -i -t --restart=OnFailure --dry-run=client -o yaml --attach=false
run x --image=nginx --privileged --image-pull-policy=Never --dry-run=client -o yaml
run x --image=nginx --restart=Sometimes --dry-run=client -o yaml
expose deploy nope --port=80
expose deploy web
expose deploy web --port=80 --type=LoadBalancer --name=w5 --dry-run=client -o yaml
expose deploy web --port=80 --protocol=UDP --session-affinity=ClientIP --name=w6 --dry-run=client -o yaml
label
label deploy web app=other
label deploy web app- --dry-run=client
label deploy web --list
annotate deploy web
annotate deploy web x-
patch
patch deploy web
patch deploy web -p {"spec":{"replicas":"x"}}
patch deploy web -p {
scale deploy web --replicas=-1
scale deploy web --replicas=x
set image deploy/web
set image deploy/nope a=b
set env deploy/nope A=b
set resources deploy web
set selector svc web a=b --dry-run=client -o yaml
set subject clusterrolebinding cluster-admin --user=bob --dry-run=client -o yaml
rollout status
rollout status deploy/web --revision=9
rollout history
rollout history deploy/nope
rollout undo deploy/web
rollout undo deploy/web --to-revision=9
rollout pause deploy/nope
rollout resume deploy/web
rollout restart svc/web
rollout restart deploy/nope
logs {pod}
logs {pod} --tail=1
logs {pod} -c nope
logs deploy/web --tail=1
logs -l app=web --prefix --tail=1
logs -l app=nope
logs {pod} -p
exec {pod} ls
exec {pod} -c nope -- ls
exec {pod} -- sh -c exit 7
attach
attach {pod} -c nope
describe pod -l app=nope
describe sa
describe secrets
describe jobs
describe quota
get pods --all-namespaces --no-headers -l app=nope
get pods {pod} -o custom-columns=N:.metadata.name,C:.spec.containers[*].name
get deploy web -o jsonpath={.metadata.annotations.kubernetes\\\\.io/change-cause}
get deploy web --subresource=status -o name
get svc -o wide
get rs -o wide
get cm -o name
get sa default -o yaml
get secret password -o go-template={{.data.password|base64decode}}
get nodes -o jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR}{"\\n"}{end}
get pods -o go-template={{len .items}}
get pods -o go-template={{.nope.x}}
get pods --chunk-size=1
get pods -o wide --no-headers
get pods web -n default -n kube-system
get componentstatuses
get all -l app=nope
get pods --sort-by={.metadata.creationTimestamp}
get -f /nope
get cm,nope
events --for pod/nope
events --types=Bad
wait
wait pod
wait pod nope
wait --for=foo pod/{pod}
wait --for=jsonpath={.status.phase} pod/{pod} --timeout=1s
wait --for=create pod/{pod}
wait --for=condition=Ready=false pod/{pod} --timeout=1s
wait --for=delete pod -l app=nope
delete pod,svc
delete -f /nope
delete cm settings --dry-run=client -o name
delete pods --all -l app=x
drain nope
cordon nope
cordon
taint node worker-1
taint node worker-1 a=b:Bad
api-resources -o bad
api-resources --verbs=list,create --namespaced -o name
api-resources --sort-by=kind --no-headers
api-versions
config use-context nope
config delete-context nope
config delete-cluster nope
config delete-user nope
config rename-context a b
config get-contexts --no-headers
config get-clusters extra
replace
create ingress x --rule=foo.com/bar=svc1:8080,tls=my-cert --dry-run=client -o yaml
create ingress x --default-backend=svc:port --rule=/p=s:1 --dry-run=client -o yaml
create ingress x --default-backend=svc --dry-run=client -o yaml
create ingress x
create ingress x --rule=nope
create ingress x --rule=a/b=c:d --annotation=x
create ingress x --default-backend=svc:80 --dry-run=server
create pdb x --selector=app=a --min-available=1 --dry-run=client -o yaml
create pdb x --selector=app=a
create pdb x --min-available=1
create pdb x --selector=app=a --min-available=1 --max-unavailable=1
create pdb x --selector=app=a --min-available=x
create clusterrole x --aggregation-rule=a=b,c=d --dry-run=client -o yaml
create clusterrole x --aggregation-rule=a --dry-run=client -o yaml
create clusterrole x --aggregation-rule=a=b --verb=get --resource=pods
create clusterrole x --verb=get,list,get --resource=pods,pods --resource-name=a,a --dry-run=client -o yaml
create clusterrole x
create clusterrole x --verb=get --non-resource-url=* --dry-run=client -o yaml
create clusterrole x --verb=use --non-resource-url=/a --dry-run=client -o yaml
create clusterrole x --verb=get --resource=pods/log,deployments.apps/scale --dry-run=client -o yaml
create role x --verb=foo --resource=pods --dry-run=client -o yaml
create role x --verb=get --resource=foos --dry-run=client -o yaml
create role x --verb=get --resource=deployments.extensions --dry-run=client -o yaml
create role x --verb=get --resource=pods --resource=deploy --dry-run=client -o yaml
create role x --resource=pods
create cm x --from-literal=a=b --append-hash --dry-run=client -o yaml
create cm x --append-hash --dry-run=client -o yaml
create secret generic x --from-literal=a=b --append-hash --dry-run=client -o yaml
create secret generic x --from-literal=a=b --append-hash --type=foo --dry-run=client -o yaml
create secret generic x --dry-run=client -o yaml
create secret docker-registry x --from-file={files}/config.json --dry-run=client -o yaml
create secret docker-registry x --from-file=.dockerconfigjson={files}/config.json --dry-run=client -o yaml
create secret docker-registry x --docker-username=u --docker-password=p --append-hash --dry-run=client -o yaml
create secret docker-registry x
create secret tls x
create secret tls x --cert=/nope --key=/nope
create secret generic x --from-file=a={files}/config.json --from-env-file={files}/env --dry-run=client -o yaml
create secret generic x --from-env-file={files}/env --dry-run=client -o yaml
create cm x --from-env-file={files}/env --dry-run=client -o yaml
create cm x --from-env-file={files}/env --from-literal=a=b
create cm x --from-file={files}/dir --dry-run=client -o yaml
create cm x --from-file=k={files}/dir --dry-run=client -o yaml
create cm x --from-file=a=b=c
create cm x --from-file==b
create cm x --from-literal=a=b --from-literal=a=c
create cm x --from-literal==c
create cm x --from-literal=a="q" --dry-run=client -o yaml
create cm
create cm a b
create token default --bound-object-kind=Pod --bound-object-name=x
create token default --bound-object-kind=Foo --bound-object-name=x
create token default --bound-object-kind=Pod
create token default --bound-object-name=x
create token default --bound-object-uid=x
create token nope
create token
create token default --duration=1s
create token default --duration=-5s
create token default -o name
create priorityclass x --value=5 --dry-run=client -o yaml
create priorityclass x --value=5 --global-default --description=d --preemption-policy=Never --dry-run=client -o yaml
create priorityclass x --value=5 --preemption-policy=Nope --dry-run=client -o yaml
create priorityclass x --dry-run=client -o yaml
create quota x --dry-run=client -o yaml
create quota x --hard=cpu=1,pods=2,memory=1Gi --scopes=BestEffort,NotTerminating --dry-run=client -o yaml
create quota x --hard=cpu --dry-run=client -o yaml
create quota x --hard=cpu=zzz --dry-run=client -o yaml
create rolebinding x --clusterrole=a --role=b
create rolebinding x --clusterrole=a --user=u,v --group=g --serviceaccount=a:b --serviceaccount=c:d --dry-run=client -o yaml
create rolebinding x --clusterrole=a --serviceaccount=a
create clusterrolebinding x --clusterrole=a --user=u --user=v --dry-run=client -o yaml
create rolebinding x --role=a --dry-run=client -o yaml
create service clusterip x --clusterip=None --dry-run=client -o yaml
create service clusterip x --clusterip=1.2.3.4 --tcp=80:http --tcp=81 --dry-run=client -o yaml
create service clusterip x --clusterip=None --tcp=80 --dry-run=client -o yaml
create service clusterip x
create service nodeport x --tcp=80 --node-port=30001 --dry-run=client -o yaml
create service nodeport x --tcp=80:x:y --dry-run=client -o yaml
create service nodeport x --tcp=0 --dry-run=client -o yaml
create service nodeport x --tcp=abc --dry-run=client -o yaml
create service loadbalancer x
create service externalname x --external-name=a.b --tcp=80 --dry-run=client -o yaml
create service clusterip
create service foo
create deployment x --image=a/b:c@sha256:d --replicas=0 --dry-run=client -o yaml
create deployment x --image=a --port=99999 --dry-run=client -o yaml
create deployment x --image=a --replicas=-1 --dry-run=client -o yaml
create job x --dry-run=client -o yaml
create job x --image=a --from=cronjob/b
create job x --from=pod/y
create cronjob x --image=a --schedule=bad
create ns
create ns kube-system
create sa default
create ns x --dry-run=client -o json
create ns x --dry-run=client --save-config -o yaml
create deployment x --image=a --save-config --dry-run=client -o yaml
create cm x --from-literal=a=b --validate=nope
create cm x --from-literal=a=b --dry-run=client -n other -o yaml
create ns x --dry-run=client -o name
create ns x --dry-run=client -o jsonpath={.metadata.name}
create -f {files}/cm.yaml --edit
create -f {files}/cm.yaml --edit --dry-run=client -o yaml
edit cm settings
edit cm nope
apply foo
create service foo
run x --image=nginx --dry-run=client -o json
create deployment x --image=nginx --dry-run=client -o json
apply set-last-applied
apply edit-last-applied
apply view-last-applied
apply view-last-applied deploy web
apply view-last-applied deploy web -o name
apply set-last-applied -f {files}/cm.yaml
apply -f {files}/cm.yaml --prune
apply -f {files}/cm.yaml --prune --all -l a=b
apply -f {files}/cm.yaml --prune --all --force
apply -f {files}/cm.yaml -l a=b
`
  .split("\n")
  .filter(Boolean);

const logged = "the real one logs it, with the time and its process number";
const fieldOrder = "the real one has Go's order of the fields, ours is that of the alphabet, as in YAML";
const ownHelp = "help texts are our own words";

/** What describes the objects of kubectl-kinds.yaml. */
export const descriptions: readonly string[] = `
describe hpa kh
describe hpa kh1
describe ing ki
describe ing ki2
describe ingressclass kic
describe netpol kn
describe netpol kn2 kn3
describe pdb kp
describe pdb kp2
describe quota kq kq2
describe limits kl
describe pv kpv
describe pv kpv2
describe pv kpv3
describe pv kpv4
describe pvc kpvc
describe sc kslow
describe sc kfast
describe csidriver kcsid.io
describe volumeattachment kva
describe role kr
describe clusterrole kcr
describe clusterrole admin
describe rolebinding krb
describe clusterrolebinding kcrb
describe pc kpc
describe pc system-node-critical
describe runtimeclass krc
describe cj kcj
describe job kj
describe rc krcon
describe podtemplate kpt
describe prioritylevelconfiguration kplc
describe flowschema kfs
describe lease klease
describe secret ksec
describe secret ktok
describe sa ksa
describe cm kcm
describe validatingwebhookconfiguration kvw
describe deviceclass kdc
describe resourceclaim krcl
describe endpointslice kes
describe ep kep
describe svc klb
describe svc kheadless kext
describe sts ksts
describe ds kds
describe pod kpod
describe ns pnt-kinds
describe events
describe csinode
describe apiservice v1.apps
`
  .split("\n")
  .filter(Boolean);

/** What changes the cluster, one after the other, each kubectl in a namespace of its own. */
export const flow: readonly string[] = `
apply -f {files}/three.yaml
apply -f {files}/three.yaml
apply -f {files}/three.yaml -l part=b
apply view-last-applied cm as-a -o json
apply set-last-applied -f {files}/one.yaml
apply set-last-applied -f {files}/three.yaml -o name
apply set-last-applied -f {files}/three.yaml --dry-run=server
create -f {files}/cm.yaml --edit
create -f {files}/cm.yaml
apply set-last-applied -f {files}/cm.yaml
apply set-last-applied --create-annotation -f {files}/cm.yaml
apply view-last-applied cm/ed
apply edit-last-applied cm/ed svc/as-s
apply -f {files}/one.yaml --prune -l app=x --prune-allowlist=core/v1/Foo
apply -f {files}/one.yaml --prune -l app=x --prune-allowlist=core/v1
apply -f {files}/one.yaml --prune -l app=x --prune-allowlist=core/v1/Service --dry-run=client
apply -f {files}/one.yaml --prune -l app=x --prune-allowlist=core/v1/Service
apply -f {files}/one.yaml --prune -l app=x --prune-allowlist=core/v1/ConfigMap
delete -f {files}/three.yaml --ignore-not-found
apply -f {files}/three.yaml --applyset=set
apply -f {files}/three.yaml --applyset=set --prune --all
apply -f {files}/three.yaml --applyset=pods/set --prune
apply -f {files}/three.yaml --applyset=foos/set --prune
apply -f {files}/three.yaml --applyset=set --prune
get secret set -o jsonpath={.metadata.annotations.applyset\\.kubernetes\\.io/contains-group-kinds}
apply -f {files}/one.yaml --applyset=set --prune --server-side --force-conflicts
get secret set -o jsonpath={.metadata.annotations.applyset\\.kubernetes\\.io/contains-group-kinds}
get cm,svc -l app=x -o name
apply -f {files}/one.yaml --applyset=configmaps/as-a --prune
`
  .split("\n")
  .filter(Boolean);

/** Where only the exit code is the same, and why. */
export const acceptedDifferences: readonly { line: string; why: string }[] = [
  {
    line: "create svc nodeport x --tcp=80 --save-config --dry-run=client -o yaml",
    why: "the real one takes --save-config for Services and then forgets it",
  },
  { line: "kustomize /nope", why: logged },
  { line: "create deployment x", why: logged },
  { line: "run x", why: logged },
  { line: "scale deploy web", why: logged },
  { line: "autoscale deploy web", why: logged },
  { line: "config view -o json", why: fieldOrder },
  { line: "create secret", why: ownHelp },
  { line: "create service", why: ownHelp },
  { line: "--help", why: ownHelp },
  { line: "get --help", why: ownHelp },
  { line: "get pods --sort-by=.nope", why: "the real one then says that there are no pods" },
];
