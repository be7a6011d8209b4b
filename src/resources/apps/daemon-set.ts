/** DaemonSets: one pod on every node that fits. */
import type { DaemonSet } from "../../api/apps/v1.ts";
import {
  type FieldError,
  invalid,
  notSupported,
  required,
  spec as specPath,
  status as statusPath,
} from "../../apimachinery/field-error.ts";
import { defineResource } from "../../apimachinery/resource-definition.ts";
import { formatLabelSelector } from "../../apimachinery/selectors.ts";
import { defaultPodTemplate } from "../core/pod-spec/template.ts";
import { age, containerImages, containerNames, integer, labelsText, name, text, wide } from "../printing/columns.ts";
import { served } from "../served.ts";
import { atMostHundredPercent, numberPart, validIntOrPercent } from "../validation/int-or-percent.ts";
import { isEmptySelector, validLabelSelector } from "../validation/label-selector.ts";
import { nonNegative } from "../validation/rules.ts";
import { semanticallyEqual } from "../validation/semantic-equality.ts";
import {
  bumpGenerationOnSpecChange,
  isNewGeneration,
  matcherOrUndefined,
  nonNegativeCounts,
  notDecremented,
  selectorPath,
  templateMatchesSelector,
  templatePath,
  templateWarnings,
  unchangedSelector,
  validLongRunningTemplate,
} from "./workload.ts";

/** Counts changes of the template, from before objects had generations; readers of old still look. */
const templateGeneration = "deprecated.daemonset.template.generation";

export const daemonSets = defineResource<DaemonSet>({
  ...served("apps/v1", "daemonsets"),
  metadataLooks: { update: ["whole", "change"] },
  defaults(daemonSet) {
    const { spec } = daemonSet;
    if (daemonSet.metadata.annotations?.[templateGeneration] === undefined) annotate(daemonSet, "0");
    spec.updateStrategy ??= {};
    spec.updateStrategy.type ||= "RollingUpdate";
    if (spec.updateStrategy.type === "RollingUpdate") {
      spec.updateStrategy.rollingUpdate ??= {};
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
    }
    spec.revisionHistoryLimit ??= 10;
    defaultPodTemplate(spec.template);
  },
  beforeCreate(daemonSet) {
    daemonSet.metadata.generation = 1;
    annotate(daemonSet, "1");
    daemonSet.status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
  },
  beforeUpdate(next, previous) {
    const before = Number(previous.metadata.annotations?.[templateGeneration] ?? 0);
    const changed = !semanticallyEqual(next.spec.template, previous.spec.template);
    annotate(next, String(changed ? before + 1 : before));
    bumpGenerationOnSpecChange(next, previous);
  },
  validate(next, previous) {
    const errors = validDaemonSet(next);
    if (!previous) return errors;
    // Upstream looks at the new spec as such and once more within the change.
    return [...errors, ...errors, ...unchangedSelector(next.spec.selector, previous.spec.selector)];
  },
  validateStatus: ({ status }, previous) => [
    ...nonNegativeCounts(
      status,
      [
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
      ],
      statusPath,
    ),
    ...notDecremented(status.collisionCount, previous.status?.collisionCount),
  ],
  warnings: (next, previous) =>
    isNewGeneration(next, previous) ? templateWarnings(next.spec.template, templatePath) : [],
  columns: [
    name,
    integer("Desired", ({ status }) => status?.desiredNumberScheduled),
    integer("Current", ({ status }) => status?.currentNumberScheduled),
    integer("Ready", ({ status }) => status?.numberReady),
    integer("Up-to-date", ({ status }) => status?.updatedNumberScheduled),
    integer("Available", ({ status }) => status?.numberAvailable),
    text("Node Selector", ({ spec }) => labelsText(spec.template.spec?.nodeSelector)),
    age,
    containerNames(({ spec }) => spec.template.spec?.containers),
    containerImages(({ spec }) => spec.template.spec?.containers),
    wide(text("Selector", ({ spec }) => formatLabelSelector(spec.selector))),
  ],
});

function annotate(daemonSet: DaemonSet, generation: string): void {
  daemonSet.metadata.annotations = { ...daemonSet.metadata.annotations, [templateGeneration]: generation };
}

function validDaemonSet({ spec }: DaemonSet): FieldError[] {
  const errors = validLabelSelector(spec.selector, selectorPath);
  const matcher = matcherOrUndefined(spec.selector);
  if (matcher) errors.push(...templateMatchesSelector(matcher, spec.template, templatePath));
  if (isEmptySelector(spec.selector)) {
    errors.push(invalid(selectorPath, spec.selector, "empty selector is invalid for daemonset"));
  }
  errors.push(...validLongRunningTemplate(spec.template, templatePath, "DaemonSet"));
  errors.push(...nonNegative(spec.minReadySeconds, specPath.child("minReadySeconds")));
  errors.push(...validStrategy(spec.updateStrategy));
  return [...errors, ...nonNegative(spec.revisionHistoryLimit, specPath.child("revisionHistoryLimit"))];
}

function validStrategy(strategy: DaemonSet["spec"]["updateStrategy"]): FieldError[] {
  const path = specPath.child("updateStrategy");
  const rolling = strategy?.rollingUpdate;
  if (strategy?.type === "OnDelete") return [];
  if (strategy?.type !== "RollingUpdate") {
    const { maxUnavailable = 0, maxSurge = 0 } = rolling ?? {};
    const shown = {
      Type: strategy?.type ?? "",
      RollingUpdate: rolling ? { MaxUnavailable: maxUnavailable, MaxSurge: maxSurge } : null,
    };
    return [notSupported(path, shown, ["RollingUpdate", "OnDelete"])];
  }
  const rollingPath = path.child("rollingUpdate");
  if (!rolling) return [required(rollingPath)];
  const [unavailablePath, surgePath] = [rollingPath.child("maxUnavailable"), rollingPath.child("maxSurge")];
  const errors = [
    ...validIntOrPercent(rolling.maxUnavailable, unavailablePath),
    ...validIntOrPercent(rolling.maxSurge, surgePath),
    ...atMostHundredPercent(rolling.maxUnavailable, unavailablePath),
    ...atMostHundredPercent(rolling.maxSurge, surgePath),
  ];
  const [unavailable, surge] = [numberPart(rolling.maxUnavailable), numberPart(rolling.maxSurge)];
  if (unavailable !== 0 && surge !== 0) {
    errors.push(invalid(surgePath, rolling.maxSurge, "may not be set when maxUnavailable is non-zero"));
  } else if (unavailable === 0 && surge === 0) {
    errors.push(required(unavailablePath, "cannot be 0 when maxSurge is 0"));
  }
  return errors;
}
