/**
 * Links, addresses and routes of a namespace as data, and the thin doer that gives them to the kernel over rtnetlink.
 * What `ip -batch` would do in a process of some milliseconds is done here in some hundred microseconds; `describeChange`
 * prints each change as the `ip` command that a reader knows.
 */
import { closeSync, openSync } from "node:fs";
import { cidr, familyOf, formatIp, ip } from "../ip.ts";
import {
  type Attributes,
  decodeAttributes,
  type NetlinkRequest,
  NetlinkSocket,
  nlmCreate,
  nlmDump,
  nlmExclusive,
  nlmReplace,
  text,
  u8,
  u32,
} from "./netlink.ts";
import { inNetns } from "./netns.ts";

/** Each change asks for a state and is no error when that state is there already. An existing link is left as it is. */
export type LinkChange =
  | { kind: "bridge"; name: string; mac?: string; mtu?: number }
  /** A pair whose one end is up here, in the bridge `master` if given; the other waits, down, in the namespace `peer.netns`. */
  | {
      kind: "veth";
      name: string;
      mac?: string;
      master?: string;
      mtu?: number;
      peer: { name: string; netns: string; mac?: string };
    }
  | { kind: "up"; name: string }
  | { kind: "delete-link"; name: string }
  /** `onLink: false` adds the address without the route to its block. */
  | { kind: "address"; link: string; address: string; onLink?: boolean }
  | { kind: "delete-address"; link: string; address: string }
  | { kind: "route"; to: string; link?: string; via?: string; source?: string }
  | { kind: "delete-route"; to: string; link: string }
  /** The kernel answers ARP and NDP for an address that is not this namespace's own. ARP besides wants a route that leads to another link. */
  | { kind: "neighbour-proxy"; link: string; address: string }
  | { kind: "delete-neighbour-proxy"; link: string; address: string };

/** The change in the words of iproute2. */
export function describeChange(change: LinkChange): string {
  const option = (word: string, value: string | number | undefined) => (value === undefined ? "" : ` ${word} ${value}`);
  switch (change.kind) {
    case "bridge":
      return `link add ${change.name}${option("address", change.mac)}${option("mtu", change.mtu)} up type bridge`;
    case "veth": {
      const peer = `peer name ${change.peer.name} netns ${change.peer.netns.replace(/.*\//, "")}${option("address", change.peer.mac)}`;
      return `link add ${change.name}${option("address", change.mac)}${option("mtu", change.mtu)}${option("master", change.master)} up type veth ${peer}`;
    }
    case "up":
      return `link set ${change.name} up`;
    case "delete-link":
      return `link delete ${change.name}`;
    case "address":
      return `address replace ${change.address} dev ${change.link}${change.onLink === false ? " noprefixroute" : ""}`;
    case "delete-address":
      return `address delete ${change.address} dev ${change.link}`;
    case "route":
      return `route replace ${change.to}${option("via", change.via)}${option("dev", change.link)}${option("src", change.source)}`;
    case "delete-route":
      return `route delete ${change.to} dev ${change.link}`;
    case "neighbour-proxy":
      return `neighbour add proxy ${change.address} dev ${change.link}`;
    case "delete-neighbour-proxy":
      return `neighbour delete proxy ${change.address} dev ${change.link}`;
  }
}

export interface Link {
  index: number;
  name: string;
  isUp: boolean;
}

/** The links of one namespace. Opened inside it, usable from anywhere, until closed. */
export class Links {
  readonly #socket: NetlinkSocket;

  /** Opens the namespace of the calling thread. */
  constructor() {
    this.#socket = new NetlinkSocket(netlinkRoute);
  }

  static openIn(path: string): Links {
    return inNetns(path, () => new Links());
  }

