// The coloured text, the figures of the part that is pointed at, the words and the table.
import { bitsOf, bitsText, focusOf, oddsText, strangest } from './figures.js';

// A part of so many bits has the full colour.
const mostBits = 12;
const words = 8;

const element = id => document.getElementById(id);
const hint = element('details').textContent;
let parts = [];
let reports = [];

/** Shows a text that was read. */
export function show(text, newReports, newParts) {
  reports = newReports;
  parts = newParts;
  const reading = element('reading');
  reading.replaceChildren(...parts.flatMap(draw));
  parts.forEach((part, i) => part.element.tabIndex = i === 0 ? 0 : -1);
  offerLayers();
  offerWords(strangest(text, parts, words));
  paint();
}

/** Colours the parts by what is chosen. */
export function paint() {
  const byFocus = element('colours').value === 'focus';
  const layer = element('layer').value || 'all';
  element('head').disabled = layer === 'all';
  const head = element('head').value || 'all';
  const greatest = new Map(reports.map(report => [report, Math.max(0, ...focusOf(report, layer, head).slice(1))]));
  for (const part of parts) {
    const focus = focusOf(part.report, layer, head);
    part.focus = part.tokens.reduce((sum, token) => sum + (focus[token.index] ?? NaN), 0) / part.tokens.length;
    const share = byFocus ? part.focus / greatest.get(part.report) : part.bits / mostBits;
    part.element.style.setProperty('--v', Math.max(0, Math.min(1, share || 0)).toFixed(4));
    part.element.dataset.bits = part.bits;
    part.element.dataset.focus = part.focus;
    part.element.setAttribute('aria-label', `${sayable(part.text)}: ${figuresText(part)}`);
  }
  document.querySelectorAll('.of-focus').forEach(control => control.hidden = !byFocus);
  for (const id of ['reading', 'legend'])
    element(id).classList.toggle('of-the-focus', byFocus);
  element('least').textContent = byFocus ? 'focus 0' : '0 bits';
  element('most').textContent = byFocus ? Math.max(0, ...greatest.values()).toFixed(2) : `${mostBits} bits or more`;
  element('focus-of').textContent = layer === 'all' ? 'Focus' : head === 'all' ? `Focus of layer ${+layer + 1}` : `Focus of layer ${+layer + 1}, head ${+head + 1}`;
  if (element('table-of-tokens').open)
    tabulate();
}

/** Lists all tokens in the table. */
export function tabulate() {
  const layer = element('layer').value || 'all';
  const head = element('head').value || 'all';
  let place = 0;
  element('rows').replaceChildren(...reports.flatMap(report => report.tokens.slice(1).map((token, i) => {
    const row = document.createElement('tr');
    const text = token.length > 0 ? report.text.substr(token.start, token.length) : '·';
    const focus = focusOf(report, layer, head)[i + 1];
    for (const value of [++place, visible(text), bitsOf(token).toFixed(2), oddsText(bitsOf(token)), focus?.toFixed(3) ?? '–'])
      row.insertCell().textContent = value;
    return row;
  })));
}

/** Goes to a part. */
export function go(part) {
  part?.element.focus();
  part?.element.scrollIntoView({ block: 'nearest' });
}

function draw(part) {
  const space = part.text.match(/^\s*/)[0];
  const isBlank = space.length === part.text.length;
  const span = document.createElement('span');
  span.className = 'token';
  span.setAttribute('role', 'option');
  span.setAttribute('aria-selected', 'false');
  part.element = span;
  span.addEventListener('mouseenter', () => tell(part));
  span.addEventListener('mouseleave', () => tell(parts.find(other => other.element === document.activeElement)));
  span.addEventListener('focus', () => choose(part));
  span.addEventListener('blur', () => tell(undefined));
  if (!isBlank) {
    span.textContent = visible(part.text.slice(space.length));
    return space ? [space, span] : [span];
  }
  // A line's end cannot be seen, so a sign stands before it.
  const lines = part.text.split('\n').length - 1;
  const sign = document.createElement('span');
  sign.className = 'sign';
  sign.textContent = lines > 0 ? '⏎'.repeat(lines) : part.text;
  span.append(sign);
  return lines > 0 ? [span, part.text] : [span];
}

function choose(part) {
  for (const other of parts) {
    other.element.tabIndex = other === part ? 0 : -1;
    other.element.setAttribute('aria-selected', String(other === part));
  }
  tell(part);
}

function tell(part) {
  element('details').textContent = part ? `${visible(part.text.trim()) || sayable(part.text)}: ${figuresText(part)}` : hint;
}

const figuresText = part => `surprise ${bitsText(part.bits)} bits, probability ${oddsText(part.bits)}, focus ${Number.isFinite(part.focus) ? part.focus.toFixed(2) : '–'}`
  + (part.tokens.length > 1 ? `, ${part.tokens.length} tokens` : '');

// Signs in place of characters that cannot be seen.
const visible = text => text.replace(/[\u0000-\u0008\u000B-\u001F]/g, sign => String.fromCodePoint(0x2400 + sign.codePointAt(0))).replace(/\u007F/g, '␡');

const sayable = text => text.trim() || (text.includes('\n') ? 'line break' : 'space');

function offerLayers() {
  const layers = reports[0]?.layers ?? [];
  offer(element('layer'), ['all', ...layers.map((layer, i) => `${i + 1} (window ${layer.window})`)]);
  offer(element('head'), ['all', ...(layers[0]?.heads ?? []).map((_, i) => `${i + 1}`)]);
}

// The first option is "all"; the values of the others are indices.
function offer(select, names) {
  if (names.length === select.options.length && names.every((name, i) => select.options[i].text === name))
    return;
  select.replaceChildren(...names.map((name, i) => new Option(name, i === 0 ? 'all' : String(i - 1))));
}

function offerWords(list) {
  const items = list.map(word => {
    const button = document.createElement('button');
    const bits = document.createElement('span');
    button.type = 'button';
    bits.className = 'bits';
    bits.textContent = `${bitsText(word.bits)} bits`;
    button.append(word.text, ' ', bits);
    button.addEventListener('click', () => go(word.part));
    const item = document.createElement('li');
    item.append(button);
    return item;
  });
  if (items.length === 0) {
    const none = document.createElement('li');
    none.className = 'none';
    none.textContent = 'None yet.';
    items.push(none);
  }
  element('strangest').replaceChildren(...items);
}

element('reading').addEventListener('keydown', event => {
  const at = parts.findIndex(part => part.element === document.activeElement);
  const isRightToLeft = getComputedStyle(element('reading')).direction === 'rtl';
  const steps = { ArrowRight: isRightToLeft ? -1 : 1, ArrowLeft: isRightToLeft ? 1 : -1, ArrowDown: 1, ArrowUp: -1, Home: -at, End: parts.length - 1 - at };
  if (at < 0 || !(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey)
    return;
  event.preventDefault();
  go(parts[at + steps[event.key]]);
});
