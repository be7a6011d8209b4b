/** From a packet to the packet that answers it: what is the same for UDP and TCP. */
import { type Answer, type Message, Rcode } from "./message.ts";
import type { Next } from "./plugin.ts";
import { decodeHeader, decodeMessage, encodeMessage, isOrdinaryQuestion, WireError } from "./wire.ts";

/** What a client may get in one datagram without having said that it takes more. */
const plainUdpSize = 512;
/** What this server takes, and gives at most, in one datagram: beyond it fragments get lost. */
const ownUdpSize = 4096;

/**
 * The answer to a packet, at once where the plugins need not wait; undefined for what deserves none (responses, and
 * what is too short to have an id). Never rejects. `onLasting` hears the answer when it is the same until the zone changes.
 */
export function respond(
  packet: Buffer,
  transport: "udp" | "tcp",
  ask: Next,
  onLasting?: (response: Buffer) => void,
): Buffer | Promise<Buffer> | undefined {
  const header = decodeHeader(packet);
  if (!header) return undefined;
  let request: Message;
  try {
    request = decodeMessage(packet);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return encodeMessage(refusal({ ...emptyRequest, ...header }, Rcode.FORMERR));
  }
  if (request.opcode !== 0) return encodeMessage(refusal(request, Rcode.NOTIMP));
  if (request.edns && request.edns.version !== 0) return encodeMessage(refusal(request, Rcode.BADVERS));
  if (request.questions.length !== 1) return encodeMessage(refusal(request, Rcode.FORMERR));
  if (!isOrdinaryQuestion(request)) return encodeMessage(refusal(request, Rcode.REFUSED));
  const limit = transport === "tcp" ? 65_535 : Math.min(ownUdpSize, Math.max(plainUdpSize, request.edns?.udpSize ?? 0));
  const query = {
    ...request.questions[0]!,
    checkingDisabled: request.checkingDisabled,
    dnssecOk: request.edns?.dnssecOk ?? false,
  };
  const encode = (answer: Answer, asked = packet) =>
    inTheWordsOf(asked, encodeMessage(responseTo(request, answer), limit));
  const fail = () => encodeMessage(refusal(request, Rcode.SERVFAIL));
  try {
    const answer = ask(query);
    if (answer instanceof Promise) {
      const asked = Buffer.from(packet); // Its buffer may hold another packet by then.
      return answer.then((answer) => encode(answer, asked)).catch(fail);
    }
    const response = encode(answer);
    if (answer.isLasting) onLasting?.(response);
    return response;
  } catch {
    return fail();
  }
}

function responseTo(request: Message, answer: Answer): Message {
  return {
    id: request.id,
    isResponse: true,
    opcode: request.opcode,
    authoritative: answer.authoritative,
    truncated: false,
    recursionDesired: request.recursionDesired,
    recursionAvailable: true,
    checkingDisabled: request.checkingDisabled,
    rcode: answer.rcode,
    questions: request.questions,
    answers: answer.answers as Message["answers"],
    authority: answer.authority as Message["authority"],
    additional: answer.additional as Message["additional"],
    ...(request.edns ? { edns: { udpSize: ownUdpSize, version: 0, dnssecOk: request.edns.dnssecOk } } : {}),
  };
}

function refusal(request: Message, rcode: number): Message {
  return responseTo(request, { rcode, authoritative: false, answers: [], authority: [], additional: [] });
}

/** Repeats the question letter by letter: some resolvers mix upper and lower case and compare. */
function inTheWordsOf(request: Buffer, response: Buffer): Buffer {
  let end = headerLength;
  while (end < request.length && request[end] !== 0) {
    if (request[end]! > 63) return response; // A compressed question; nobody sends one.
    end += request[end]! + 1;
  }
  if (end < response.length) request.copy(response, headerLength, headerLength, end);
  return response;
}

const headerLength = 12;

const emptyRequest: Message = {
  id: 0,
  isResponse: false,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: false,
  recursionAvailable: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [],
  answers: [],
  authority: [],
  additional: [],
};
