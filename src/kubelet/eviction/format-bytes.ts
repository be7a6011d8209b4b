/** A number of bytes as messages give it: a quantity with the largest binary suffix that leaves it whole. */
export function formatBytes(bytes: number): string {
  let value = Math.floor(bytes);
  for (const suffix of ["", "Ki", "Mi", "Gi", "Ti"]) {
    if (value === 0 || value % 1024 !== 0 || suffix === "Ti") return `${value}${suffix}`;
    value /= 1024;
  }
  return String(value);
}
