/** The server's tables (meta.k8s.io/v1 Table) on the terminal. */
import { age } from "../ages.ts";
import type { Unstructured } from "../api.ts";
import type { FlagValues } from "../flags.ts";
import { type ApiResource, kindText } from "../resource-catalog.ts";
import { TabWriter } from "../tab-writer.ts";

export interface Table {
  metadata?: { resourceVersion?: string; continue?: string };
  columnDefinitions: { name: string; type: string; priority: number }[];
  rows: TableRow[];
}

interface TableRow {
  cells: unknown[];
  object?: { metadata?: { name?: string; namespace?: string; labels?: Record<string, string> } };
}

export const tableAccept =
  "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

/** What is no table, of a server that makes none of it or was not asked to, by its names and ages. */
export function asTable(answer: Unstructured, nowMs: number): Table {
  if (answer.kind === "Table")
    return { ...(answer as unknown as Table), rows: (answer as unknown as Table).rows ?? [] };
  const objects = Array.isArray(answer["items"]) ? (answer["items"] as Unstructured[]) : [answer];
  const columns = ["Name", "Age"].map((name) => ({ name, type: "string", priority: 0 }));
  const rows = objects.map((object) => {
    const { name, creationTimestamp } = object.metadata;
    return { cells: [name, age(creationTimestamp as string | undefined, nowMs)], object };
  });
  return { metadata: answer.metadata as NonNullable<Table["metadata"]>, columnDefinitions: columns, rows };
}

/** Tables of one kind as one. */
export function mergeTables([first, ...others]: readonly Table[]): Table | undefined {
  return first && { ...first, rows: [first, ...others].flatMap(({ rows }) => rows ?? []) };
}

interface TableStyle {
  /** Stands before each name. */
  kind: ApiResource | undefined;
  /** A column with each object's namespace. */
  namespace: boolean;
  /** A column with the kind of change. */
  event?: boolean;
}

/** Writes the headings once; columns stay as wide as they have been. */
export class TablePrinter {
  readonly #flags: FlagValues;
  readonly #style: TableStyle;
  readonly #writer = new TabWriter();
  readonly #labels: string[];
  #columns: Table["columnDefinitions"] = [];
  #hasHeadings: boolean;

  constructor(flags: FlagValues, style: TableStyle) {
    this.#flags = flags;
    this.#style = style;
    this.#labels = flags.commaList("label-columns");
    this.#hasHeadings = flags.bool("no-headers");
  }

  format(table: Table, { event = "" }: { event?: string } = {}): string {
    // Later parts of a watch leave the definitions out.
    if (table.columnDefinitions?.length) this.#columns = table.columnDefinitions;
    const isWide = this.#flags.string("output") === "wide";
    const shown = this.#columns.flatMap(({ priority }, i) => (priority === 0 || isWide ? [i] : []));
    const rows = (table.rows ?? []).map((row) => this.#row(row, shown, event));
    if (this.#hasHeadings) return this.#writer.format(rows);
    this.#hasHeadings = true;
    const { event: hasEvent, namespace } = this.#style;
    const headings = [
      ...(hasEvent ? ["EVENT"] : []),
      ...(namespace ? ["NAMESPACE"] : []),
      ...shown.map((i) => this.#columns[i]!.name.toUpperCase()),
      ...this.#labels.map((label) => label.split("/").at(-1)!.toUpperCase()),
      ...(this.#flags.bool("show-labels") ? ["LABELS"] : []),
    ];
    return this.#writer.format([headings, ...rows]);
  }

  #row({ cells, object }: TableRow, shown: readonly number[], event: string): string[] {
    const { namespace = "", labels = {} } = object?.metadata ?? {};
    const { kind } = this.#style;
    return [
      ...(this.#style.event ? [event] : []),
      ...(this.#style.namespace ? [namespace] : []),
      ...shown.map((i) => {
        const text = cellText(cells[i]);
        return kind && this.#columns[i]!.name.toLowerCase() === "name" ? `${kindText(kind)}/${text}` : text;
      }),
      ...this.#labels.map((label) => labels[label] ?? ""),
      ...(this.#flags.bool("show-labels") ? [labelsText(labels)] : []),
    ];
  }
}

/** One line a cell; what follows a line break is cut off and marked. */
function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return "";
  const text = typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  const end = text.search(/[\f\n\r]/);
  return end < 0 ? text : `${text.slice(0, end)}...`;
}

/** `app=web,tier=front`, or `<none>`. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const entries = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([key, value]) => `${key}=${value}`).join(",") || "<none>";
}
