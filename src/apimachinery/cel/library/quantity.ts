/** Kubernetes' quantities and semantic versions. */
import { Quantity, QuantityError } from "../../quantity.ts";
import { type FunctionTable, globalFunction, memberFunction, type Sizes } from "../environment.ts";
import { Bool, Double, Int, opaque, Text } from "../types.ts";
import { CelError, OpaqueValue } from "../values.ts";
import { traversal } from "./standard.ts";

const quantityType = opaque("kubernetes.Quantity");
const semverType = opaque("kubernetes.Semver");

class QuantityValue extends OpaqueValue {
  override readonly typeName = "kubernetes.Quantity";
  readonly quantity: Quantity;
  constructor(quantity: Quantity) {
    super();
    this.quantity = quantity;
  }
  override equals(other: OpaqueValue): boolean {
    return other instanceof QuantityValue && other.quantity.equals(this.quantity);
  }
}

/** A quantity of an object, where a type says so. Throws a CelError for what is none. */
export const quantityOf = (text: string): OpaqueValue => quantity(text);
/** A semantic version of an object. Throws a CelError for what is none. */
export const versionOf = (text: string): OpaqueValue => semver(text);

const reading = { cost: ([text = 0]: Sizes) => traversal(text) };

function quantity(text: string): QuantityValue {
  try {
    return new QuantityValue(Quantity.parse(text));
  } catch (error) {
    if (error instanceof QuantityError) throw new CelError(error.message);
    throw error;
  }
}

function succeeds<A extends unknown[]>(read: (...args: A) => unknown): (...args: A) => boolean {
  return (...args) => {
    try {
      read(...args);
      return true;
    } catch (error) {
      if (error instanceof CelError) return false;
      throw error;
    }
  };
}

function asInteger({ quantity: { nanos } }: QuantityValue): bigint {
  const value = nanos / 1_000_000_000n;
  if (nanos % 1_000_000_000n !== 0n || BigInt.asIntN(64, value) !== value) {
    throw new CelError("cannot convert value to integer");
  }
  return value;
}

const plus = (sign: 1 | -1) => [
  memberFunction(
    [quantityType, quantityType],
    quantityType,
    (a: QuantityValue, b: QuantityValue) =>
      new QuantityValue(sign === 1 ? a.quantity.add(b.quantity) : a.quantity.subtract(b.quantity)),
  ),
  memberFunction([quantityType, Int], quantityType, (a: QuantityValue, b: bigint) => {
    const other = Quantity.ofUnits(b);
    return new QuantityValue(sign === 1 ? a.quantity.add(other) : a.quantity.subtract(other));
  }),
];

class SemverValue extends OpaqueValue {
  override readonly typeName = "kubernetes.Semver";
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly prerelease: readonly string[];
  constructor(numbers: readonly [bigint, bigint, bigint], prerelease: readonly string[]) {
    super();
    this.numbers = numbers;
    this.prerelease = prerelease;
  }
  override equals(other: OpaqueValue): boolean {
    return other instanceof SemverValue && compareVersions(this, other) === 0;
  }
}

const versionPattern =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/;

/** With `normalize` a leading v, missing parts and leading zeros are forgiven. */
function semver(given: string, normalize = false): SemverValue {
  let text = given;
  if (normalize) {
    text = text.replace(/^v/, "");
    const [core, ...rest] = text.split(/(?=[-+])/);
    const parts = core!.split(".").map((part) => part.replace(/^0+(?=\d)/, ""));
    while (parts.length < 3) parts.push("0");
    text = parts.join(".") + rest.join("");
  }
  const match = versionPattern.exec(text);
  if (!match) throw new CelError(`invalid semantic version ${JSON.stringify(given)}`);
  const prerelease = match[4]?.split(".") ?? [];
  if (prerelease.some((part) => /^0\d+$/.test(part))) {
    throw new CelError("Numeric PreRelease version must not contain leading zeroes");
  }
  return new SemverValue([BigInt(match[1]!), BigInt(match[2]!), BigInt(match[3]!)], prerelease);
}

function compareVersions(a: SemverValue, b: SemverValue): number {
  for (let i = 0; i < 3; i++) {
    const [left, right] = [a.numbers[i]!, b.numbers[i]!];
    if (left !== right) return left < right ? -1 : 1;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return Math.sign(b.prerelease.length - a.prerelease.length);
  }
  for (let i = 0; i < Math.min(a.prerelease.length, b.prerelease.length); i++) {
    const sign = comparePrerelease(a.prerelease[i]!, b.prerelease[i]!);
    if (sign !== 0) return sign;
  }
  return Math.sign(a.prerelease.length - b.prerelease.length);
}

function comparePrerelease(a: string, b: string): number {
  const [left, right] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (left && right) return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
  if (left !== right) return left ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

const part = (index: 0 | 1 | 2) => [memberFunction([semverType], Int, ({ numbers }: SemverValue) => numbers[index])];

/** For quantities and for versions alike. */
function comparing(wanted: (sign: number) => boolean) {
  return [
    memberFunction([quantityType, quantityType], Bool, (a: QuantityValue, b: QuantityValue) =>
      wanted(a.quantity.compare(b.quantity)),
    ),
    memberFunction([semverType, semverType], Bool, (a: SemverValue, b: SemverValue) => wanted(compareVersions(a, b))),
  ];
}

export const quantityLibrary: FunctionTable = {
  quantity: [globalFunction([Text], quantityType, quantity, reading)],
  isQuantity: [globalFunction([Text], Bool, succeeds(quantity), reading)],
  sign: [memberFunction([quantityType], Int, (a: QuantityValue) => BigInt(a.quantity.sign()))],
  isInteger: [memberFunction([quantityType], Bool, succeeds(asInteger))],
  asInteger: [memberFunction([quantityType], Int, asInteger)],
  asApproximateFloat: [memberFunction([quantityType], Double, (a: QuantityValue) => a.quantity.toNumber())],
  add: plus(1),
  sub: plus(-1),
  isGreaterThan: comparing((sign) => sign > 0),
  isLessThan: comparing((sign) => sign < 0),
  compareTo: [
    memberFunction([quantityType, quantityType], Int, (a: QuantityValue, b: QuantityValue) =>
      BigInt(a.quantity.compare(b.quantity)),
    ),
    memberFunction([semverType, semverType], Int, (a: SemverValue, b: SemverValue) => BigInt(compareVersions(a, b))),
  ],
  semver: [
    globalFunction([Text], semverType, semver, reading),
    globalFunction([Text, Bool], semverType, semver, reading),
  ],
  isSemver: [
    globalFunction([Text], Bool, succeeds(semver), reading),
    globalFunction([Text, Bool], Bool, succeeds(semver), reading),
  ],
  major: part(0),
  minor: part(1),
  patch: part(2),
};
