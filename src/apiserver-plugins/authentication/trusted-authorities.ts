/** Authorities whose certificates count for one purpose: TLS has checked that somebody we know signed, this says who. */
import { X509Certificate } from "node:crypto";

/** A certificate chain longer than this is no chain. */
const longestChain = 8;

export class TrustedAuthorities {
  #authorities: readonly X509Certificate[] = [];

  /** PEM; may hold several. */
  constructor(...bundles: string[]) {
    this.replace(...bundles);
  }

  /** From now on these, and no others. Throws when one cannot be read. */
  replace(...bundles: string[]): void {
    this.#authorities = bundles.flatMap(certificatesIn);
  }

  /** Whether one of them stands at the end of this certificate's chain. */
  vouchFor(certificate: X509Certificate): boolean {
    let link: X509Certificate | undefined = certificate;
    for (let length = 0; link && length < longestChain; length++) {
      const last: X509Certificate = link;
      if (this.#authorities.some((authority) => last.checkIssued(authority) && last.verify(authority.publicKey)))
        return true;
      const issuer: X509Certificate | undefined = last.issuerCertificate;
      // What the peer sent along proves nothing by its place alone.
      link =
        issuer && issuer.fingerprint256 !== last.fingerprint256 && last.verify(issuer.publicKey) ? issuer : undefined;
    }
    return false;
  }
}

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
