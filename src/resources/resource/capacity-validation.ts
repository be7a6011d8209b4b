/** What of a device several claims may share, and in which portions. */
import type { CapacityRequestPolicyRange, DeviceCapacity } from "../../api/resource/v1.ts";
import {
  duplicate,
  type FieldError,
  type FieldPath,
  forbidden,
  invalid,
  required,
  tooMany,
} from "../../apimachinery/field-error.ts";
import { Quantity } from "../../apimachinery/quantity.ts";

const maximumOptions = 10;

export function validCapacity(capacity: DeviceCapacity, isShared: boolean, path: FieldPath): FieldError[] {
  const { value, requestPolicy } = capacity;
  if (!requestPolicy) return [];
  const at = path.child("requestPolicy");
  if (!isShared) return [forbidden(at, "allowMultipleAllocations must be true")];
  const { validValues, validRange } = requestPolicy;
  if (validValues?.length && validRange) {
    const detail =
      'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time';
    return [forbidden(at, detail)];
  }
  const which = validValues?.length ? "validValues" : validRange ? "validRange" : undefined;
  if (!which) return [];
  if (requestPolicy.default === undefined) return [required(at.child("default"), `required when ${which} is defined`)];
  const [whole, usual] = [Quantity.parse(String(value)), Quantity.parse(String(requestPolicy.default))];
  return validValues?.length
    ? validOptions(
        validValues.map((option) => Quantity.parse(String(option))),
        usual,
        whole,
        at.child("validValues"),
      )
    : validPortions(validRange ?? {}, usual, whole, at.child("validRange"));
}

function validOptions(options: readonly Quantity[], usual: Quantity, whole: Quantity, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  for (const [index, option] of options.entries()) {
    const next = options[index + 1];
    if (next && option.compare(next) > 0)
      errors.push(invalid(path.index(index + 1), String(next), "values must be sorted in ascending order"));
  }
  if (options.length > maximumOptions) errors.push(tooMany(path, options.length, maximumOptions));
  else {
    const seen = new Set<number>();
    for (const [index, option] of options.entries()) {
      if (option.compare(whole) > 0)
        errors.push(invalid(path.index(index), String(option), `option is larger than capacity value: ${whole}`));
    }
    for (const [index, option] of options.entries()) {
      if (seen.has(option.value())) errors.push(duplicate(path.index(index), String(option.value())));
      seen.add(option.value());
    }
    if (options.some((option) => option.compare(usual) === 0)) return errors;
  }
  return [...errors, invalid(path, String(usual), "default value is not valid according to the requestPolicy")];
}

function validPortions(
  range: Partial<CapacityRequestPolicyRange>,
  usual: Quantity,
  whole: Quantity,
  path: FieldPath,
): FieldError[] {
  const [min, max, step] = [range.min, range.max, range.step].map((one) =>
    one === undefined ? undefined : Quantity.parse(String(one)),
  );
  if (!min) return [required(path.child("min"), "required when validRange is defined")];
  const errors: FieldError[] = [];
  const refuse = (isWrong: boolean, field: string, value: Quantity, detail: string) => {
    if (isWrong) errors.push(invalid(path.child(field), String(value), detail));
  };
  refuse(min.compare(whole) > 0, "min", min, `min is larger than capacity value: ${whole}`);
  refuse(usual.compare(min) < 0, "default", usual, `default is less than min: ${min}`);
  if (max) {
    refuse(min.compare(max) > 0, "max", min, `min is larger than max: ${max}`);
    refuse(max.compare(whole) > 0, "max", max, `max is larger than capacity value: ${whole}`);
    refuse(usual.compare(max) > 0, "default", usual, `default is more than max: ${max}`);
  }
  if (!step) return errors;
  refuse(step.sign() <= 0, "step", step, "must be greater than zero");
  if (step.sign() <= 0) return errors;
  const second = min.add(step);
  refuse(second.compare(whole) > 0, "step", step, `one step ${second} is larger than capacity value: ${whole}`);
  for (const value of max ? [usual, max] : [usual]) {
    const isStep = (value.value() - min.value()) % step.value() === 0;
    refuse(!isStep, "step", value, `value is not a multiple of a given step (${step}) from (${min})`);
  }
  return errors;
}
