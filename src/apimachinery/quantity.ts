/** Amounts of a resource such as `500m` or `64Mi`: parsing, comparing, adding and the canonical form (resource.Quantity upstream). */

/** How an amount was written, and so how it is written back. */
export type QuantityFormat = "DecimalSI" | "BinarySI" | "DecimalExponent";

const formatWrong = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const numericWrong = "unable to parse numeric part of quantity";
const suffixWrong = "unable to parse quantity's suffix";

/** The text is no quantity. The message is upstream's. */
export class QuantityError extends Error {
  override name = "QuantityError";
}

const nanosPerUnit = 1_000_000_000n;
const nanosPerMilli = 1_000_000n;
/** Upstream keeps binary amounts within a signed 64-bit integer. */
const maximumNanos = (2n ** 63n - 1n) * nanosPerUnit;

const decimalExponents: Record<string, number> = { n: -9, u: -6, m: -3, "": 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
const binaryExponents: Record<string, number> = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 };
const decimalSuffixes = new Map(Object.entries(decimalExponents).map(([suffix, exponent]) => [exponent, suffix]));
const binarySuffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** An exact amount. Immutable. Nothing finer than a billionth exists: finer input is rounded away from zero. */
export class Quantity {
  readonly nanos: bigint;
  readonly format: QuantityFormat;

  constructor(nanos: bigint, format: QuantityFormat) {
    this.nanos = nanos;
    this.format = format;
  }

  static readonly zero = new Quantity(0n, "DecimalSI");

  /** Throws a QuantityError with upstream's words. */
  static parse(text: string): Quantity {
    const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/.exec(text);
    if (!match || text === "") throw new QuantityError(formatWrong);
    const [, sign, whole = "", fraction = "", suffix = ""] = match;
    const { base, exponent, format } = interpretSuffix(suffix);
    const digits = BigInt(whole + fraction || "0");
    const nanos =
      base === 2 ? scaleBinary(digits, fraction.length, exponent) : scaleDecimal(digits, exponent - fraction.length);
    const capped = format === "BinarySI" && nanos > maximumNanos ? maximumNanos : nanos;
    const lessThanOne = format === "BinarySI" && capped > 0n && capped < nanosPerUnit;
    return new Quantity(sign === "-" ? -capped : capped, lessThanOne ? "DecimalSI" : format);
  }

  static ofUnits(units: number | bigint, format: QuantityFormat = "DecimalSI"): Quantity {
    return new Quantity(BigInt(units) * nanosPerUnit, format);
  }

  static ofMilli(milli: number | bigint, format: QuantityFormat = "DecimalSI"): Quantity {
    return new Quantity(BigInt(milli) * nanosPerMilli, format);
  }

  isZero(): boolean {
    return this.nanos === 0n;
  }

  /** -1, 0 or 1. */
  sign(): number {
    return this.nanos > 0n ? 1 : this.nanos < 0n ? -1 : 0;
  }

  /** Negative when this is less than `other`. */
  compare(other: Quantity): number {
    return this.nanos < other.nanos ? -1 : this.nanos > other.nanos ? 1 : 0;
  }

  equals(other: Quantity): boolean {
    return this.nanos === other.nanos;
  }

  /** The format is that of the summand that is not zero, this one's first. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nanos + other.nanos, this.isZero() ? other.format : this.format);
  }

  subtract(other: Quantity): Quantity {
    return new Quantity(this.nanos - other.nanos, this.isZero() ? other.format : this.format);
  }

  multiply(factor: number | bigint): Quantity {
    return new Quantity(this.nanos * BigInt(factor), this.format);
  }

  negated(): Quantity {
    return new Quantity(-this.nanos, this.format);
  }

  /** Rounded up to whole units. */
  value(): number {
    return Number(ceilDivide(this.nanos, nanosPerUnit));
  }

  /** Rounded up to thousandths. */
  milliValue(): number {
    return Number(ceilDivide(this.nanos, nanosPerMilli));
  }

  /** With its fraction, as near as a number can. */
  toNumber(): number {
    return Number(this.nanos / nanosPerUnit) + Number(this.nanos % nanosPerUnit) / 1e9;
  }

  isInteger(): boolean {
    return this.nanos % nanosPerUnit === 0n;
  }

  /** Away from zero, to thousandths: what resource lists are stored with. */
  roundedUpToMilli(): Quantity {
    const magnitude = this.nanos < 0n ? -this.nanos : this.nanos;
    const rounded = ceilDivide(magnitude, nanosPerMilli) * nanosPerMilli;
    return new Quantity(this.nanos < 0n ? -rounded : rounded, this.format);
  }

