/** `-v=6` and above: what is asked of the server and what it answers, on standard error as klog writes it. */
import type { Clock } from "../base/clock.ts";

/** From this level on there is something to tell. */
export const requestsLevel = 6;
const headersLevel = 7;
const bodiesLevel = 8;
const commandLevel = 9;
/** Bodies are cut to so many characters at a level; above the last they are whole. */
const bodyLimits: Readonly<Record<number, number>> = { 8: 1024, 9: 10_240 };
/** What of a request's headers would give the user's secret away. */
const secretHeader = /^authorization$/i;

interface Sent {
  method: string;
  url: string;
  headers: Readonly<Record<string, string | string[]>>;
  body: string;
}

interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

interface Output {
  stderr: { write(text: string): unknown };
  clock: Clock;
}

export class RequestTrace {
  readonly #level: number;
  readonly #output: Output;

  constructor(level: number, output: Output, kubeconfigs: readonly string[]) {
    this.#level = level;
    this.#output = output;
    for (const file of kubeconfigs) this.#line("loader.go:407", `Config loaded from file:  ${file}`);
  }

  /** Tells of a request; call what it returns with the answer's head. */
  sent({ method, url, headers, body }: Sent): (answer: Answer) => void {
    const startMs = this.#output.clock.now();
    const request = `verb=${JSON.stringify(method)} url=${JSON.stringify(url)}`;
    if (this.#level >= bodiesLevel) this.#body("Request Body", body);
    if (this.#level >= commandLevel) this.#request(`curlCommand=<\n\t${curl(method, url, headers)}\n >`);
    else if (this.#level >= headersLevel) this.#request(`${request} headers=<\n${headerLines(headers)} >`);
    return ({ status, headers: answered }) => {
      const said = `${status} ${statusTexts[status] ?? ""}`.trimEnd();
      // Who has just seen the request need not be told of it again.
      const isTold = this.#level >= headersLevel && this.#level < commandLevel;
      const parts = [
        ...(isTold ? [] : [request]),
        `status=${JSON.stringify(said)}`,
        ...(this.#level >= bodiesLevel ? [`headers=<\n${headerLines(answered)} >`] : []),
        `milliseconds=${Math.round(this.#output.clock.now() - startMs)}`,
      ];
      this.#line("round_trippers.go:632", `"Response" ${parts.join(" ")}`);
    };
  }

  /** Tells of an answer's body. */
  received(body: string): void {
    if (this.#level >= bodiesLevel) this.#body("Response Body", body);
  }

  #request(text: string): void {
    this.#line("round_trippers.go:527", `"Request" ${text}`);
  }

  #body(title: string, body: string): void {
    const limit = bodyLimits[this.#level] ?? Number.POSITIVE_INFINITY;
    const cut = body.length > limit ? `${body.slice(0, limit)} [truncated ${body.length - limit} chars]` : body;
    const text = cut.includes("\n")
      ? `<\n\t${cut.replace(/\n$/, "").replaceAll("\n", "\n\t")}\n >`
      : JSON.stringify(cut);
    this.#line("helper.go:105", `${JSON.stringify(title)} body=${text}`);
  }

  #line(place: string, text: string): void {
    logLine(this.#output, place, text);
  }
}

/** Writes a line as klog does; `place` is where upstream's would come from. */
export function logLine({ stderr, clock }: Output, place: string, text: string): void {
  const now = new Date(clock.now());
  const two = (value: number) => String(value).padStart(2, "0");
  const day = two(now.getMonth() + 1) + two(now.getDate());
  const micros = String(now.getMilliseconds()).padStart(3, "0").padEnd(6, "0");
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}.${micros}`;
  stderr.write(`I${day} ${time} ${String(process.pid).padStart(7)} ${place}] ${text}\n`);
}

function headerLines(headers: Answer["headers"]): string {
  return Object.entries(headers)
    .filter(([name]) => !name.startsWith(":"))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) => [value ?? ""].flat().map((each) => `\t${headerName(name)}: ${shown(name, each)}\n`))
    .join("");
}

function curl(method: string, url: string, headers: Sent["headers"]): string {
  const options = Object.entries(headers)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) => [value].flat().map((each) => ` -H "${headerName(name)}: ${shown(name, each)}"`));
  return `curl -v -X${method} ${options.join("")} '${url}'`;
}

const headerName = (name: string): string => name.replaceAll(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
const shown = (name: string, value: string): string =>
  secretHeader.test(name) ? value.replace(/^(\S+) .*/, "$1 <masked>") : value;

const statusTexts: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  409: "Conflict",
  410: "Gone",
  415: "Unsupported Media Type",
  422: "Unprocessable Entity",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};
