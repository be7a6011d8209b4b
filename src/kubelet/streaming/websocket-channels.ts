/** The channels of one command over a WebSocket (KEP-4006): its streams, its terminal's size, and at the end its outcome. */
import type { IncomingMessage } from "node:http";
import type { Duplex, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { ChannelServer, type ChannelSocket } from "./channel-socket.ts";
import type { CommandStreams, WantedStreams } from "./remote-command.ts";
import { terminalSizes } from "./terminal-sizes.ts";

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
/** The only one in which a client can say that its input has ended. */
const v5 = "v5.channel.k8s.io";
/** These end with a Status, and the older ones with words, or with nothing when all went well. */
const withStatus: readonly string[] = [v5, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"];

const server = new ChannelServer([...withStatus, "channel.k8s.io", "base64.channel.k8s.io"]);

export interface CommandChannels {
  streams: CommandStreams;
  /** Sends the outcome, a Status in JSON, and closes. Resolves when the connection is closed. */
  finish(outcome: string): Promise<void>;
}

/** Resolves with undefined when the handshake was refused. */
export async function openChannels(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  wanted: WantedStreams,
): Promise<CommandChannels | undefined> {
  const channels = await server.accept(request, socket, head);
  return channels && channelsOf(channels, wanted);
}

function channelsOf(socket: ChannelSocket, wanted: WantedStreams): CommandChannels {
  const gone = new AbortController();
  const stdin = wanted.stdin ? socket.input() : undefined;
  const sizes = wanted.tty ? socket.input() : undefined;
  socket.onMessage((number, payload) => {
    if (number === channel.stdin) stdin?.take(payload);
    else if (number === channel.resize) sizes?.take(payload);
    else if (number === channel.close && socket.protocol === v5 && payload[0] === channel.stdin) stdin?.take(undefined);
  });
  socket.onClose(() => {
    stdin?.take(undefined);
    sizes?.take(undefined);
    gone.abort(new Error("the client went away"));
  });
  const outputs: Writable[] = [];
  const output = (number: number) => {
    const writable = socket.output(number);
    outputs.push(writable);
    return writable;
  };
  return {
    streams: {
      ...(stdin ? { stdin: stdin.readable } : {}),
      ...(wanted.stdout ? { stdout: output(channel.stdout) } : {}),
      ...(wanted.stderr && !wanted.tty ? { stderr: output(channel.stderr) } : {}),
      ...(sizes ? { resize: terminalSizes(sizes.readable) } : {}),
      signal: gone.signal,
    },
    async finish(outcome) {
      // The outcome overtakes nothing: a client takes it for the end.
      await Promise.all(outputs.map((writable) => finished(writable.end()).catch(() => {})));
      const said = withStatus.includes(socket.protocol) ? outcome : inWords(outcome);
      if (said !== "") await new Promise<void>((done) => socket.send(channel.error, Buffer.from(said), done));
      await socket.close();
    },
  };
}

function inWords(outcome: string): string {
  const { status, message = "" } = JSON.parse(outcome) as { status: string; message?: string };
  return status === "Success" ? "" : message;
}
