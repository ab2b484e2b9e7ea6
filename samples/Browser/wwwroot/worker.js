// Runs .NET, and answers the messages of engine.js: { call, method, values } by { call, result } or { call, error }, and { call, text } before.
import { dotnet } from './_framework/dotnet.js';

// With a time zone given .NET does not ask the browser for one, which loads tables for dates first. The engine has no dates.
const ready = dotnet.withEnvironmentVariable('TZ', 'UTC').create().then(async ({ getAssemblyExports, getConfig }) =>
  (await getAssemblyExports(getConfig().mainAssemblyName)).Browser.Engine);

const methods = {
  open: (engine, call, zip) => engine.Open(new Uint8Array(zip)),
  explain: (engine, call, text) => engine.Explain(text),
  generate: (engine, call, ...values) => engine.Generate(...values, text => postMessage({ call, text })),
  stop: engine => engine.Stop(),
};

self.addEventListener('message', async ({ data: { call, method, values = [] } }) => {
  try {
    const result = await methods[method](await ready, call, ...values);
    postMessage({ call, result });
  } catch (error) {
    // The one thing that a model refuses is a text that does not fit.
    postMessage({ call, error: error.message, refused: method === 'explain' });
  }
});