  /** The canonical form: the largest suffix that leaves no fraction. */
  toString(): string {
    if (this.nanos === 0n) return "0";
    const magnitude = this.nanos < 0n ? -this.nanos : this.nanos;
    if (this.format === "BinarySI" && magnitude >= 1024n * nanosPerUnit && this.isInteger()) return this.#binaryText();
    return this.#decimalText();
  }

  toJSON(): string {
    return this.toString();
  }

  #binaryText(): string {
    let amount = this.nanos / nanosPerUnit;
    let power = 0;
    while (amount % 1024n === 0n && power < binarySuffixes.length - 1) {
      amount /= 1024n;
      power++;
    }
    return `${amount}${binarySuffixes[power]}`;
  }

  #decimalText(): string {
    let amount = this.nanos;
    let exponent = -9;
    while (amount % 1000n === 0n) {
      amount /= 1000n;
      exponent += 3;
    }
    if (this.format === "DecimalExponent") return exponent === 0 ? `${amount}` : `${amount}e${exponent}`;
    while (exponent > 18) {
      amount *= 1000n;
      exponent -= 3;
    }
    return `${amount}${decimalSuffixes.get(exponent)}`;
  }
}

/** The same as Quantity.parse(text).toString(). */
export function canonicalQuantity(text: string): string {
  return Quantity.parse(text).toString();
}

/** Undefined when the text is a quantity, else why it is none. */
export function quantityProblem(text: string): string | undefined {
  try {
    Quantity.parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof QuantityError) return error.message;
    throw error;
  }
}

/** Negative when the quantity `a` is less than `b`. */
export function compareQuantities(a: string, b: string): number {
  return Quantity.parse(a).compare(Quantity.parse(b));
}

/** Whole units, rounded up; 0 when absent. */
export function quantityValue(text: string | undefined): number {
  if (text === undefined) return 0;
  return fastAmount(text, 1) ?? Quantity.parse(text).value();
}

/** Thousandths, rounded up; 0 when absent. */
export function quantityMilliValue(text: string | undefined): number {
  if (text === undefined) return 0;
  return fastAmount(text, 1000) ?? Quantity.parse(text).milliValue();
}

const fastMultipliers: Record<string, number> = {
  "": 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
};

/** The everyday forms without big integers: the scheduler and the kubelet read these for every pod. */
function fastAmount(text: string, perUnit: number): number | undefined {
  let end = 0;
  let amount = 0;
  while (end < text.length && end < 7) {
    const digit = text.charCodeAt(end) - 48;
    if (digit < 0 || digit > 9) break;
    amount = amount * 10 + digit;
    end++;
  }
  const multiplier = fastMultipliers[text.slice(end)];
  if (end === 0 || multiplier === undefined) return undefined;
  if (multiplier === 1e-3) return perUnit === 1000 ? amount : Math.ceil(amount / 1000);
  return amount * multiplier * perUnit;
}

function interpretSuffix(suffix: string): { base: 2 | 10; exponent: number; format: QuantityFormat } {
  const decimal = Object.hasOwn(decimalExponents, suffix) ? decimalExponents[suffix] : undefined;
  if (decimal !== undefined) return { base: 10, exponent: decimal, format: "DecimalSI" };
  const binary = Object.hasOwn(binaryExponents, suffix) ? binaryExponents[suffix] : undefined;
  if (binary !== undefined) return { base: 2, exponent: binary, format: "BinarySI" };
  if (/^[eE][-+]?[0-9]+$/.test(suffix)) {
    const exponent = Number(suffix.slice(1));
    // Beyond this nothing sensible is meant, and a big integer of that size would be a way to stop the server.
    if (Math.abs(exponent) > 1000) throw new QuantityError(numericWrong);
    return { base: 10, exponent, format: "DecimalExponent" };
  }
  throw new QuantityError(suffixWrong);
}

function scaleDecimal(digits: bigint, exponent: number): bigint {
  const nanoExponent = exponent + 9;
  return nanoExponent >= 0 ? digits * 10n ** BigInt(nanoExponent) : ceilDivide(digits, 10n ** BigInt(-nanoExponent));
}

function scaleBinary(digits: bigint, fractionDigits: number, exponent: number): bigint {
  return ceilDivide((digits << BigInt(exponent)) * nanosPerUnit, 10n ** BigInt(fractionDigits));
}

/** Towards positive infinity. */
function ceilDivide(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  return dividend % divisor > 0n ? quotient + 1n : quotient;
}
