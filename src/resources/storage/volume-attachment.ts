/** VolumeAttachments: which volume is attached to which node, and VolumeAttributesClasses: what a volume can be asked to be. */
import type { VolumeAttachment, VolumeAttributesClass } from "../../api/storage/v1.ts";
import { FieldPath, forbidden, required, spec as specPath } from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { age, boolean, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { unchanged, validDnsSubdomain } from "../validation/rules.ts";

const root = FieldPath.root;

export const volumeAttachments = defineResource<VolumeAttachment>({
  ...served("storage.k8s.io/v1", "volumeattachments"),
  allowUnconditionalUpdate: false,
  statusKeeps: "metadata",
  beforeCreate(attachment) {
    attachment.status = { attached: false };
  },
  beforeUpdate() {},
  validate({ spec }, previous) {
    const sourcePath = specPath.child("source");
    const errors = spec.attacher ? [] : [required(specPath.child("attacher"))];
    if (!spec.nodeName) errors.push(required(specPath.child("nodeName")));
    else errors.push(...validDnsSubdomain(spec.nodeName, specPath.child("nodeName")));
    const { persistentVolumeName, inlineVolumeSpec } = spec.source ?? {};
    if (!persistentVolumeName && !inlineVolumeSpec) {
      errors.push(required(sourcePath, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"));
    }
    if (persistentVolumeName && inlineVolumeSpec) {
      errors.push(forbidden(sourcePath, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"));
    }
    return [...errors, ...(previous ? unchanged(spec, previous.spec, specPath) : [])];
  },
  columns: [
    name,
    { ...text("Attacher", ({ spec }: VolumeAttachment) => spec.attacher), format: "name" },
    text("PV", ({ spec }) => spec.source.persistentVolumeName ?? ""),
    text("Node", ({ spec }) => spec.nodeName),
    boolean("Attached", ({ status }) => status?.attached),
    age,
  ],
});

export const volumeAttributesClasses = defineResource<VolumeAttributesClass>({
  ...served("storage.k8s.io/v1", "volumeattributesclasses"),
  validate: (next, previous) => [
    ...(next.driverName
      ? validDnsSubdomain(next.driverName.toLowerCase(), root.child("driverName"))
      : [required(root.child("driverName"))]),
    ...(Object.keys(next.parameters ?? {}).length > 0
      ? []
      : [required(root.child("parameters"), "must contain at least one key/value pair")]),
    ...(previous
      ? (["driverName", "parameters"] as const).flatMap((field) =>
          unchanged(next[field], previous[field], root.child(field)),
        )
      : []),
  ],
  columns: [name, text("DriverName", ({ driverName }) => driverName), age],
});
