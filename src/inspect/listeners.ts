/** Who listens in a network namespace, from the kernel's own tables (/proc/net/tcp and its siblings). Pure. */
import { formatIp } from "../base/ip.ts";

export interface Listener {
  protocol: "TCP" | "UDP";
  address: string;
  port: number;
}

/** `text` is of /proc/net/tcp, tcp6, udp or udp6. Of TCP sockets only those that listen, of UDP those without a peer. */
export function readListeners(text: string, protocol: Listener["protocol"]): Listener[] {
  const wanted = protocol === "TCP" ? tcpListen : udpUnconnected;
  return text.split("\n").flatMap((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    const [address = "", port = ""] = local.split(":");
    if (state !== wanted || !/^([0-9A-F]{8}|[0-9A-F]{32})$/.test(address)) return [];
    return [{ protocol, address: formatIp(bytesOf(address)), port: Number.parseInt(port, 16) }];
  });
}

const tcpListen = "0A";
const udpUnconnected = "07";

/** The kernel prints each 32-bit word in the machine's own order, which is little-endian on all that Node runs on here. */
function bytesOf(hex: string): Uint8Array {
  const bytes = Buffer.from(hex, "hex");
  for (let i = 0; i < bytes.length; i += 4) bytes.subarray(i, i + 4).reverse();
  return bytes;
}

export const isLoopback = ({ address }: Listener): boolean => address.startsWith("127.") || address === "::1";

/** Whether connections to `address` reach the listener: it is bound to that address, or to all. */
export const takes = (listener: Listener, address: string): boolean =>
  listener.address === address || listener.address === "0.0.0.0" || listener.address === "::";
