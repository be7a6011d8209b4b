/** What is off unless someone turns it on: upstream's feature gates and `--runtime-config`, as far as there is something to turn on. */

/** By upstream's names: whether upstream has it on by itself. */
const gates = {
  ClusterTrustBundle: { stage: "Beta", isOn: false },
  ClusterTrustBundleProjection: { stage: "Beta", isOn: false },
  ConstrainedImpersonation: { stage: "Beta", isOn: true },
} as const;

export type FeatureGate = keyof typeof gates;

export interface FeatureSwitches {
  /** As `--feature-gates`: also `AllAlpha` and `AllBeta`. */
  featureGates?: Readonly<Record<string, boolean>>;
  /** As `--runtime-config`: `group/version`, `group/version/resource`, `api/all`, `api/beta`, `api/alpha`. */
  runtimeConfig?: Readonly<Record<string, boolean | "true" | "false">>;
}

export function isFeatureOn({ featureGates = {} }: FeatureSwitches, gate: FeatureGate): boolean {
  const { stage, isOn } = gates[gate];
  return featureGates[gate] ?? featureGates[`All${stage}`] ?? isOn;
}

/** Whether a resource of a version that is not served by itself is asked for. What is said of the resource alone comes first. */
export function isServed(
  { runtimeConfig = {} }: FeatureSwitches,
  { group, version, plural }: { group: string; version: string; plural: string },
): boolean {
  const stage = version.includes("alpha") ? "api/alpha" : "api/beta";
  const said = [`${group}/${version}/${plural}`, `${group}/${version}`, stage, "api/all"];
  const decisive = said.find((key) => runtimeConfig[key] !== undefined);
  return decisive !== undefined && String(runtimeConfig[decisive]) === "true";
}

const switchable = /^(api\/(all|alpha|beta)|certificates\.k8s\.io\/v1(alpha1|beta1)(\/clustertrustbundles)?)$/;

/** By field: what cannot be turned on or off. */
export function featureSwitchMistakes({ featureGates = {}, runtimeConfig = {} }: FeatureSwitches) {
  const known = [...Object.keys(gates), "AllAlpha", "AllBeta"];
  return [
    ...Object.keys(featureGates)
      .filter((name) => !known.includes(name))
      .map((name) => ({
        path: ["featureGates", name],
        message: `unrecognized feature gate: ${name}; known are ${known.join(", ")}`,
      })),
    ...Object.keys(runtimeConfig)
      .filter((name) => !switchable.test(name))
      .map((name) => ({
        path: ["runtimeConfig", name],
        message: `unknown api: ${name} can be neither turned on nor off; known are certificates.k8s.io/v1beta1 and v1alpha1, each also with /clustertrustbundles, api/all, api/beta and api/alpha`,
      })),
  ];
}
