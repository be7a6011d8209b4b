/** VolumeAttachments: which volume is attached to which node, and VolumeAttributesClasses: what a volume can be asked to be. */
import type { VolumeAttachment, VolumeAttributesClass } from "../../api/storage/v1.ts";
import {
  FieldPath,
  forbidden,
  required,
  spec as specPath,
  status as statusPath,
  tooLong,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { validVolumeSpec } from "../core/persistent-volume.ts";
import { age, boolean, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { unchanged, validDnsSubdomain } from "../validation/rules.ts";
import { validParameters } from "./parameters.ts";

const root = FieldPath.root;
const maximumMessage = 1024;

export const volumeAttachments = defineResource<VolumeAttachment>({
  ...served("storage.k8s.io/v1", "volumeattachments"),
  returnsDeletedObject: true,
  metadataLooks: { update: ["whole", "whole"], status: ["whole", "whole"] },
  allowUnconditionalUpdate: false,
  statusKeeps: "metadata",
  beforeCreate(attachment) {
    attachment.status = { attached: false };
  },
  beforeUpdate() {},
  validate({ spec }, previous) {
    const sourcePath = specPath.child("source");
    const errors = spec.attacher ? [] : [required(specPath.child("attacher"))];
    const { persistentVolumeName: volume, inlineVolumeSpec } = spec.source ?? {};
    const choice = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    if (volume === undefined && !inlineVolumeSpec) errors.push(required(sourcePath, choice));
    else if (volume !== undefined && inlineVolumeSpec) errors.push(forbidden(sourcePath, choice));
    else if (volume === "") {
      errors.push(required(sourcePath.child("persistentVolumeName"), "must specify non empty persistentVolumeName"));
    } else if (inlineVolumeSpec)
      errors.push(...validVolumeSpec(inlineVolumeSpec, "", sourcePath.child("inlineVolumeSpec"), true));
    errors.push(...validDnsSubdomain(spec.nodeName ?? "", specPath.child("nodeName")));
    // And at the whole once more within a change.
    if (previous) return [...errors, ...errors, ...unchanged(spec, previous.spec, specPath)];
    // Upstream looks at the names as such once more when the attachment is new.
    errors.push(...validCsiDriverName(spec.attacher, FieldPath.root.child("spec.attacher")));
    if (volume) errors.push(...validDnsSubdomain(volume, FieldPath.root.child("spec.source.persistentVolumeName")));
    return errors;
  },
  validateStatus: ({ status }) =>
    (["attachError", "detachError"] as const).flatMap((field) =>
      (status[field]?.message?.length ?? 0) > maximumMessage
        ? [tooLong(statusPath.child(field, "message"), maximumMessage)]
        : [],
    ),
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
  returnsDeletedObject: true,
  metadataLooks: { update: ["whole", "change", "whole"] },
  validate(next, previous) {
    const errors = [
      ...validCsiDriverName(next.driverName, root.child("driverName")),
      ...validParameters(next.parameters, false),
    ];
    if (!previous) return errors;
    const changes = (["driverName", "parameters"] as const).flatMap((field) =>
      unchanged(next[field], previous[field], root.child(field)),
    );
    // Upstream looks at the new class as such, at the change, and at the class once more.
    return [...errors, ...changes, ...errors];
  },
  columns: [name, text("DriverName", ({ driverName }) => driverName), age],
});
