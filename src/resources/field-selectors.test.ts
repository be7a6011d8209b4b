import { describe, expect, it } from "vitest";
import type { KubeObject } from "../api/object.ts";
import { apiVersionOf } from "../apimachinery/group-version.ts";
import { definitions } from "./catalog.ts";

/** What each resource can be selected by beside metadata.name and metadata.namespace; the others by nothing else. */
const selectors: Readonly<Record<string, readonly string[]>> = {
  "v1/pods": [
    "spec.host",
    "spec.hostNetwork",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.nominatedNodeName",
    "status.phase",
    "status.podIP",
    "status.podIPs",
  ],
  "v1/events": [
    "involvedObject.apiVersion",
    "involvedObject.fieldPath",
    "involvedObject.kind",
    "involvedObject.name",
    "involvedObject.namespace",
    "involvedObject.resourceVersion",
    "involvedObject.uid",
    "reason",
    "reportingComponent",
    "source",
    "type",
  ],
  "events.k8s.io/v1/events": [
    "reason",
    "regarding.apiVersion",
    "regarding.fieldPath",
    "regarding.kind",
    "regarding.name",
    "regarding.namespace",
    "regarding.resourceVersion",
    "regarding.uid",
    "reportingController",
    "type",
  ],
  "v1/namespaces": ["status.phase"],
  "v1/nodes": ["spec.unschedulable"],
  "v1/replicationcontrollers": ["status.replicas"],
  "v1/secrets": ["type"],
  "v1/services": ["spec.clusterIP", "spec.type"],
  "batch/v1/jobs": ["status.successful"],
  "certificates.k8s.io/v1/certificatesigningrequests": ["spec.signerName"],
  "networking.k8s.io/v1/ipaddresses": ["spec.parentRef.name"],
  "resource.k8s.io/v1/resourceslices": ["spec.driver", "spec.nodeName"],
};

const key = (definition: (typeof definitions)[number]) => `${apiVersionOf(definition)}/${definition.plural}`;

describe("a field selector", () => {
  it.each(definitions.map((definition) => [key(definition), definition] as const))("of %s", (resource, definition) => {
    expect(Object.keys(definition.fieldSelectors ?? {}).toSorted()).toEqual(selectors[resource] ?? []);
  });

  it.each<[string, string, object, string]>([
    ["v1/pods", "spec.nodeName", { spec: { nodeName: "n1" } }, "n1"],
    ["v1/pods", "spec.nodeName", { spec: {} }, ""],
    ["v1/pods", "spec.hostNetwork", { spec: {} }, "false"],
    ["v1/pods", "status.phase", { spec: {}, status: { phase: "Running" } }, "Running"],
    ["v1/nodes", "spec.unschedulable", { spec: {} }, "false"],
    ["v1/nodes", "spec.unschedulable", { spec: { unschedulable: true } }, "true"],
    ["v1/namespaces", "status.phase", { status: { phase: "Active" } }, "Active"],
    ["v1/secrets", "type", { type: "Opaque" }, "Opaque"],
    ["v1/services", "spec.clusterIP", { spec: { clusterIP: "10.96.0.1" } }, "10.96.0.1"],
    ["v1/events", "source", { source: {}, reportingComponent: "kubelet" }, "kubelet"],
    ["v1/events", "involvedObject.kind", { involvedObject: { kind: "Pod" } }, "Pod"],
    ["events.k8s.io/v1/events", "regarding.kind", { regarding: { kind: "Pod" } }, "Pod"],
    ["batch/v1/jobs", "status.successful", { status: { succeeded: 2 } }, "2"],
    ["resource.k8s.io/v1/resourceslices", "spec.driver", { spec: { driver: "gpu.test" } }, "gpu.test"],
  ])("of %s reads %s", (resource, field, object, value) => {
    const definition = definitions.find((one) => key(one) === resource)!;
    expect(definition.fieldSelectors![field]!(object as KubeObject)).toBe(value);
  });
});