  /** Carries all changes out in order: links first, for addresses and routes speak of them. Throws the first refusal, with the `ip` words for it. */
  apply(changes: readonly LinkChange[]): void {
    const openFiles: number[] = [];
    const fileOf = (path: string) => {
      const fd = openSync(path, "r");
      openFiles.push(fd);
      return fd;
    };
    try {
      const masters = changes.flatMap((change) => (change.kind === "veth" && change.master ? [change.master] : []));
      const made = changes.filter((change) => change.kind === "bridge");
      this.#socket.request(made.map((change) => encodeLink(change, fileOf, noIndex)));
      const masterIndex = this.#indexes(masters);
      const links = changes.filter(
        (change) => change.kind === "veth" || change.kind === "up" || change.kind === "delete-link",
      );
      this.#socket.request(links.map((change) => encodeLink(change, fileOf, masterIndex)));
      const rest = changes.filter(isAddressing);
      const index = this.#indexes(rest.flatMap((change) => (change.link ? [change.link] : [])));
      this.#socket.request(rest.map((change) => encodeAddressing(change, index)));
    } finally {
      for (const fd of openFiles) closeSync(fd);
    }
  }

  /**
   * Makes bridges notice at once that the other ends of these links are up. By itself the kernel notes it in the
   * background, when its locks are free, and until then drops what comes: a first packet would be sent again only after a
   * second. Asking for a link brings its state up to date (Linux 6.6 and later; elsewhere the background must do).
   */
  settle(names: Iterable<string>): void {
    for (const name of names) this.find(name);
  }

  list(): Link[] {
    const header = linkHeader(0, 0);
    return this.#socket.request([{ type: rtmGetLink, flags: nlmDump, header, attributes: [] }]).map(decodeLink);
  }

  find(name: string): Link | undefined {
    try {
      const [reply] = this.#socket.request([
        {
          type: rtmGetLink,
          flags: 0,
          header: linkHeader(0, 0),
          attributes: [[iflaIfname, text(name)]],
          describe: `link show ${name}`,
        },
      ]);
      return reply && decodeLink(reply);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENODEV") return undefined;
      throw error;
    }
  }

  /** The addresses of a link, in the kernel's order. */
  addresses(name: string): string[] {
    const index = this.find(name)?.index;
    const replies = this.#socket.request([
      { type: rtmGetAddr, flags: nlmDump, header: new Uint8Array(8), attributes: [] },
    ]);
    return replies.flatMap(({ body }) => {
      if (body.readUInt32LE(4) !== index) return [];
      const attributes = decodeAttributes(body, 8);
      const address = attributes.get(ifaLocal) ?? attributes.get(ifaAddress);
      return address ? [formatIp(new Uint8Array(address))] : [];
    });
  }

  /** The addresses for which the kernel answers on a link. */
  neighbourProxies(name: string): string[] {
    const index = this.find(name)?.index;
    const header = neighbourHeader(afUnspecified, 0);
    const replies = this.#socket.request([{ type: rtmGetNeigh, flags: nlmDump, header, attributes: [] }]);
    return replies.flatMap(({ body }) => {
      const address = decodeAttributes(body, 12).get(ndaDst);
      return address && body.readInt32LE(4) === index ? [formatIp(new Uint8Array(address))] : [];
    });
  }

  close(): void {
    this.#socket.close();
  }

  #indexes(names: readonly string[]): (name: string) => number {
    const indexes = new Map<string, number>();
    for (const name of new Set(names)) indexes.set(name, this.find(name)?.index ?? 0);
    return (name) => {
      const index = indexes.get(name);
      if (!index) throw new Error(`no link named ${name} in this namespace`);
      return index;
    };
  }
}

type LinkRequest = Extract<LinkChange, { kind: "bridge" | "veth" | "up" | "delete-link" }>;
type AddressingRequest = Exclude<LinkChange, LinkRequest>;

function isAddressing(change: LinkChange): change is AddressingRequest {
  return !["bridge", "veth", "up", "delete-link"].includes(change.kind);
}

