/** `kubectl options`: the flags that every verb takes. */
import type { Command } from "../command.ts";
import { globalFlags } from "../global-flags.ts";
import { flagText } from "../help.ts";

export const options: Command = {
  summary: "Print the list of flags inherited by all commands",
  usage: "",
  examples: ["options"],
  flags: [],
  run({ session }) {
    const texts = globalFlags.map(flagText).sort();
    session.print(`The following options can be passed to any command:\n\n${texts.join("\n\n")}\n`);
    return Promise.resolve(0);
  },
};
