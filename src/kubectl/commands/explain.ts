/** `kubectl explain`: what the server's OpenAPI documents say of a kind's fields. */
import type { Api } from "../api.ts";
import type { Command, Invocation } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { explain as explainPlain, headOf, type Subject } from "../explain/plaintext.ts";
import { explainV2 } from "../explain/plaintext-v2.ts";
import { type Schema, Schemas } from "../explain/schema.ts";
import { type ApiResource, apiVersionOf } from "../resource-catalog.ts";

export const explain: Command = {
  summary: "Get documentation for a resource",
  usage: "TYPE [--recursive=FALSE|TRUE] [--api-version=api-version-group] [-o|--output=plaintext|plaintext-openapiv2]",
  examples: ["explain pods", "explain deployment.spec.strategy", "explain pods --recursive"],
  flags: [
    { name: "recursive", short: "R", kind: "bool", help: "the fields of fields, too, without their descriptions" },
    { name: "api-version", kind: "string", help: "the group and version, where the server has several" },
    {
      name: "output",
      short: "o",
      kind: "string",
      default: "plaintext",
      help: "plaintext, or plaintext-openapiv2 for the older layout",
    },
  ],
  async run(invocation) {
    const { session, flags, args } = invocation;
    if (args.length === 0) {
      throw new CommandError(
        'You must specify the type of resource to explain. Use "kubectl api-resources" for a complete list of supported resources.',
      );
    }
    if (args.length > 1) throw new CommandError("We accept only this format: explain RESOURCE");
    const output = flags.string("output");
    const [word = "", ...path] = args[0]!.replace(/\.$/, "").split(".");
    const { resource, fields } = await subjectOf(invocation, word, path);
    const api = await session.api();
    const { group, version, kind } = resource;
    const subject: Subject = { group, version, kind, path: fields, isRecursive: flags.bool("recursive") };
    const unknownField = (name: string) => new CommandError(`field ${JSON.stringify(name)} does not exist`);
    if (output === "plaintext-openapiv2") {
      const { definitions = {} } = await api.get<{ definitions?: Record<string, Schema> }>("/openapi/v2");
      const schemas = new Schemas(definitions);
      const answer = explainV2(schemas, rootOf(schemas, resource), subject);
      if ("unknown" in answer) throw unknownField(answer.unknown);
      session.print(answer.text);
      return 0;
    }
    if (output !== "plaintext") throw new CommandError(`unrecognized format: ${output}`);
    const schemas = await schemasOf(api, resource);
    const answer = explainPlain(schemas, rootOf(schemas, resource), subject);
    session.print(headOf(subject));
    if ("unknown" in answer) throw unknownField(answer.unknown);
    session.print(answer.text);
    return 0;
  },
};

/** `deployments.apps.spec`: the group's parts and the fields both follow dots. */
async function subjectOf({ session, flags }: Invocation, word: string, path: readonly string[]) {
  const catalog = await session.catalogWith((known) => known.lookUp(word));
  const find = (name: string): ApiResource => {
    try {
      return catalog.find(name);
    } catch (error) {
      throw error instanceof CommandError ? new CommandError(error.message, { isVerbatim: true }) : error;
    }
  };
  let resource = find(word);
  let fields = path;
  for (let count = path.length; count > 0; count--) {
    const group = path.slice(0, count).join(".");
    const named = catalog.resources.find((each) => each.group === group && each.plural === resource.plural);
    if (!named) continue;
    resource = named;
    fields = path.slice(count);
    break;
  }
  const apiVersion = flags.string("api-version");
  if (!apiVersion) return { resource, fields };
  const versioned = catalog.resources.find(
    (each) => apiVersionOf(each) === apiVersion && each.plural === resource.plural,
  );
  if (versioned) return { resource: versioned, fields };
  throw new CommandError(`couldn't find resource for ${JSON.stringify(`${apiVersion}, Resource=${resource.plural}`)}`);
}

function rootOf(schemas: Schemas, { group, version, kind }: ApiResource): Schema {
  const root = schemas.ofKind(group, version, kind);
  if (root) return root;
  throw new CommandError(
    `couldn't find resource for ${JSON.stringify(`${group ? `${group}/` : ""}${version}, Kind=${kind}`)}`,
  );
}

async function schemasOf(api: Api, resource: ApiResource): Promise<Schemas> {
  const { paths } = await api.get<{ paths: Record<string, { serverRelativeURL: string }> }>("/openapi/v3");
  const entry = paths[resource.group ? `apis/${apiVersionOf(resource)}` : `api/${resource.version}`];
  if (!entry) throw new CommandError(`couldn't find resource for ${JSON.stringify(apiVersionOf(resource))}`);
  const document = await api.get<{ components?: { schemas?: Record<string, Schema> } }>(entry.serverRelativeURL);
  return new Schemas(document.components?.schemas ?? {});
}
