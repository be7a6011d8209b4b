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
expose deploy web --port=80 --name=x --overrides={"spec":{"type":"NodePort"}} --dry-run=client -o yaml
expose deploy web --port=80 --name=x --overrides={"spec":{"type":"NodePort"}} --override-type=strategic --dry-run=client -o yaml
expose deploy web --port=80 --name=x --overrides=[{"op":"add","path":"/metadata/labels/x","value":"y"}] --override-type=json --dry-run=client -o yaml
expose deploy web --port=80 --name=x --overrides={} --override-type=bad --dry-run=client
expose deploy web --port=80 --name=x --overrides=nope --dry-run=client
run x --image=nginx --overrides={"spec":{"containers":[{"name":"x","env":[{"name":"a","value":"b"}]}]}} --override-type=strategic --dry-run=client -o yaml
run x --image=nginx --overrides={"apiVersion":"v1","spec":{"hostNetwork":true}} --dry-run=client -o yaml
run x --image=nginx --overrides=[{"op":"add","path":"/metadata/labels/x","value":"y"}] --override-type=json --dry-run=client -o yaml
run x --image=nginx --overrides=nope --dry-run=client
run x --image=nginx --override-type=bad --overrides={} --dry-run=client
run x --image=nginx --rm
run x --image=nginx --grace-period=3 --wait --timeout=3s --force --cascade=orphan --dry-run=client
run x --image=nginx -i --dry-run=client
run x --image=nginx --port=abc --dry-run=client
run x --image=nginx --expose --dry-run=client
run x --image=Bad_Image --dry-run=client
run x --image=nginx --image-pull-policy=Sometimes --dry-run=client
taint node worker-1 a=b:NoSchedule --validate=true --dry-run=client
taint node worker-1 a=b:NoSchedule --validate=bad --dry-run=client
taint nodes --all a:NoSchedule-
taint pods x a:NoSchedule
taint node worker-1 a=b:NoSchedule a=c:NoSchedule --dry-run=client
taint node worker-1 a=b:NoSchedule a:NoSchedule- --dry-run=client
taint node worker-1 a=b:NoSchedule --dry-run=server -o name
wait pod/x --for=condition=Ready --local
wait --for=condition=Available deploy/web -o go-template --template={{.metadata.name}}
wait --for=condition=Available deploy/web -o jsonpath={.metadata.name}
wait --for=condition=Available deploy/web -o name
wait --for=condition=Available deploy/web -o bad
wait --for=jsonpath={.status.replicas}=2 deploy/web
wait --for=jsonpath={.status.replicas=1 deploy/web
wait --for=jsonpath={.status.replicas}= deploy/web
wait --for=condition=A deploy/web --timeout=0
wait --for=condition=A deploy --all --timeout=0
kustomize {files}/kz
kustomize {files}/kz --enable-helm --helm-command=nope --helm-debug --helm-api-versions=x --helm-kube-version=1
kustomize {files}/kz --network --network-name=x --mount=a --enable-alpha-plugins --as-current-user --env=a=b -e c=d
diff -f {files}/settings.yaml --prune -l a=b --prune-allowlist=core/v1/ConfigMap
diff -f {files}/settings.yaml --force-conflicts
auth whoami -o name
auth whoami -o jsonpath={.status.userInfo.username}
auth whoami -o bad
autoscale deploy web --max=3 --save-config --dry-run=client -o yaml
autoscale deploy web --max=3 --min=1 --cpu-percent=50 --dry-run=client -o yaml
autoscale deploy web --min=5 --max=3
autoscale deploy web --max=0
config view -o jsonpath={.current-context}
config view -o json
config view -o json --minify
config view -o go-template={{.kind}}
config view -o name
config view -o bad
config view x
config view --flatten
config view --merge=false
config view --minify --context=nope
config get-contexts -o json
set env deploy/web --list --resolve
set env deploy/web LEVEL=a --overwrite=false
set env deploy/web --from=cm/settings --keys=long --dry-run=client -o jsonpath={..env}
set env deploy/web --from=secret/password --prefix=X_ --dry-run=client -o jsonpath={..env}
set env deploy/web --from=cm/settings --keys=zz --dry-run=client -o name
set env deploy/web --from=cm/nope
set env deploy/web --from=deploy/web
set env deploy/web --keys=a
set env deploy/web A=1 --list -o yaml
set env deploy/web A=1 --local --dry-run=server
set env deploy/web A=1 A=2 --dry-run=client -o jsonpath={..env}
set env deploy/web LEVEL- --dry-run=client -o jsonpath={..env}
set env deploy/web -e LEVEL=7 --dry-run=server -o jsonpath={..env}
set env deploy/web
set env
set env A=1 deploy/web
set env svc/web A=1
set env deploy/web 1A=b
set env deploy/web A=b A-
set env deploy/web Z-
set env deploy/web -c nope A=3
set env -f {files}/pod.yaml A=1 --local -o yaml
set env -f {files}/pod.yaml --local --list
set env -f {files}/pod.yaml --local --from=cm/settings
set selector svc web a=b --dry-run=client -o yaml
set selector svc web a=b --resource-version=1
set selector svc web
set selector svc web a
set selector svc/web a=b --local
set selector svc/web a=b c
set selector -f {files}/pod.yaml a=b --local -o yaml
set image deploy/web echo=x --local
set image -f {files}/pod.yaml a=z --local -o yaml
set image -f {files}/pod.yaml a=z --local
set image -f {files}/pod.yaml a=x --local -o yaml
set image deploy/web nope=x echo=y --dry-run=client
set image deploy web *=nginx:1 --dry-run=client -o name
set image deploy --all *=x:1 --dry-run=client
set image deploy -l app=nope a=b
set image svc/web a=b
set image nope a=b
set image
set sa deploy/web
set sa svc/web a
set sa -f {files}/pod.yaml bob --local -o yaml
set resources deploy/web -c nope --limits=cpu=1
set resources -f {files}/pod.yaml --limits=cpu=1 --local -o yaml
set resources svc/web --limits=cpu=1
set resources deploy/web --limits=cpu=q
set subject -f {files}/pod.yaml --user=x --local
set subject clusterrolebinding/cluster-admin --serviceaccount=x
set subject clusterrolebinding/cluster-admin --group=system:masters
set subject clusterrolebinding/cluster-admin
set subject deploy/web --user=a
patch -f {files}/pod.yaml --local -p {"spec":{"containers":[{"name":"a","image":"y"}]}} -o yaml
patch -f {files}/pod.yaml --local -p {"spec":{"containers":[{"name":"a","image":"y"}]}}
patch pod x --local -p {}
patch deploy web --dry-run=client -p {"spec":{"replicas":3}} -o jsonpath={.spec.replicas}
patch deploy web --dry-run=client -p {"spec":{"replicas":2}}
label -f {files}/pod.yaml a=b --local -o yaml
annotate -f {files}/pod.yaml a=b --local
create -f {files}/cm.yaml -o wide
label deploy web a=b -o wide
scale deploy web --replicas=2 -o wide
events -o wide
events --chunk-size=1 -o jsonpath={.items[*].kind}
get pods --chunk-size=1 -A
get pods --chunk-size=0 -A -o name
get configmaps -A --chunk-size=2 -o name
get ns default -v=6
get ns default -v=7
get ns default --vmodule=x=1 --log-flush-frequency=1s
get ns default --username=a --password=b
get pods --as=nobody
get pods --as=nobody --as-group=system:masters
get pods --as-uid=5
get ns default --tls-server-name=kubernetes.default
get ns default --tls-server-name=wrong.example
get ns default --proxy-url=x
get -f http://127.0.0.1:{port}/cm.yaml
get ns default -o jsonpath-as-json={.metadata}
get ns default kube-system -o jsonpath-as-json={.items[*].metadata.name}
get ns default kube-system -o jsonpath-as-json={range .items[*]}{.metadata.name}{end}
get ns default -o jsonpath-as-json={.nope}
get ns default -o jsonpath-as-json=a{.metadata.name}
get ns default -o jsonpath-as-json={.metadata.name
get -f http://127.0.0.1:{port}/nope.yaml
apply -f http://127.0.0.1:{port}/settings.yaml --dry-run=server
rollout undo deploy/web --field-manager=x
rollout restart deploy/web --dry-run=client
scale deploy web --replicas=2 --field-manager=x
describe pods --field-selector=a=b
get ns default --kuberc {files}/krc/own
get ns default --kuberc {files}/krc/first
get ns default --kuberc {files}/krc/mixed
get ns default --kuberc {files}/krc/flag
get ns default --kuberc {files}/krc/value
get ns default --kuberc {files}/krc/command
get ns default --kuberc {files}/krc/alias
get ns default --kuberc {files}/krc/name
get ns default --kuberc {files}/krc/twice
get ns default --kuberc {files}/krc/unknown
get ns default --kuberc {files}/krc/deny
get ns default --kuberc {files}/krc/policy
get ns default --kuberc {files}/krc/empty
get ns default --kuberc {files}/krc/none
get ns default --kuberc {files}/krc/path
get ns default --kuberc {files}/krc/other
getn --kuberc {files}/krc/own
getn -o wide --kuberc {files}/krc/own
getn worker-1 --kuberc {files}/krc/own
getn --show-labels -o yaml --kuberc {files}/krc/own
runx p --kuberc {files}/krc/own
seti echo=x --kuberc {files}/krc/own
nope --kuberc {files}/krc/own
create configmap q --kuberc {files}/krc/own
create cm q --kuberc {files}/krc/own
create cm q -o name --kuberc {files}/krc/own
delete cm nosuch --kuberc {files}/krc/own
kuberc view --kuberc {files}/krc/own
kuberc view -o json --kuberc {files}/krc/own
kuberc view -o kyaml --kuberc {files}/krc/own
kuberc view -o name --kuberc {files}/krc/own
kuberc view -o wide --kuberc {files}/krc/own
kuberc view x --kuberc {files}/krc/own
kuberc set --section defaults --command get --option x --kuberc {files}/krc/own
kuberc set --section defaults --command get --option x=y --kuberc {files}/krc/own
kuberc set --section aliases --command get --name getn --kuberc {files}/krc/own
runx p --kuberc {files}/krc/own -- b
g --kuberc {files}/krc/first
getn --kuberc {files}/krc/mixed
x --kuberc {files}/krc/alias
--kuberc {files}/krc/own getn
-n x nope
kuberc view --kuberc {files}/krc/first
kuberc view --kuberc {files}/krc/mixed
kuberc view --kuberc {files}/krc/deny
kuberc nope
kuberc set
kuberc set --section=x
kuberc set --section=defaults
kuberc set --section=aliases --command get
kuberc set --section=aliases --name x
kuberc set --section defaults --command get --prependarg x
kuberc set --section defaults --command get --name x
kuberc set --section credentialplugin
kuberc set --section credentialplugin --policy Bad
kuberc set --section credentialplugin --policy DenyAll --allowlist-entry command=a
kuberc set --section credentialplugin --policy Allowlist
kuberc set --section credentialplugin --policy Allowlist --allowlist-entry foo=a
kuberc set --section credentialplugin --policy Allowlist --allowlist-entry foo
create -f {files}/bad.yaml --dry-run=server
delete -f {files}/bad.yaml --dry-run=server
apply -f {files}/bad.yaml --dry-run=server
replace -f {files}/bad.yaml --dry-run=server
create -f {files}/conf.yaml --dry-run=server
delete -f {files}/conf.yaml --dry-run=server
apply -f {files}/conf.yaml --dry-run=server
replace -f {files}/conf.yaml --dry-run=server
create -f {files}/immut.yaml --dry-run=server
delete -f {files}/immut.yaml --dry-run=server
apply -f {files}/immut.yaml --dry-run=server
replace -f {files}/immut.yaml --dry-run=server
create -f {files}/noname.yaml --dry-run=server
delete -f {files}/noname.yaml --dry-run=server
apply -f {files}/noname.yaml --dry-run=server
replace -f {files}/noname.yaml --dry-run=server
create -f {files}/list.yaml --dry-run=server
delete -f {files}/list.yaml --dry-run=server
apply -f {files}/list.yaml --dry-run=server
replace -f {files}/list.yaml --dry-run=server
apply -f {files}/bad.yaml --dry-run=server --server-side
apply -f {files}/conf.yaml --dry-run=server --server-side
apply -f {files}/immut.yaml --dry-run=server --server-side
apply -f {files}/noname.yaml --dry-run=server --server-side
get pods -o kyaml
get svc web -o kyaml
api-resources -o json
api-resources -o yaml
api-resources -o kyaml
autoscale deploy web --max=3 --cpu=70% --memory=500Mi --dry-run=client -o yaml
autoscale deploy web --max=3 --cpu=1.5 --memory=0 --dry-run=client -o yaml
autoscale deploy web --max=3 --cpu=abc
autoscale deploy web --max=3 --cpu=-1%
autoscale svc web --max=3
auth whoami --as=a --as-user-extra=x=y --as-user-extra=x=z,q
get ns --as-user-extra=x=y
get ns --show-labels -o yaml
delete cm settings -i
delete --raw /x -i
debug nope --image=x --profile=legacy
create cm x --from-literal=a=b --from-literal=yes=no --from-literal=1.5=x --from-literal=0x1F=x --from-literal=2001-01-01=x --from-literal=a/b=x --dry-run=client -o kyaml
explain pods -R
explain pods.nope.x
get svc --sort-by=.nope
get svc,deploy --sort-by=.metadata.name
get svc,deploy --sort-by=.kind
get svc -o name --sort-by=.nope
get svc web --sort-by=.nope
get svc -o custom-columns=
get svc -o custom-columns=A:.x[
get pods -o jsonpath={.items[9].kind}
get svc web -o jsonpath={.spec.ports[a].port}
get svc web -o jsonpath={end}
get svc web -o jsonpath={spec.type}
get svc web -o jsonpath={*}
get svc web -o jsonpath={.spec.nope} --allow-missing-template-keys=false
get nodes -o jsonpath={range.items[*]}{.metadata.name}{end}
get svc web -o go-template={{len .spec.nope}}
get svc web -o go-template={{nope}}
get svc web -o go-template={{range .spec.ports}}{{.port}}{{else}}none{{end}}
get svc web -o go-template={{define "x"}}X{{.kind}}{{end}}{{template "x" .}}
get svc web -o go-template={{.kind.x}}
get svc web -o go-template={{eq .kind 1}}
get svc web --template={{.kind}}
get secret password -o go-template={{.data.password|base64decode}}
get pods -l a..b=c
get pods --field-selector spec.nope=x
get pods.v1
get DEPLOY
get --raw /api/v1/nodes -o yaml
get --raw nope
get pods --request-timeout=x
get deploy --subresource=scale
get deploy web --subresource=scale
get svc --server-print=false
get pods,svc --no-headers
get pod/{pod} svc/web pod/nope
get -f {files}/three.yaml
get -f {files}/noname.yaml
label -f {files}/bad.yaml a=b
patch -f {files}/noname.yaml -p {}
expose -f {files}/bad.yaml --port=80
autoscale -f {files}/cm.yaml --max=3
scale -f {files}/cm.yaml --replicas=2
wait -f {files}/noname.yaml --for=delete
wait deploy/web --for=jsonpath={.status.conditions[*].type}=Available --timeout=1s
wait deploy/web --for=jsonpath={.x[}=1
wait pods --for=condition=Ready
rollout history svc/web
rollout pause svc/web
rollout undo deploy/web --to-revision=-1
debug {pod} --set-image=a=b
api-resources --sort-by=nope
api-resources nope
events --types=Normal --no-headers
logs cm/settings
logs {pod} --tail=-2
logs {pod} -l app=web
drain worker-1 --pod-selector=x=y=z
taint node worker-1 a=b
taint node a=b:NoSchedule
annotate cm --list --all
annotate cm settings a=b a-
label pods a=b
label cm settings a=b=c
label cm settings a=b_
replace --timeout=1s -f {files}/one.yaml
replace --force -f {files}/one.yaml --dry-run=client
diff -f {files}/settings.yaml --nope
set selector --local -f {files}/three.yaml a=b -o name
create pdb x --selector=a=b --min-available=1 --server=http://127.0.0.1:1 --dry-run=client -o yaml
create clusterrole x --verb=get --non-resource-url=/x --server=http://127.0.0.1:1 --dry-run=client -o yaml
create job x --image=a --server=http://127.0.0.1:1 --dry-run=client
`
  .split("\n")
  .filter(Boolean);

const logged = "the real one logs it, with the time and its process number";
const random = "the real one goes through maps in any order";
const newField = "the real one is older than the server, and forgets a field that it does not know";
const ownHelp = "help texts are our own words";

/** What describes the objects of kubectl-kinds.yaml. */
export const descriptions: readonly string[] = `
describe csr pnt-kcsr
get csr pnt-kcsr -o jsonpath-as-json={.spec.usages}
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

/** What changes a kubeconfig, each beginning with one that names a cluster `c`, a user `u` and a context `x`. */
export const kubeconfigChanges: readonly string[] = `
config set-context y --cluster=a --user=b --namespace=c
config set-context x --cluster=d
config set-context --current --namespace=c
config set-context x --current
config set-context
config set-credentials v --auth-provider=gcp --auth-provider-arg=a=b --auth-provider-arg=c=d
config set-credentials v --exec-command=/bin/x --exec-api-version=client.authentication.k8s.io/v1 --exec-arg=a,b --exec-arg=c --exec-env=A=b --exec-interactive-mode=Never --exec-provide-cluster-info
config set-credentials v --exec-command=/bin/x --exec-interactive-mode=Bad
config set-credentials v --exec-command=/bin/x --exec-env=A-
config set-credentials v --exec-arg=a
config set-credentials u --token=a --username=b
config set-credentials u --username=b --password=c
config set-credentials u --auth-provider-arg=a=b
config set-credentials u --client-certificate=/nope --embed-certs
config set-credentials u --embed-certs
config set-credentials u --client-certificate=/nope
config set users.u.client-key-data Zm9v --set-raw-bytes=false
config set users.u.client-key-data foo
config set users.u.client-key-data foo --set-raw-bytes=true
config set users.u.exec.command y
config set clusters.c.server https://x
config set clusters.a.b.c.server https://x
config set clusters.c.insecure-skip-tls-verify true
config set clusters.c.insecure-skip-tls-verify maybe
config set contexts.x.namespace y
config set current-context y
config set nope y
config set preferences.colors true
config unset current-context
config unset users
config unset users.u
config unset users.nope
config unset users.u.token
config unset users.nope.token
config unset nope
config set-cluster c --server=https://x --proxy-url=http://p --tls-server-name=t
config set-cluster c --certificate-authority=/nope --insecure-skip-tls-verify
config set-cluster c --embed-certs
config set-cluster c --insecure-skip-tls-verify
config set-cluster d --disable-compression
config use-context nope
config use-context x
config rename-context a b
config rename-context x z
config rename-context x x
config delete-context x
config delete-user u
config delete-cluster c
config delete-cluster nope
config get-contexts nope
config get-users
config get-clusters
config view
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
  { line: "kustomize {files}/kz x", why: logged },
  { line: "kustomize {files}/kz --load-restrictor=bad", why: logged },
  { line: "kustomize {files}/kz -o /nope/x", why: logged },
  { line: "get ns --profile=nope", why: logged },
  { line: "get ns --match-server-version", why: "each says its own version" },
  { line: "set image deploy/web echo=x --dry-run=client -o yaml", why: newField },
  { line: "wait --for=condition=Available deploy/web -o yaml", why: newField },
  { line: "config set x", why: ownHelp },
  { line: "config set-credentials", why: ownHelp },
  { line: "config use-context", why: ownHelp },
  { line: "create secret", why: ownHelp },
  { line: "create service", why: ownHelp },
  { line: "--help", why: ownHelp },
  { line: "get --help", why: ownHelp },
  { line: "get pods -o jsonpath={.items[0].*}", why: random },
  { line: "get svc web -o jsonpath={.spec.*}", why: random },
  { line: "get svc -o name --sort-by=.spec", why: logged },
  {
    line: "get -f {files}/list.yaml",
    why: "of what is in a List the real one does not say that it comes from the server",
  },
  { line: "events -o name", why: "the real one prints nothing" },
  { line: "top", why: ownHelp },
  { line: "plugin", why: ownHelp },
  { line: "certificate nope", why: ownHelp },
];

/** What kubectl says otherwise since a version, told as it was before: so an older one can be compared with. */
export const changesSince: readonly { since: number; why: string; as: (text: string) => string }[] = [
  {
    since: 33,
    why: "delete says from where",
    as: (text) => text.replace(/^(.*"(?: force)? deleted) from \S+ namespace/gm, "$1"),
  },
  {
    since: 34,
    why: "an object that was never stored has no empty time of creation",
    as: (text) =>
      text
        .replace(/^ *creationTimestamp: null\n/gm, "")
        .replace(/^( *)metadata:\n(?!\1 )/gm, "$1metadata: {}\n")
        .replace(/,\n *"creationTimestamp": null(?=\n)/g, "")
        .replace(/\n *"creationTimestamp": null,(?=\n)/g, "")
        .replace(/,"creationTimestamp":null/g, "")
        .replace(/"creationTimestamp":null,?/g, ""),
  },
  { since: 36, why: "KYAML is a form of output", as: (text) => text.replaceAll(",kyaml", "") },
  {
    since: 36,
    why: "preferences, deprecated, are left out where empty",
    as: (text) => text.replace(/^preferences: \{\}\n/gm, "").replace(/ *"preferences": \{\},\n/g, ""),
  },
  {
    since: 36,
    why: "mistakes on the command line begin as all errors do",
    as: (text) => text.replace(/^Error: /gm, "error: "),
  },
];

/** What differs in more than words since a version: not compared with an older one. */
export const changedLines: readonly { since: number; why: string; lines: readonly string[] }[] = [
  {
    since: 36,
    why: "more than a dozen events of one moment are left in another order: the Go that it is built with takes other random numbers",
    lines: ["events --types=Normal --no-headers"],
  },
  {
    since: 34,
    why: "autoscale makes an autoscaling/v2 object, and --cpu and --memory take the place of --cpu-percent",
    lines: [
      "autoscale deploy web --max=3 --min=1 --cpu-percent=50 --dry-run=client -o yaml",
      "autoscale deploy web --max=3 --save-config --dry-run=client -o yaml",
    ],
  },
  {
    since: 36,
    why: "describe shows events of one object, not of several, names ports, and calls some fields otherwise",
    lines: [
      "describe cm",
      "describe deploy web",
      "describe endpointslices",
      "describe nodes",
      "describe pod {pod}",
      "describe pods -l app=web",
      "describe rs",
      "describe sa",
      "describe sa default",
      "describe svc",
      "describe svc/web deploy/web",
      "rollout history deploy/web --revision=1",
      "describe cj kcj",
      "describe csinode",
      "describe ds kds",
      "describe events",
      "describe flowschema kfs",
      "describe pod kpod",
      "describe sa ksa",
      "describe svc kheadless kext",
    ],
  },
  {
    since: 36,
    why: "debug's profile is general where it was legacy",
    lines: ["debug cm/settings --image=y", "debug node/nope --image=y", "debug nope --image=busybox"],
  },
  {
    since: 36,
    why: "requests are logged as names and values",
    lines: ["get ns default -v=6", "get ns default -v=7"],
  },
  {
    since: 36,
    why: "a mistake's message says more",
    lines: [
      "api-resources -o bad",
      "attach {pod} -c nope",
      "logs {pod} -c nope",
      "rollout undo deploy/web",
      "rollout undo deploy/web --to-revision=9",
      "rollout undo deploy/web --to-revision=-1",
      "get svc web -o go-template={{eq .kind 1}}",
      "wait",
      "wait pod",
      "wait pod nope",
    ],
  },
  {
    since: 36,
    why: "it takes flags and forms of output that it did not take before",
    lines: [
      "get pods -o kyaml",
      "api-resources -o json",
      "get svc web -o kyaml",
      "api-resources -o yaml",
      "api-resources -o kyaml",
      "autoscale deploy web --max=3 --cpu=70% --memory=500Mi --dry-run=client -o yaml",
      "autoscale deploy web --max=3 --cpu=-1%",
      "autoscale deploy web --max=3 --cpu=1.5 --memory=0 --dry-run=client -o yaml",
      "autoscale deploy web --max=3 --cpu=abc",
      "auth whoami --as=a --as-user-extra=x=y --as-user-extra=x=z,q",
      "get ns --as-user-extra=x=y",
      "delete cm settings -i",
      "debug nope --image=x --profile=legacy",
      "create cm x --from-literal=a=b --from-literal=yes=no --from-literal=1.5=x --from-literal=0x1F=x --from-literal=2001-01-01=x --from-literal=a/b=x --dry-run=client -o kyaml",
      "explain pods -R",
    ],
  },
];
