// The types of Stripe's own library as judge: each request's parameters, written as a literal of the type that the library
// takes for them, must compile. Names that a type does not have and what it needs are the compiler's to find.

import { fileURLToPath } from 'node:url';

import ts from 'typescript';

import { unbracket } from './openapi.mjs';

const PROGRAM = fileURLToPath(new URL('stripe-requests.mts', import.meta.url));
const OPTIONS = {
  noEmit: true, strict: true, skipLibCheck: true, types: [],
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
};

/** Numbers and truths are text on the wire. Texts of digits alone are nowhere among what the plugin sends. */
function literal(value) {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object') {
    return `{ ${Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}: ${literal(member)}`).join(', ')} }`;
  }
  return /^(\d+|true|false)$/.test(value) ? value : JSON.stringify(value);
}

/** What the compiler says of the parameters of each call: `type` is a name within the library's `Stripe`. */
export function typed(calls) {
  const lines = calls.map(({ type, call }, index) => {
    const pairs = new URLSearchParams(call.method === 'post' ? call.content : call.url.split('?')[1]);
    return `export const request${index}: Stripe.${type} = ${literal(unbracket(pairs))};`;
  });
  const text = ["import type { Stripe } from 'stripe';", ...lines].join('\n');
  const host = ts.createCompilerHost(OPTIONS);
  const { readFile, fileExists, getSourceFile } = host;
  // The program is nowhere but here.
  host.fileExists = (name) => name === PROGRAM || fileExists(name);
  host.readFile = (name) => (name === PROGRAM ? text : readFile(name));
  host.getSourceFile = (name, version, ...more) => (
    name === PROGRAM ? ts.createSourceFile(name, text, version) : getSourceFile(name, version, ...more)
  );
  const program = ts.createProgram([PROGRAM], OPTIONS, host);
  const found = calls.map(() => []);
  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
    const words = ts.flattenDiagnosticMessageText(messageText, ' ');
    if (file?.fileName !== PROGRAM) throw new Error(words);
    // The first line is the import.
    const at = file.getLineAndCharacterOfPosition(start).line - 1;
    if (at < 0) throw new Error(words);
    found[at].push(`${words}: ${lines[at]}`);
  }
  return found;
}
