import { expect, test } from "vitest";
import { takeWebSocketToken } from "./web-socket-token.ts";

const offer = (text: string) => `base64url.bearer.authorization.k8s.io.${Buffer.from(text).toString("base64url")}`;
const taken = (protocols: string, more: Record<string, string> = {}) => {
  const headers: Record<string, string> = { "sec-websocket-protocol": protocols, ...more };
  takeWebSocketToken(headers);
  return headers;
};

test("a token among a WebSocket's protocols proves who asks, and goes no further", () => {
  expect(taken(`${offer("abc")}, v5.channel.k8s.io`)).toEqual({
    "sec-websocket-protocol": "v5.channel.k8s.io",
    authorization: "Bearer abc",
  });
});

test("alone, twice, beside another proof or with what no header holds it proves nothing", () => {
  expect(taken(offer("abc"))).toEqual({ "sec-websocket-protocol": "" });
  expect(taken(`${offer("a")}, ${offer("b")}, v4.channel.k8s.io`)["authorization"]).toBeUndefined();
  expect(taken(`${offer("abc")}, v4.channel.k8s.io`, { authorization: "Bearer mine" })["authorization"]).toBe(
    "Bearer mine",
  );
  expect(taken(`${offer("a\r\nx: y")}, v4.channel.k8s.io`)["authorization"]).toBeUndefined();
  expect(taken("v4.channel.k8s.io")).toEqual({ "sec-websocket-protocol": "v4.channel.k8s.io" });
});
