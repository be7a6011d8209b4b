#!/usr/bin/env node
/** The entry file of the `pinnace` command. */
import { fileURLToPath } from "node:url";
import { runCli } from "../cluster/cli.ts";

process.exitCode = await runCli(process.argv.slice(2), fileURLToPath(import.meta.url));
