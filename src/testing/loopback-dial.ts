/** For tests: Services whose endpoints no EndpointSlice may name, since they are this machine's own. */
import { connect } from "node:net";
import type { Dial } from "../apiserver-plugins/webhooks/service-route.ts";

/** What an EndpointSlice says in the loopback's stead. */
export const endpointAddress = "192.0.2.1";

export const loopbackDial: Dial = (host, port) =>
  connect({ host: host === endpointAddress ? "127.0.0.1" : host, port });
