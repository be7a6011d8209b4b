/** The Corefile that users edit, as kubeadm writes it: stub domains and written-down names in it take effect at once. */
import { ConfigMaps } from "../api/resources.ts";
import type { Logger } from "../base/logger.ts";
import type { Client } from "../client/client.ts";
import { parseCorefile } from "../cluster-dns/corefile.ts";
import type { SettingsPlugin } from "../cluster-dns/settings-plugin.ts";
import type { InformerCache } from "../controller-runtime/informer-cache.ts";
import { ensureObject } from "./ensure-object.ts";

const name = "coredns";
const namespace = "kube-system";

/** Once it is there it is the users' own. */
export async function writeCorefile(client: Client, dnsDomain: string): Promise<void> {
  await ensureObject(client, ConfigMaps, {
    metadata: { name, namespace },
    data: { Corefile: defaultCorefile(dnsDomain) },
  });
}

/** A Corefile with a mistake changes nothing. */
export function followCorefile(cache: InformerCache, plugin: SettingsPlugin, log: Logger): void {
  cache.informer(ConfigMaps).addHandler(({ type, object: { metadata, data } }) => {
    if (metadata.name !== name || metadata.namespace !== namespace) return;
    try {
      plugin.use(parseCorefile(type === "DELETED" ? "" : (data?.["Corefile"] ?? "")));
    } catch (error) {
      log.error("the Corefile is not followed; the one before still holds", { error });
    }
  });
}

function defaultCorefile(dnsDomain: string): string {
  return `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes ${dnsDomain} in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`;
}