/** A MAC address that follows from the IP address: whoever holds the address next, the neighbours' caches stay right. */
export function macOf(address: string): string {
  const bytes = ip(address).slice(-4);
  const prefix = [0x0a, familyOf(address) === "ipv4" ? 0x58 : 0x59];
  return [...prefix, ...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function encodeLink(
  change: LinkRequest,
  fileOf: (path: string) => number,
  indexOf: (name: string) => number,
): NetlinkRequest {
  const describe = `ip ${describeChange(change)}`;
  const named: Attributes = [[iflaIfname, text(change.name)]];
  switch (change.kind) {
    case "up":
      return { type: rtmNewLink, flags: 0, header: linkHeader(0, iffUp), attributes: named, describe };
    case "delete-link":
      return {
        type: rtmDelLink,
        flags: 0,
        header: linkHeader(0, 0),
        attributes: named,
        describe,
        tolerate: ["ENODEV"],
      };
    case "bridge":
      return {
        type: rtmNewLink,
        flags: nlmCreate | nlmExclusive,
        header: linkHeader(0, iffUp),
        attributes: [
          ...named,
          ...shape(change),
          [
            iflaLinkinfo,
            [
              [iflaInfoKind, text("bridge")],
              [iflaInfoData, [[iflaBrMcastSnooping, u8(0)]]],
            ],
          ],
        ],
        describe,
        tolerate: ["EEXIST"],
      };
    case "veth": {
      const { peer } = change;
      const peerAttributes: Attributes = [
        [iflaIfname, text(peer.name)],
        [iflaNetNsFd, u32(fileOf(peer.netns))],
        ...shape({ mac: peer.mac, mtu: change.mtu }),
      ];
      return {
        type: rtmNewLink,
        flags: nlmCreate | nlmExclusive,
        header: linkHeader(0, iffUp),
        attributes: [
          ...named,
          ...shape(change),
          [iflaMaster, change.master === undefined ? undefined : u32(indexOf(change.master))],
          [
            iflaLinkinfo,
            [
              [iflaInfoKind, text("veth")],
              [iflaInfoData, [[vethInfoPeer, withHeader(linkHeader(0, 0), peerAttributes)]]],
            ],
          ],
        ],
        describe,
        tolerate: ["EEXIST"],
      };
    }
  }
}

function shape({ mac, mtu }: { mac?: string; mtu?: number }): Attributes {
  return [
    [iflaAddress, mac === undefined ? undefined : Uint8Array.from(mac.split(":"), (byte) => Number.parseInt(byte, 16))],
    [iflaMtu, mtu === undefined ? undefined : u32(mtu)],
  ];
}

function encodeAddressing(change: AddressingRequest, indexOf: (name: string) => number): NetlinkRequest {
  const describe = `ip ${describeChange(change)}`;
  if (change.kind === "neighbour-proxy" || change.kind === "delete-neighbour-proxy") {
    const address = ip(change.address);
    const header = neighbourHeader(address.length === 4 ? afInet : afInet6, indexOf(change.link));
    const attributes: Attributes = [[ndaDst, address]];
    return change.kind === "neighbour-proxy"
      ? { type: rtmNewNeigh, flags: nlmCreate | nlmReplace, header, attributes, describe }
      : { type: rtmDelNeigh, flags: 0, header, attributes, describe, tolerate: ["ENOENT"] };
  }
  if (change.kind === "delete-route") {
    const to = cidr(change.to);
    const family = to.address.length === 4 ? afInet : afInet6;
    const header = Uint8Array.from([family, to.prefixLength, 0, 0, tableMain, 0, scopeNowhere, 0, 0, 0, 0, 0]);
    const attributes: Attributes = [
      [rtaDst, to.address],
      [rtaOif, u32(indexOf(change.link))],
    ];
    return { type: rtmDelRoute, flags: 0, header, attributes, describe, tolerate: ["ESRCH"] };
  }
  if (change.kind === "route") {
    const to =
      change.to === "default"
        ? undefined
        : cidr(change.to.includes("/") ? change.to : `${change.to}/${ip(change.to).length * 8}`);
    const family = to ? to.address.length : ip(change.via ?? "0.0.0.0").length;
    const scope = change.via ? scopeUniverse : scopeLink;
    const flags = change.via && change.link ? nexthopOnlink : 0;
    const header = Uint8Array.from([
      family === 4 ? afInet : afInet6,
      to?.prefixLength ?? 0,
      0,
      0,
      tableMain,
      protocolStatic,
      scope,
      typeUnicast,
      flags,
      0,
      0,
      0,
    ]);
    return {
      type: rtmNewRoute,
      flags: nlmCreate | nlmReplace,
      header,
      attributes: [
        [rtaDst, to?.address],
        [rtaGateway, change.via === undefined ? undefined : ip(change.via)],
        [rtaOif, change.link === undefined ? undefined : u32(indexOf(change.link))],
        [rtaPrefsrc, change.source === undefined ? undefined : ip(change.source)],
      ],
      describe,
    };
  }
  const { address, prefixLength } = cidr(change.address);
  const flags =
    (familyOf(change.address) === "ipv6" ? addressNoDad : 0) |
    (change.kind === "address" && change.onLink === false ? addressNoPrefixRoute : 0);
  const header = Buffer.alloc(8);
  header.set([address.length === 4 ? afInet : afInet6, prefixLength, 0, 0]);
  header.writeUInt32LE(indexOf(change.link), 4);
  const attributes: Attributes = [
    [ifaLocal, address],
    [ifaAddress, address],
    [ifaFlags, u32(flags)],
  ];
  return change.kind === "address"
    ? { type: rtmNewAddr, flags: nlmCreate | nlmReplace, header, attributes, describe, tolerate: ["EEXIST"] }
    : { type: rtmDelAddr, flags: 0, header, attributes, describe, tolerate: ["EADDRNOTAVAIL"] };
}

/** An `ifinfomsg`; the flags given are both the wanted and the changed ones. */
function linkHeader(index: number, flags: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(flags, 12);
  return header;
}

/** An `ndmsg` that speaks of proxied neighbours. */
function neighbourHeader(family: number, index: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(family, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt8(neighbourProxyFlag, 10);
  return header;
}

/** A nested attribute list that begins with a fixed header, as veth's peer does. */
function withHeader(header: Buffer, attributes: Attributes): Uint8Array {
  const parts: Uint8Array[] = [header];
  for (const [type, value] of attributes) {
    if (!(value instanceof Uint8Array)) continue;
    const head = Buffer.alloc(4);
    head.writeUInt16LE(value.length + 4, 0);
    head.writeUInt16LE(type, 2);
    parts.push(head, value, Buffer.alloc((4 - (value.length & 3)) & 3));
  }
  return Buffer.concat(parts);
}

function decodeLink({ body }: { body: Buffer }): Link {
  const name = decodeAttributes(body, 16).get(iflaIfname);
  return {
    index: body.readInt32LE(4),
    name: name ? name.toString("latin1", 0, name.length - 1) : "",
    isUp: (body.readUInt32LE(8) & iffUp) !== 0,
  };
}

const noIndex = (): number => {
  throw new Error("unreachable: a bridge has no master");
};

const netlinkRoute = 0;
const afUnspecified = 0;
const afInet = 2;
const afInet6 = 10;
const rtmNewLink = 16;
const rtmDelLink = 17;
const rtmGetLink = 18;
const rtmNewAddr = 20;
const rtmDelAddr = 21;
const rtmGetAddr = 22;
const rtmNewRoute = 24;
const rtmDelRoute = 25;
const rtmNewNeigh = 28;
const rtmDelNeigh = 29;
const rtmGetNeigh = 30;
const neighbourProxyFlag = 0x08;
const ndaDst = 1;
const iffUp = 1;
const iflaAddress = 1;
const iflaIfname = 3;
const iflaMtu = 4;
const iflaMaster = 10;
const iflaLinkinfo = 18;
const iflaNetNsFd = 28;
const iflaInfoKind = 1;
const iflaInfoData = 2;
const iflaBrMcastSnooping = 23;
const vethInfoPeer = 1;
const ifaAddress = 1;
const ifaLocal = 2;
const ifaFlags = 8;
const addressNoDad = 0x02;
const addressNoPrefixRoute = 0x200;
const rtaDst = 1;
const rtaOif = 4;
const rtaGateway = 5;
const rtaPrefsrc = 7;
const tableMain = 254;
const protocolStatic = 4;
const scopeUniverse = 0;
const scopeLink = 253;
const scopeNowhere = 255;
const typeUnicast = 1;
const nexthopOnlink = 4;
