/** Both clients against a real API server. */
import { systemClock } from "../base/node/system-clock.ts";
import { startTestApiServer } from "../testing/api-server.ts";
import { clientConformance } from "./client.conformance.ts";
import { HttpsClient } from "./https-client.ts";
import { connectionOf, loadKubeconfig } from "./kubeconfig.ts";

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
