/** Both clients against a real API server. It stands here because clients and server are siblings in the layer table. */
import { systemClock } from "../base/node/system-clock.ts";
import { clientConformance } from "../client/client.conformance.ts";
import { HttpsClient } from "../client/https-client.ts";
import { connectionOf, loadKubeconfig } from "../client/kubeconfig.ts";
import { startTestApiServer } from "./api-server.ts";

clientConformance("the in-process client", async () => {
  const server = await startTestApiServer();
  return { client: server.client, end: server.close };
});

clientConformance("the HTTPS client", async () => {
  const server = await startTestApiServer();
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
