/** `-o go-template`: Go's text/template over what JSON holds. */

import { goQuote } from "../../../base/go-quote.ts";
import type { Unstructured } from "../../api.ts";
import { CommandError } from "../../command-error.ts";
import { goValue } from "../../go-format.ts";
import { compactGoJson } from "../printable.ts";
import { fillTemplate } from "./execute.ts";
import { templateFunctions } from "./functions.ts";
import { parseTemplate, TemplateError } from "./parse.ts";

/** Throws a CommandError for a template that is not one; what it returns, for one that cannot be filled. */
export function parseGoTemplate(source: string, allowsMissing: boolean): (object: Unstructured) => string {
  const template = inWords(source);
  return (object) => {
    const { text, error } = fillTemplate(template, object, allowsMissing);
    if (!error) return text;
    const explanation = `Error executing template: ${error.message}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t${source}\n\traw data was:\n\t\t${compactGoJson(object)}\n\tobject given to template engine was:\n\t\t${goValue(object, true)}\n\n`;
    throw new CommandError(`error executing template ${goQuote(source)}: ${error.message}`, {
      output: text + explanation,
    });
  };
}

function inWords(source: string) {
  try {
    return parseTemplate(source, new Set(Object.keys(templateFunctions)));
  } catch (error) {
    throw error instanceof TemplateError
      ? new CommandError(`error parsing template ${source}, ${error.message}`)
      : error;
  }
}
