/** How volumes may be mounted at the same time. */
import { type FieldError, type FieldPath, forbidden, notSupported } from "../../apimachinery/field-error.ts";

const modes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const abbreviations: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};

export function validAccessModes(given: readonly string[] | undefined, path: FieldPath): FieldError[] {
  const errors = (given ?? []).filter((mode) => !modes.includes(mode)).map((mode) => notSupported(path, mode, modes));
  if (
    given?.includes("ReadWriteOncePod") &&
    given.some((mode) => mode !== "ReadWriteOncePod" && modes.includes(mode))
  ) {
    errors.push(forbidden(path, "may not use ReadWriteOncePod with other access modes"));
  }
  return errors;
}

/** `RWO,ROX`, in a fixed order. */
export function accessModesText(given: readonly string[] | undefined): string {
  return Object.entries(abbreviations)
    .filter(([mode]) => given?.includes(mode))
    .map(([, text]) => text)
    .join(",");
}
