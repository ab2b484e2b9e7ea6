// Shows what a terminal shows: reads what a program wrote to one, interprets it with xterm.js, and writes the screen as a page to be photographed.
// node terminal-page.mjs OUTPUT COLUMNS COMMAND PAGE.html [PART]
// PART, from 0 to 1, stops at that part of the output's bytes. Prints the page's width and height.
import { readFileSync, writeFileSync } from 'node:fs';
import headless from '@xterm/headless';
import serialize from '@xterm/addon-serialize';

const [output, columns, command, page, part = '1'] = process.argv.slice(2);
const fontSize = 14, lineHeight = 19, characterWidth = 8.43, padding = 16;

// `script` adds a first and a last line of its own.
const bytes = readFileSync(output);
const text = bytes.subarray(bytes.indexOf('\n') + 1).toString('utf8').replace(/\r?\n?Script done on .*\s*$/s, '');
const shown = text.slice(0, Math.floor(text.length * Number(part)));

// A column more than the program knew of: in the page, a line loses the colours of a full line before it.
const terminal = new headless.Terminal({ cols: Number(columns) + 1, rows: 60, allowProposedApi: true, convertEol: true });
const addon = new serialize.SerializeAddon();
terminal.loadAddon(addon);
await new Promise(done => terminal.write(`\x1b[90m$\x1b[0m ${command}\r\n${shown}`, done));

const buffer = terminal.buffer.active;
let rows = buffer.length;
while (rows > 1 && buffer.getLine(rows - 1).translateToString(true) === '')
  rows--;

const screen = addon.serializeAsHTML({ scrollback: 0, includeGlobalBackground: true }).replace(/^[\s\S]*<!--StartFragment-->|<!--EndFragment-->[\s\S]*$/g, '')
  .replaceAll('#555753', '#94928a'); // its grey, which is too dark to read on this background
writeFileSync(page, `<!DOCTYPE html>
<meta charset="utf-8">
<style>
  body { margin: 0; background: #1b1b19; overflow: hidden; }
  pre { margin: ${padding}px; }
  pre > div { color: #e6e4dc !important; background: none !important; font: ${fontSize}px/${lineHeight}px "DejaVu Sans Mono", monospace !important; }
  pre > div > div { height: ${lineHeight}px; white-space: pre; }
</style>
${screen}`);
console.log(`${Math.ceil(Number(columns) * characterWidth) + 2 * padding},${rows * lineHeight + 2 * padding}`);
