export function printSchema() { return "export {};\n"; }
export function printSchemaIndex() { return "export {};\n"; }
