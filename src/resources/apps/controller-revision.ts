/** ControllerRevisions: past states of what DaemonSets and StatefulSets were asked for. */
import type { ControllerRevision } from "../../api/apps/v1.ts";
import { FieldPath, required } from "../../apimachinery/field-error.ts";
import { parseApiVersion } from "../../apimachinery/group-version.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, name, none, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { nonNegative, unchanged } from "../validation/rules.ts";

const root = FieldPath.root;

export const controllerRevisions = defineResource<ControllerRevision>({
  ...served("apps/v1", "controllerrevisions"),
  metadataLooks: { update: ["change", "whole"] },
  validate: (next, previous) => [
    ...(next.data === undefined || next.data === null ? [required(root.child("data"), "data is mandatory")] : []),
    ...nonNegative(next.revision, root.child("revision")),
    ...(previous ? unchanged(next.data, previous.data, root.child("data")) : []),
  ],
  columns: [name, text("Controller", controllerText), text("Revision", ({ revision }) => revision ?? 0), age],
});

function controllerText({ metadata }: ControllerRevision): string {
  const controller = metadata.ownerReferences?.find((owner) => owner.controller);
  if (!controller) return none;
  const group = parseApiVersion(controller.apiVersion)?.group;
  const kind = controller.kind.toLowerCase();
  return `${group ? `${kind}.${group}` : kind}/${controller.name}`;
}
