/** `kubectl completion` */
import type { Command } from "../command.ts";
import { usageError } from "../command-error.ts";
import { shellScripts } from "../completion/shell-scripts.ts";

export const completion: Command = {
  summary: "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)",
  usage: "SHELL",
  examples: ["completion bash > ~/.kube/completion.bash", "completion zsh", "completion fish"],
  flags: [],
  run({ session, args }) {
    const [shell, ...more] = args;
    if (!shell) throw usageError("completion", "Shell not specified.");
    if (more.length > 0) throw usageError("completion", "Too many arguments. Expected only the shell type.");
    const script = shellScripts[shell];
    if (!script) throw usageError("completion", `Unsupported shell type ${JSON.stringify(shell)}.`);
    session.print(script);
    return Promise.resolve(0);
  },
};
