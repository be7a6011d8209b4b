/** A test API server with all of admission: webhooks by URL, and policies. */

import { admissionPlugins } from "../apiserver-plugins/admission/catalog.ts";
import { RegistryReader } from "../apiserver-plugins/object-reader.ts";
import { endpointRouter } from "../apiserver-plugins/webhooks/service-route.ts";
import { WebhookCaller } from "../apiserver-plugins/webhooks/webhook-caller.ts";
import { systemClock } from "../base/node/system-clock.ts";
import { seededRandom } from "../base/random.ts";
import { startTestApiServer, type TestApiServer, type TestApiServerOptions } from "./api-server.ts";
import { loopbackDial } from "./loopback-dial.ts";

export async function startPolicyServer(options: TestApiServerOptions = {}): Promise<TestApiServer> {
  let reader: RegistryReader | undefined;
  const webhooks = new WebhookCaller({
    router: endpointRouter(() => reader!, seededRandom(5), loopbackDial),
    clock: systemClock,
  });
  const api = await startTestApiServer({
    admission(access) {
      reader = new RegistryReader(access.registry);
      const authorizers = () => access.pipeline.authorizers;
      const extension = { registry: access.registry, authorizers, webhooks };
      return admissionPlugins({ objects: reader, random: seededRandom(3), extension });
    },
    ...options,
  });
  const close = async () => {
    webhooks.close();
    await api.close();
  };
  return { ...api, close, [Symbol.asyncDispose]: close };
}
