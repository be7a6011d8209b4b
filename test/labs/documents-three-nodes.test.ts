/** The labs of docs/labs on the cluster of most of them. */
import { doLabs } from "./do-labs.ts";

doLabs(["three-nodes.yaml"]);
