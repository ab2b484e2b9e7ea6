// The engine in the tab: a worker of its own computes, so that the page never waits. The server's page has another engine.js, of the same functions.

const example = {
  text: 'Returns the number of elements in the collection. Returns the number of bananas in the collection.',
  prompt: 'Gets the number of',
};

let calls = 0;
const waiting = new Map();

// At once: .NET starts while the page's other files are still on their way.
const worker = new Worker('./worker.js', { type: 'module' });
worker.addEventListener('message', ({ data: { call, text, result, error, refused } }) => {
  const entry = waiting.get(call);
  if (text !== undefined) {
    entry?.onText(text);
    return;
  }
  waiting.delete(call);
  if (error === undefined)
    entry?.resolve(result);
  else
    entry?.reject(Object.assign(new Error(error), { refused }));
});
worker.addEventListener('error', event => {
  for (const { reject } of waiting.values())
    reject(new Error(`The engine stopped. ${event.message ?? ''}`));
  waiting.clear();
});

/** Opens the model that lies beside the page. */
export async function open(onProgress) {
  const answer = await fetch('model.zip');
  if (!answer.ok)
    throw new Error(`model.zip is not beside the page (status ${answer.status}). Open a model of your own.`);
  return adopt('The .NET documentation', await download(answer, onProgress), example);
}

/** Opens a model of the user's: a zip, as the library or `leap train` writes it. */
export async function openFile(file) {
  return adopt(file.name, await file.arrayBuffer());
}

function ask(method, values, transfer = [], onText = undefined, signal = undefined) {
  const call = ++calls;
  return new Promise((resolve, reject) => {
    waiting.set(call, { resolve, reject, onText });
    signal?.addEventListener('abort', () => worker.postMessage({ method: 'stop' }), { once: true });
    worker.postMessage({ call, method, values }, transfer);
  });
}

async function adopt(name, zip, example) {
  const about = { name, example, ...JSON.parse(await ask('open', [zip], [zip])) };
  let last = Promise.resolve();
  return {
    info: () => about,

    // One text at a time: those that nobody waits for any more are never read.
    explain: (text, signal) => {
      const mine = last.then(async () => {
        signal?.throwIfAborted();
        return JSON.parse(await ask('explain', [text]));
      });
      last = mine.catch(() => undefined);
      return mine;
    },

    generate: async (prompt, { temperature, topP, topK, maximumNewTokens, seed }, onText, signal) => {
      const start = performance.now();
      const tokens = await ask('generate', [prompt, temperature, topP, topK, maximumNewTokens, seed], [], onText, signal);
      return { tokens, seconds: (performance.now() - start) / 1000 };
    },
  };
}

async function download(response, onProgress) {
  // What is decompressed on the way has another length than the header says.
  const total = response.headers.get('Content-Encoding') ? 0 : Number(response.headers.get('Content-Length'));
  const chunks = [];
  let length = 0;
  const reader = response.body.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    length += next.value.length;
    if (total > 0)
      onProgress(length / total);
  }
  return new Blob(chunks).arrayBuffer();
}
