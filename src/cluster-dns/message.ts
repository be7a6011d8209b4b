/** DNS messages as values (RFC 1035, EDNS of RFC 6891). Names are lower-case presentation format without the final dot; the root is "". */

export const RecordType = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
} as const;

export const Rcode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;

export const classInternet = 1;

export interface Question {
  name: string;
  type: number;
  class: number;
}

/** Of types that hold names the names are decoded, so that they can be compressed anew; of all others the bytes are kept. */
export type RecordData =
  | { kind: "bytes"; bytes: Uint8Array }
  /** CNAME, NS, PTR, DNAME. */
  | { kind: "name"; name: string }
  | { kind: "mx"; preference: number; exchange: string }
  | { kind: "srv"; priority: number; weight: number; port: number; target: string }
  | {
      kind: "soa";
      primary: string;
      mailbox: string;
      serial: number;
      refresh: number;
      retry: number;
      expire: number;
      minimum: number;
    };

export interface ResourceRecord {
  name: string;
  type: number;
  class: number;
  /** Seconds. */
  ttl: number;
  data: RecordData;
}

export interface Message {
  id: number;
  isResponse: boolean;
  opcode: number;
  authoritative: boolean;
  truncated: boolean;
  recursionDesired: boolean;
  recursionAvailable: boolean;
  checkingDisabled: boolean;
  /** With the upper bits that EDNS adds. */
  rcode: number;
  questions: Question[];
  answers: ResourceRecord[];
  authority: ResourceRecord[];
  /** Without the OPT record, which is `edns`. */
  additional: ResourceRecord[];
  edns?: Edns;
}

export interface Edns {
  /** The largest datagram the sender takes. */
  udpSize: number;
  version: number;
  dnssecOk: boolean;
}

/** What a plugin has to say to a question. */
export interface Answer {
  rcode: number;
  authoritative: boolean;
  answers: readonly ResourceRecord[];
  authority: readonly ResourceRecord[];
  additional: readonly ResourceRecord[];
  /** The same question gets the same answer, in the same order, until the zone changes. Default false. */
  isLasting?: boolean;
}

/** An address record, A or AAAA by the address's length. */
export function addressRecord(name: string, address: Uint8Array, ttl: number): ResourceRecord {
  const type = address.length === 4 ? RecordType.A : RecordType.AAAA;
  return { name, type, class: classInternet, ttl, data: { kind: "bytes", bytes: address } };
}

export function nameRecord(name: string, type: number, target: string, ttl: number): ResourceRecord {
  return { name, type, class: classInternet, ttl, data: { kind: "name", name: target } };
}
