/**
 * The ClusterTrustBundles that projected volumes of this node show (upstream's ClusterTrustBundle manager). Nothing is read before a
 * pod asks for the first; then all are followed, and a change wakes the pods that show any.
 */
import type { ClusterTrustBundle } from "../api/certificates/v1beta1.ts";
import type { ClusterTrustBundleProjection } from "../api/core/v1.ts";
import { ClusterTrustBundles } from "../api/gated-resources.ts";
import type { DeepReadonly } from "../api/object.ts";
import { certificatePem, pemBlocks } from "../base/node/pem.ts";
import { selectorOf } from "../controller-runtime/compiled-selector.ts";
import type { Informer } from "../controller-runtime/informer.ts";
import type { InformerCache } from "../controller-runtime/informer-cache.ts";

export interface TrustBundlesOptions {
  /** Made when the first bundle is asked for. */
  cache(): InformerCache;
  /** A bundle has appeared, changed or gone. */
  onChange(podUid: string): void;
}

type Bundle = DeepReadonly<ClusterTrustBundle>;

export class TrustBundles {
  readonly #options: TrustBundlesOptions;
  readonly #users = new Set<string>();
  #informer: Informer<ClusterTrustBundle> | undefined;

  constructor(options: TrustBundlesOptions) {
    this.#options = options;
  }

  /** The authorities that the source selects, each once. Rejects when there is none and the source is not optional. */
  async select(source: DeepReadonly<ClusterTrustBundleProjection>, podUid: string): Promise<string> {
    const informer = this.#follow();
    this.#users.add(podUid);
    await informer.synced;
    const found = selected(source, informer);
    const ders = found.flatMap(({ spec }) => pemBlocks(spec.trustBundle).map(({ der }) => der.toString("base64")));
    return [...new Set(ders)].map((der) => certificatePem(Buffer.from(der, "base64"))).join("");
  }

  /** The pod is gone. */
  release(podUid: string): void {
    this.#users.delete(podUid);
  }

  #follow(): Informer<ClusterTrustBundle> {
    if (this.#informer) return this.#informer;
    this.#informer = this.#options.cache().informer(ClusterTrustBundles);
    this.#informer.addHandler(() => {
      for (const uid of this.#users) this.#options.onChange(uid);
    });
    return this.#informer;
  }
}

function selected(
  { name, signerName, labelSelector, optional }: DeepReadonly<ClusterTrustBundleProjection>,
  informer: Informer<ClusterTrustBundle>,
): Bundle[] {
  if (name !== undefined) {
    const bundle = informer.get(name as Parameters<typeof informer.get>[0]);
    if (!bundle && !optional)
      throw new Error(
        `while getting ClusterTrustBundle: clustertrustbundle.certificates.k8s.io ${JSON.stringify(name)} not found`,
      );
    return bundle ? [bundle] : [];
  }
  const selector = selectorOf(labelSelector);
  const bundles = informer
    .list()
    .filter(({ metadata, spec }) => spec.signerName === signerName && selector.matches(metadata.labels));
  if (bundles.length === 0 && !optional)
    throw new Error("combination of signerName and labelSelector matched zero ClusterTrustBundles");
  return bundles;
}
