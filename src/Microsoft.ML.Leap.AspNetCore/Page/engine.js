// The engine behind a server: the page's only way to it. samples/Browser has another engine.js, of the same functions.

/** Opens the server's model. */
export async function open() {
  const about = await (await ask('info')).json();
  return {
    info: () => about,

    /** What the model makes of a text, as FocusReport.WriteJson writes it. A text that is too long is an error with `refused` set. */
    explain: async (text, signal) => (await ask('explain', { text }, signal)).json(),

    /** Continues a prompt; `onText` gets each piece. Stopped by the signal, it ends as if the text had. */
    generate: async (prompt, options, onText, signal) => {
      const start = performance.now();
      let tokens = 0;
      const response = await ask('v1/completions', {
        prompt, stream: true, stream_options: { include_usage: true }, temperature: options.temperature, top_p: options.topP, top_k: options.topK,
        max_tokens: Math.min(options.maximumNewTokens, about.maximumNewTokens ?? Infinity), seed: options.seed,
      }, signal);
      for await (const event of events(response)) {
        if (event.error)
          throw new Error(event.error.message);
        const piece = event.choices?.[0]?.text;
        if (piece)
          onText(piece);
        if (piece !== undefined && !event.usage)
          tokens++;
        tokens = event.usage?.completion_tokens ?? tokens;
      }
      return { tokens, seconds: (performance.now() - start) / 1000 };
    },
  };
}

async function ask(path, body, signal) {
  const key = sessionStorage.getItem('key');
  const headers = { ...(body && { 'Content-Type': 'application/json' }), ...(key && { Authorization: `Bearer ${key}` }) };
  const response = await fetch(path, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body), signal });
  if (response.ok)
    return response;
  if (response.status === 401) {
    const given = prompt('This server asks for its API key.');
    if (given) {
      sessionStorage.setItem('key', given);
      return ask(path, body, signal);
    }
  }
  const message = await response.json().then(answer => answer.error?.message, () => undefined);
  const error = new Error(message ?? `The server answered ${response.status} ${response.statusText}.`);
  error.refused = response.status === 400 || response.status === 413;
  throw error;
}

// The values of server-sent events, each a line `data: JSON`, until `data: [DONE]`.
async function* events(response) {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of chunks(response.body)) {
    rest += decoder.decode(bytes, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const data = line.startsWith('data:') ? line.slice(5).trim() : '';
      if (data === '[DONE]')
        return;
      if (data)
        yield JSON.parse(data);
    }
  }
}

// Not every browser iterates over a stream.
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read())
      yield next.value;
  } finally {
    reader.releaseLock();
  }
}
