// The page: a text box that is read as one types, and a prompt box that is continued. The engine is behind engine.js.
import * as engines from './engine.js';
import { figuresOf, forget, most, partsOf, read } from './figures.js';
import { paint, show, tabulate } from './reading.js';

// So long after the last key a text is read.
const pause = 150;

const element = id => document.getElementById(id);
let engine;
let timer;
let reading = new AbortController();
let writing = null;

async function start() {
  if (engines.openFile)
    element('own').hidden = false;
  await use(() => engines.open(part => element('model').textContent = `Loading the model … ${Math.round(100 * part)} %`));
}

// Takes an engine in place of the one before; where there is none, that one stays.
async function use(open) {
  try {
    engine = await open();
  } catch (error) {
    element('model').textContent = `The model cannot be opened. ${error.message}`;
    return;
  }
  forget();
  const { name, parameters, layers, heads, contextLength, vocabularySize, example } = engine.info();
  const count = number => number.toLocaleString('en');
  element('model').textContent = `${name}: ${count(parameters)} parameters, ${layers} layers of ${heads} heads, ${count(vocabularySize)} tokens, context ${count(contextLength)}`;
  for (const id of ['text', 'prompt', 'start'])
    element(id).disabled = false;
  element('text').value ||= example?.text ?? '';
  element('prompt').value ||= example?.prompt ?? '';
  await readText();
}

async function readText() {
  clearTimeout(timer);
  reading.abort();
  reading = new AbortController();
  const { signal } = reading;
  const whole = element('text').value;
  const text = whole.slice(0, most);
  try {
    const reports = text ? await read(text, engine, signal) : [];
    if (signal.aborted)
      return;
    show(text, reports, partsOf(reports));
    tellFigures(reports.length > 0 ? figuresOf(text, reports) : null);
    notify(whole.length > most ? `Only the first ${most.toLocaleString('en')} characters are read.`
      : reports.length > 1 ? `The text is too long to be read at once. It is read in ${reports.length} pieces, each as if a text began there.` : '');
  } catch (error) {
    if (!signal.aborted)
      notify(`The text could not be read. ${error.message}`, true);
  }
}

function tellFigures(figures) {
  const rounded = (value, digits) => !Number.isFinite(value) ? '∞'
    : value >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(digits);
  element('perplexity').textContent = figures ? rounded(figures.perplexity, 1) : '–';
  element('bits').textContent = figures ? rounded(figures.bitsPerByte, 2) : '–';
  element('tokens').textContent = figures ? figures.tokens.toLocaleString('en') : '–';
}

function notify(message, isBad = false) {
  element('notice').textContent = message;
  element('notice').classList.toggle('bad', isBad);
}

async function write() {
  writing?.abort();
  const mine = writing = new AbortController();
  const number = id => Number(element(id).value);
  const prompt = element('prompt').value;
  const begin = document.createElement('span');
  begin.className = 'prompt';
  begin.textContent = prompt;
  const added = document.createElement('span');
  element('continuation').replaceChildren(begin, added);
  element('generated').textContent = 'Writing …';
  element('stop').disabled = false;
  element('read-it').disabled = true;
  let result = null;
  let fault = null;
  try {
    result = await engine.generate(
      prompt,
      { temperature: number('temperature'), topP: number('top-p'), topK: number('top-k'), maximumNewTokens: number('length'), seed: number('seed') },
      text => mine === writing && added.append(text),
      mine.signal);
  } catch (error) {
    fault = error;
  }
  if (mine !== writing)
    return;
  element('generated').textContent = mine.signal.aborted ? 'Stopped.'
    : fault ? `The text could not be continued. ${fault.message}`
    : `${result.tokens} tokens, ${(result.tokens / result.seconds).toFixed(0)} per second.`;
  element('stop').disabled = true;
  element('read-it').disabled = added.textContent.length === 0;
  writing = null;
}

element('text').addEventListener('input', () => {
  clearTimeout(timer);
  timer = setTimeout(readText, pause);
});
for (const id of ['colours', 'layer', 'head'])
  element(id).addEventListener('change', paint);
element('table-of-tokens').addEventListener('toggle', event => event.target.open && tabulate());
element('prompt-form').addEventListener('submit', event => {
  event.preventDefault();
  write();
});
element('prompt').addEventListener('keydown', event => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey))
    element('prompt-form').requestSubmit();
});
element('stop').addEventListener('click', () => writing?.abort());
element('read-it').addEventListener('click', () => {
  element('text').value = element('continuation').textContent;
  element('text').focus();
  readText();
});
for (const output of document.querySelectorAll('.sliders output')) {
  const slider = element(output.htmlFor.value);
  const tell = () => output.textContent = slider.id === 'top-k' && slider.value === '0' ? 'all' : slider.value;
  slider.addEventListener('input', tell);
  tell();
}
element('file').addEventListener('change', async event => {
  const [file] = event.target.files;
  if (file)
    await use(() => engines.openFile(file));
  event.target.value = '';
});

start();
