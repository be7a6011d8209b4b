/** Both clients against a real API server. */
import { systemClock } from "../base/node/system-clock.ts";
import { startForgetfulApiServer, startTestApiServer } from "../testing/api-server.ts";
import { clientConformance } from "./client.conformance.ts";
import { HttpsClient } from "./https-client.ts";
import { connectionOf, loadKubeconfig } from "./kubeconfig.ts";

const start = (isForgetful: boolean) => (isForgetful ? startForgetfulApiServer() : startTestApiServer());

clientConformance("the in-process client", async (isForgetful) => {
  const server = await start(isForgetful);
  return { client: server.client, end: server.close };
});

clientConformance("the HTTPS client", async (isForgetful) => {
  const server = await start(isForgetful);
  const connection = connectionOf(await loadKubeconfig([server.kubeconfig]));
  const client = new HttpsClient({ connection, clock: systemClock, userAgent: "conformance/1" });
  return {
    client,
    async end() {
      client.close();
      await server.close();
    },
  };
});
