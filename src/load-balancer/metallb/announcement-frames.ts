/** Frames that tell a LAN where an address is now: gratuitous ARP (RFC 5227) and unsolicited neighbour advertisements (RFC 4861). Pure. */
import { ip } from "../../base/ip.ts";

/** All frames that announce `address` at `mac`, written `0a:58:…`. */
export function announcementFrames(address: string, mac: string): Uint8Array[] {
  const hardware = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const protocol = [...ip(address)];
  return protocol.length === 4
    ? // Some hosts believe requests only, some replies only.
      [arp(1, hardware, protocol), arp(2, hardware, protocol)]
    : [neighbourAdvertisement(hardware, protocol)];
}

function arp(operation: number, mac: readonly number[], address: readonly number[]): Uint8Array {
  const ethernet = [...everyone, ...mac, 0x08, 0x06];
  const header = [0, 1, 0x08, 0x00, mac.length, address.length, 0, operation];
  return Uint8Array.from([...ethernet, ...header, ...mac, ...address, ...everyone, ...address]);
}

function neighbourAdvertisement(mac: readonly number[], address: readonly number[]): Uint8Array {
  const override = 0x20;
  const message = (sum: number) => [136, 0, sum >> 8, sum & 255, override, 0, 0, 0, ...address, 2, 1, ...mac];
  const length = message(0).length;
  const pseudoHeader = [...address, ...allNodes, 0, 0, 0, length, 0, 0, 0, icmpV6];
  const sum = checksum([...pseudoHeader, ...message(0)]);
  const header = [0x60, 0, 0, 0, 0, length, icmpV6, 255, ...address, ...allNodes];
  return Uint8Array.from([0x33, 0x33, 0, 0, 0, 1, ...mac, 0x86, 0xdd, ...header, ...message(sum)]);
}

/** The Internet checksum of an even number of bytes. */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

const everyone = [255, 255, 255, 255, 255, 255];
const allNodes = [...ip("ff02::1")];
const icmpV6 = 58;
