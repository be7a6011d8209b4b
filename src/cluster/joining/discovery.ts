/**
 * How a machine that joins comes to trust a cluster it knows an address of: it reads kube-public/cluster-info, which nobody
 * can have changed who does not hold the token, and holds the authority in it against the hash that it was given (kubeadm's
 * token-based discovery).
 */
import { createHash, createHmac, timingSafeEqual, X509Certificate } from "node:crypto";
import { request } from "node:https";
import { json } from "node:stream/consumers";
import { parseYaml } from "../../apimachinery/serializer/yaml.ts";
import { certificatePem, pemBlocks } from "../../base/node/pem.ts";
import { type BootstrapToken, parseToken } from "./bootstrap-token.ts";

export interface Discovered {
  /** `https://host:port`. */
  server: string;
  /** PEM; the one that signs first, then those that it replaced and that still count. */
  ca: string;
}

/** Each certificate of a bundle, in PEM. */
export function authoritiesIn(bundle: string): string[] {
  return pemBlocks(bundle).flatMap(({ type, der }) => (type === "CERTIFICATE" ? [certificatePem(der)] : []));
}

/** `sha256:` and the hash of the authority's public key, as kubeadm prints it. */
export function authorityHash(ca: string): string {
  const key = new X509Certificate(ca).publicKey.export({ type: "spki", format: "der" });
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}

/** Rejects with what does not fit, and trusts nothing then. `hashes` empty: the token alone must do. */
export async function discover(
  server: string,
  tokenText: string,
  hashes: readonly string[],
  signal: AbortSignal,
): Promise<Discovered> {
  const token = parseToken(tokenText);
  const data = await clusterInfoAt(server, signal);
  const { kubeconfig = "" } = data;
  const signature = data[`jws-kubeconfig-${token.id}`];
  if (!signature)
    throw new Error(
      `the token id ${JSON.stringify(token.id)} is invalid for this cluster or it has expired: "pinnace token create" makes another`,
    );
  if (!isSigned(kubeconfig, signature, token))
    throw new Error(
      "the cluster-info of this server is not signed with this token: it is another cluster, or somebody is between",
    );
  const cluster = clusterOf(kubeconfig);
  // While authorities change there are two: any that the hash names proves that the token was not guessed.
  const authorities = authoritiesIn(cluster.ca);
  if (hashes.length > 0 && !authorities.some((authority) => hashes.includes(authorityHash(authority))))
    throw new Error(
      `the cluster's authority has the hash ${authorityHash(cluster.ca)}, and not one of ${hashes.join(", ")}`,
    );
  return cluster;
}

async function clusterInfoAt(server: string, signal: AbortSignal): Promise<Record<string, string>> {
  const url = new URL("/api/v1/namespaces/kube-public/configmaps/cluster-info", server);
  const answer = await new Promise<{ status: number; body: { data?: Record<string, string>; message?: string } }>(
    (resolve, reject) => {
      // Whom it speaks to it learns from the signature.
      const asking = request(url, { rejectUnauthorized: false, signal }, (response) => {
        json(response).then(
          (body) => resolve({ status: response.statusCode ?? 0, body: body as { data?: Record<string, string> } }),
          reject,
        );
      });
      asking.once("error", (error) => reject(new Error(`asking ${url.host}: ${error.message}`, { cause: error })));
      asking.end();
    },
  );
  if (answer.status !== 200)
    throw new Error(
      `${url.host} does not let machines join (${answer.body.message ?? answer.status}): "pinnace token create" prepares it`,
    );
  return answer.body.data ?? {};
}

/** A JSON Web Signature whose middle part is the content. */
export function isSigned(content: string, signature: string, { id, secret }: BootstrapToken): boolean {
  const [header = "", middle, given = ""] = signature.split(".");
  if (middle !== "") return false;
  let head: { alg?: string; kid?: string };
  try {
    head = JSON.parse(Buffer.from(header, "base64url").toString()) as typeof head;
  } catch {
    return false;
  }
  if (head.alg !== "HS256" || head.kid !== id) return false;
  const text = `${header}.${Buffer.from(content).toString("base64url")}`;
  const wanted = createHmac("sha256", secret).update(text).digest();
  const found = Buffer.from(given, "base64url");
  return found.length === wanted.length && timingSafeEqual(found, wanted);
}

export function clusterOf(kubeconfig: string): Discovered {
  const { value } = parseYaml(kubeconfig);
  const { cluster } = (value as { clusters?: { cluster?: Record<string, string> }[] }).clusters?.[0] ?? {};
  const [server, ca] = [cluster?.["server"], cluster?.["certificate-authority-data"]];
  if (!server || !ca) throw new Error("the cluster-info ConfigMap has no kubeconfig with a server and its authority");
  return { server, ca: Buffer.from(ca, "base64").toString() };
}
