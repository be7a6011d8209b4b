/** Volumes whose files come from several sources, and the files that pods' own fields fill. */
import type { KeyToPath, Volume, VolumeProjection } from "../../../api/core/v1.ts";
import { type FieldError, type FieldPath, forbidden, invalid, required } from "../../../apimachinery/field-error.ts";
import { signerOfBundleName, trustBundleNameProblems, validSignerName } from "../../certificates/signer-name.ts";
import { validLabelSelector } from "../../validation/label-selector.ts";
import { each } from "../../validation/rules.ts";
import { validFieldReference, validResourceReference, volumeFields } from "./field-selector.ts";
import { validFileMode, validUnreservedPath } from "./paths.ts";
import { needs } from "./volume-sources.ts";

const shortestToken = 600;
const longestToken = 2 ** 32;

export function validKeys(items: readonly KeyToPath[] | undefined, path: FieldPath): FieldError[] {
  return each(items, path, (item, at) => [
    ...needs(at, { key: item.key, path: item.path }),
    ...validUnreservedPath(item.path ?? "", at.child("path")),
    ...validFileMode(item.mode, at.child("mode")),
  ]);
}

type DownwardFile = NonNullable<NonNullable<Volume["downwardAPI"]>["items"]>[number];

export function validDownwardFile(file: DownwardFile, path: FieldPath): FieldError[] {
  const errors = needs(path, { path: file.path });
  errors.push(...validUnreservedPath(file.path ?? "", path.child("path")));
  if (file.fieldRef) {
    errors.push(...validFieldReference(file.fieldRef, volumeFields, path.child("fieldRef")));
    if (file.resourceFieldRef) {
      errors.push(invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
    }
  } else if (file.resourceFieldRef) {
    errors.push(...validResourceReference(file.resourceFieldRef, path.child("resourceFieldRef"), true));
  } else {
    errors.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  }
  return [...errors, ...validFileMode(file.mode, path.child("mode"))];
}

/** Upstream reports a path that is taken, and a token's path, on the volume rather than on the source. */
export function validProjections(
  sources: readonly VolumeProjection[] | undefined | null,
  path: FieldPath,
): FieldError[] {
  const paths = new Set<string>();
  const distinct = (value: string | undefined, shown: string) => {
    const taken = value ? paths.has(value) : false;
    if (value) paths.add(value);
    return taken ? [invalid(path, shown, "conflicting duplicate paths")] : [];
  };
  return each(sources, path.child("sources"), (source, at) => {
    const errors: FieldError[] = [];
    for (const kind of ["secret", "configMap"] as const) {
      const one = source[kind];
      if (!one) continue;
      errors.push(...needs(at.child(kind), { name: one.name }));
      for (const [index, item] of (one.items ?? []).entries()) {
        // Each file is checked before the next one's path can be taken.
        errors.push(...validKeys([item], at.child(kind, "items")).map((error) => atIndex(error, index)));
        errors.push(...distinct(item.path, one.name ?? ""));
      }
    }
    for (const item of source.downwardAPI?.items ?? []) {
      errors.push(...validDownwardFile(item, at.child("downwardAPI")), ...distinct(item.path, item.path));
    }
    const token = source.serviceAccountToken;
    if (token) errors.push(...validToken(token, at.child("serviceAccountToken"), path.child("path")));
    const bundle = source.clusterTrustBundle;
    if (bundle)
      errors.push(
        ...validTrustBundle(bundle, at.child("clusterTrustBundlePEM")),
        ...distinct(bundle.path, bundle.path),
      );
    const given = Object.values(source).filter((one) => one !== undefined && one !== null).length;
    if (given > 1) errors.push(forbidden(at, "may not specify more than 1 volume type per source"));
    return errors;
  });
}

type TrustBundleSource = NonNullable<VolumeProjection["clusterTrustBundle"]>;

/** By its name, or by the signer and labels of many. */
function validTrustBundle(source: TrustBundleSource, path: FieldPath): FieldError[] {
  const { name, signerName, labelSelector, optional, path: file } = source;
  const namePath = path.child("name");
  const errors: FieldError[] = [];
  if (name !== undefined && signerName !== undefined) {
    errors.push(
      invalid(
        path,
        {
          Name: name,
          SignerName: signerName,
          LabelSelector: labelSelector ?? null,
          Optional: optional ?? null,
          Path: file,
        },
        "only one of name and signerName may be used",
      ),
    );
  } else if (name !== undefined) {
    if (!name) errors.push(required(namePath, "must be a valid object name"));
    for (const problem of trustBundleNameProblems(name, signerOfBundleName(name))) {
      errors.push(invalid(namePath, name, `not a valid clustertrustbundlename: ${problem}`));
    }
    if (labelSelector) {
      errors.push(
        invalid(path.child("labelSelector"), labelSelector, "labelSelector must be unset if name is specified"),
      );
    }
  } else if (signerName !== undefined) {
    if (!signerName) errors.push(required(path.child("signerName"), "must be a valid signer name"));
    errors.push(...validSignerName(signerName, path.child("signerName")));
    errors.push(...validLabelSelector(labelSelector, path.child("labelSelector")));
  } else {
    errors.push(required(path, "either name or signerName must be specified"));
  }
  if (!file) return [...errors, required(path.child("path"))];
  return [...errors, ...validUnreservedPath(file, path.child("path"))];
}

function atIndex(error: FieldError, index: number): FieldError {
  return index === 0 ? error : { ...error, field: error.field.replace(/items\[0\]/, `items[${index}]`) };
}

function validToken(
  { expirationSeconds = 3600, path: file }: NonNullable<VolumeProjection["serviceAccountToken"]>,
  path: FieldPath,
  filePath: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  const expirationPath = path.child("expirationSeconds");
  if (expirationSeconds < shortestToken) {
    errors.push(invalid(expirationPath, expirationSeconds, "may not specify a duration less than 10 minutes"));
  }
  if (expirationSeconds > longestToken) {
    errors.push(invalid(expirationPath, expirationSeconds, "may not specify a duration larger than 2^32 seconds"));
  }
  return [...errors, ...(file ? validUnreservedPath(file, filePath) : [required(filePath)])];
}
