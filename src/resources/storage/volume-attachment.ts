/** VolumeAttachments: which volume is attached to which node, and VolumeAttributesClasses: what a volume can be asked to be. */
import type { VolumeAttachment, VolumeAttributesClass, VolumeError } from "../../api/storage/v1.ts";
import {
  type FieldError,
  FieldPath,
  forbidden,
  invalid,
  required,
  spec as specPath,
  status as statusPath,
  tooLong,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { validVolumeSpec } from "../core/persistent-volume.ts";
import { internalPrinter } from "../internal-printer.ts";
import { age, boolean, name, text } from "../printing/columns.ts";
import { served } from "../served.ts";
import { validCsiDriverName } from "../validation/csi-driver-name.ts";
import { immutableMessage, inRangeMessage, validDnsSubdomain } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import { validParameters } from "./parameters.ts";
import { validProvisioner } from "./storage-class.ts";

const root = FieldPath.root;
const maximumMessage = 1024;
const maximumMetadata = 256 * 1024;
const printAttachment = internalPrinter({
  VolumeAttachmentSpec: "Attacher Source:VolumeAttachmentSource NodeName",
  VolumeAttachmentSource: "PersistentVolumeName* InlineVolumeSpec*",
});

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
    if (previous) {
      const changes = semanticallyEqual(spec, previous.spec)
        ? []
        : [invalid(specPath, printAttachment("VolumeAttachmentSpec", spec), immutableMessage)];
      return [...errors, ...errors, ...changes];
    }
    // Upstream looks at the names as such once more when the attachment is new.
    errors.push(...validCsiDriverName(spec.attacher, FieldPath.root.child("spec.attacher")));
    if (volume) errors.push(...validDnsSubdomain(volume, FieldPath.root.child("spec.source.persistentVolumeName")));
    return errors;
  },
  validateStatus({ status }) {
    const errors = [
      ...validAttachmentMetadata(status.attachmentMetadata, statusPath.child("attachmentMetadata")),
      ...validVolumeError(status.attachError, statusPath.child("attachError")),
      ...validVolumeError(status.detachError, statusPath.child("detachError")),
    ];
    return [...errors, ...errors];
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

function validAttachmentMetadata(metadata: Readonly<Record<string, string>> = {}, path: FieldPath): FieldError[] {
  const bytes = Object.entries(metadata).reduce((sum, [key, value]) => sum + Buffer.byteLength(key + value), 0);
  return bytes > maximumMetadata ? [tooLong(path, maximumMetadata)] : [];
}

function validVolumeError(error: VolumeError | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  // Upstream names the limit of another field.
  if (Buffer.byteLength(error?.message ?? "") > maximumMessage) {
    errors.push(tooLong(path.child("message"), maximumMetadata));
  }
  if ((error?.errorCode ?? 0) < 0) {
    errors.push(invalid(path.child("errorCode"), error?.errorCode, inRangeMessage(0, 2 ** 31 - 1)));
  }
  return errors;
}

export const volumeAttributesClasses = defineResource<VolumeAttributesClass>({
  ...served("storage.k8s.io/v1", "volumeattributesclasses"),
  returnsDeletedObject: true,
  metadataLooks: { update: ["change", "whole"] },
  validate(next, previous) {
    const errors = [
      ...validProvisioner(next.driverName, root.child("driverName")),
      ...validParameters(next.parameters, false),
    ];
    if (!previous) return errors;
    const changes = (["driverName", "parameters"] as const).flatMap((field) =>
      semanticallyEqual(next[field], previous[field])
        ? []
        : [forbidden(root.child(field), `updates to ${field} are forbidden.`)],
    );
    return [...changes, ...errors];
  },
  columns: [name, text("DriverName", ({ driverName }) => driverName), age],
});
