/** The headers of one request as they are read, and what no request may say (RFC 9113, section 8). */
import { fieldBytes } from "./static-table.ts";

/** What is said once: of several the first counts. Others are joined. */
const single = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "date",
  "etag",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "proxy-authorization",
  "range",
  "referer",
  "user-agent",
]);
/** Of the connection, which HTTP/2 says otherwise: whoever passed them on would be talked into something. */
const ofConnections = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]);

const nameForm = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const badInValue = /[\x00-\x08\x0a-\x1f\x7f]/;
const badInPath = /[\x00-\x20\x7f]/;

/** Nothing is inherited. Other than what `Object.create(null)` makes, V8 looks through it quickly. */
class HeaderRecord {
  [name: string]: string;
}
Object.setPrototypeOf(HeaderRecord.prototype, null);
Reflect.deleteProperty(HeaderRecord.prototype, "constructor");

export class RequestHeaders {
  readonly headers: Record<string, string> = new HeaderRecord();
  method = "";
  target = "";
  /** Bytes of the body as announced; undefined when nothing was said. */
  announcedBytes: number | undefined;
  /** They break a rule. */
  isMalformed = false;
  /** They are more than is taken, and those beyond are missing. */
  isTooLarge = false;
  #scheme = "";
  #authority = "";
  #bytes = 0;
  #isPastPseudo = false;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(name: string, value: string): void {
    this.#bytes += fieldBytes(name, value);
    if (this.#bytes > this.#limit) this.isTooLarge = true;
    if (this.isTooLarge || this.isMalformed) return;
    if (name.charCodeAt(0) === 0x3a) this.#addPseudo(name, value);
    else this.#addRegular(name, value);
  }

  /** To be called after the last one. */
  finish(): void {
    const isConnect = this.method === "CONNECT";
    const isWhole = isConnect ? this.#authority !== "" : this.#scheme !== "" && this.target !== "";
    if (!isWhole || this.method === "") this.isMalformed = true;
    if (this.#authority !== "") this.headers["host"] ??= this.#authority;
  }

  #addPseudo(name: string, value: string): void {
    if (this.#isPastPseudo || badInPath.test(value)) this.isMalformed = true;
    else if (name === ":method" && this.method === "") this.method = value;
    else if (name === ":path" && this.target === "" && (value[0] === "/" || value === "*")) this.target = value;
    else if (name === ":scheme" && this.#scheme === "") this.#scheme = value;
    else if (name === ":authority" && this.#authority === "") this.#authority = value;
    else this.isMalformed = true;
  }

  #addRegular(name: string, value: string): void {
    this.#isPastPseudo = true;
    if (!nameForm.test(name) || badInValue.test(value) || ofConnections.has(name)) {
      this.isMalformed = true;
      return;
    }
    const trimmed = value.trim();
    const { headers } = this;
    const before = headers[name];
    if (before === undefined) headers[name] = trimmed;
    else if (name === "cookie") headers[name] = `${before}; ${trimmed}`;
    else if (!single.has(name)) headers[name] = `${before}, ${trimmed}`;
    if (name === "te" && trimmed !== "trailers") this.isMalformed = true;
    if (name === "content-length") this.#announce(trimmed);
  }

  #announce(text: string): void {
    const bytes = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (bytes < 0 || (this.announcedBytes !== undefined && this.announcedBytes !== bytes)) this.isMalformed = true;
    else this.announcedBytes = bytes;
  }
}
