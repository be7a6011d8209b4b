/** `kubectl config set`, `unset`: one value of the kubeconfig by its path, `users.jane.token`. */
import type { Command } from "../command.ts";
import { CommandError } from "../command-error.ts";
import { type EntryList, entryLists, type Fields, KubeconfigFiles } from "../kubeconfig-files.ts";
import { exactly } from "./config-arguments.ts";

/** What an entry's field holds; `deep` is more than one value, which these verbs do not reach. */
type FieldType = "text" | "switch" | "bytes" | "deep";

const fieldTypes: Readonly<Record<EntryList, Readonly<Record<string, FieldType>>>> = {
  clusters: {
    server: "text",
    "tls-server-name": "text",
    "insecure-skip-tls-verify": "switch",
    "certificate-authority": "text",
    "certificate-authority-data": "bytes",
    "proxy-url": "text",
    "disable-compression": "switch",
    extensions: "deep",
  },
  users: {
    "client-certificate": "text",
    "client-certificate-data": "bytes",
    "client-key": "text",
    "client-key-data": "bytes",
    token: "text",
    tokenFile: "text",
    as: "text",
    "as-uid": "text",
    "as-groups": "deep",
    "as-user-extra": "deep",
    username: "text",
    password: "text",
    "auth-provider": "deep",
    exec: "deep",
    extensions: "deep",
  },
  contexts: { cluster: "text", user: "text", namespace: "text", extensions: "deep" },
};
const emptyEntries: Readonly<Record<EntryList, Fields>> = {
  clusters: { server: "" },
  users: {},
  contexts: { cluster: "", user: "" },
};

/** Where a property stands: a list, one of its entries, a field of it. */
interface Place {
  list: EntryList;
  name?: string;
  field?: string;
}

export const setProperty: Command = {
  summary: "Set an individual value in a kubeconfig file",
  usage: "PROPERTY_NAME PROPERTY_VALUE",
  flags: [{ name: "set-raw-bytes", kind: "bool", help: "take the value of a field of bytes as it is, not as base64" }],
  async run(invocation) {
    const { session, flags } = invocation;
    const [property = "", value = ""] = exactly(2, "config set", setProperty, invocation);
    if (value === "") throw new CommandError("you cannot use set to unset a property");
    const files = await KubeconfigFiles.read(session);
    if (property === "current-context") files.setCurrentContext(value);
    else if (property === "preferences.colors") {
      files.setPreferences({ ...files.merged().preferences, colors: switchOf(value) });
    } else {
      const { list, name, field } = placeOf(property);
      if (!name || !field) throw new CommandError("can't set a map to a value: map[]");
      const set = fieldValue(property, fieldTypes[list][field]!, value, flags.bool("set-raw-bytes"));
      const fields = { ...(files.entry(list, name) ?? emptyEntries[list]), [field]: set };
      if (set === false) delete fields[field];
      files.setEntry(list, name, fields);
    }
    session.print(`Property ${JSON.stringify(property)} set.\n`);
    return 0;
  },
};

export const unsetProperty: Command = {
  summary: "Unset an individual value in a kubeconfig file",
  usage: "PROPERTY_NAME",
  flags: [],
  async run(invocation) {
    const [property = ""] = exactly(1, "config unset", unsetProperty, invocation);
    const files = await KubeconfigFiles.read(invocation.session);
    if (property === "current-context") files.setCurrentContext("");
    else if (property === "preferences") files.setPreferences({});
    else unset(files, property);
    invocation.session.print(`Property ${JSON.stringify(property)} unset.\n`);
    return 0;
  },
};

function unset(files: KubeconfigFiles, property: string): void {
  const { list, name, field } = placeOf(property);
  if (!name) {
    files.clear(list);
    return;
  }
  const fields = files.entry(list, name);
  if (!field) {
    if (fields) files.setEntry(list, name, undefined);
    return;
  }
  if (!fields) throw new CommandError(`current map key \`${name}\` is invalid`);
  const kept = { ...fields };
  delete kept[field];
  files.setEntry(list, name, { ...emptyEntries[list], ...kept });
}

/** A name may hold dots; it ends where a field begins. */
function placeOf(property: string): Place {
  const [head = "", ...rest] = property.split(".");
  const list = entryLists.find((each) => each === head);
  if (!list) throw new CommandError(`unable to parse ${property} after [] at api.Config`);
  if (rest.length === 0) return { list };
  const at = rest.findIndex((part, i) => i > 0 && part in fieldTypes[list]);
  if (at < 0) return { list, name: rest.join(".") };
  const field = rest[at]!;
  if (at < rest.length - 1 || fieldTypes[list][field] === "deep") {
    throw new CommandError(`unable to parse one or more field values of ${property}`);
  }
  return { list, name: rest.slice(0, at).join("."), field };
}

function fieldValue(property: string, type: FieldType, value: string, isRaw: boolean): string | boolean {
  switch (type) {
    case "text":
      return value;
    case "switch":
      return switchOf(value);
    case "bytes":
      if (isRaw) return Buffer.from(value).toString("base64");
      return base64Of(value);
    default:
      throw new CommandError(`unable to parse one or more field values of ${property}`);
  }
}

function switchOf(value: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw new CommandError(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

/** Throws a CommandError in Go's words for what is no base64. */
function base64Of(value: string): string {
  const text = value.replaceAll(/[\r\n]/g, "");
  const bad = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?/.exec(text)![0].length;
  if (bad < text.length) {
    const at = text.slice(bad).search(/[^A-Za-z0-9+/]/);
    const where = at < 0 ? bad : bad + at;
    throw new CommandError(`error decoding input value: illegal base64 data at input byte ${where}`);
  }
  return text;
}
