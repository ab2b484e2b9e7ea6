// Asks a server by OpenAI's client and by plain HTTP, and ends with status 1 where the answers differ.
// node openai-clients.mjs http://localhost:5000 [API_KEY], where node_modules has the package openai
import OpenAI from "openai";

const [server, key = "none"] = process.argv.slice(2);
const client = new OpenAI({ baseURL: new URL("/v1", server).href, apiKey: key, maxRetries: 0 });

const raw = async (path, body) => {
  const response = await fetch(new URL(path, server), {
    method: body ? "POST" : "GET",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path} answered with ${response.status}: ${await response.text()}`);
  return response.json();
};

let checks = 0;
const same = (what, got, expected) => {
  checks++;
  if (JSON.stringify(got) !== JSON.stringify(expected)) {
    throw new Error(`${what}: the client got ${JSON.stringify(got)}, the raw answer is ${JSON.stringify(expected)}`);
  }
};
const holds = (what, condition) => {
  checks++;
  if (!condition) throw new Error(`${what} does not hold.`);
};

const run = async () => {
  const models = await client.models.list();
  const { id: model } = models.data[0];
  same("models.list", model, (await raw("/v1/models")).data[0].id);
  same("models.retrieve", (await client.models.retrieve(model)).id, model);

  const request = { model, prompt: "The number of", max_tokens: 24, temperature: 0.8, seed: 5, n: 2 };
  const expected = await raw("/v1/completions", request);
  const whole = await client.completions.create(request);
  same("completions.create", whole.choices, expected.choices);
  same("its usage", whole.usage, expected.usage);

  const texts = ["", ""];
  let usage;
  for await (const part of await client.completions.create({ ...request, stream: true, stream_options: { include_usage: true } })) {
    for (const choice of part.choices) texts[choice.index] += choice.text;
    usage = part.usage ?? usage;
  }
  same("the streamed texts", texts, expected.choices.map((choice) => choice.text));
  same("their usage", usage, expected.usage);

  const stopped = { model, prompt: "The", max_tokens: 60, temperature: 0, stop: ["e", "o"] };
  same("completions.create with stop", (await client.completions.create(stopped)).choices, (await raw("/v1/completions", stopped)).choices);

  // lm-evaluation-harness's way to get log-likelihoods.
  const text = "The number of elements in the collection.";
  const [score] = (await raw("/score", { texts: [text] })).scores;
  for (const max_tokens of [0, 1]) {
    const echo = { model, prompt: text, max_tokens, temperature: 0, logprobs: 1, echo: true };
    const answer = (await client.completions.create(echo)).choices[0];
    same("completions.create with echo", answer, (await raw("/v1/completions", echo)).choices[0]);
    const { token_logprobs: logprobs, tokens, top_logprobs: tops } = answer.logprobs;
    same("the number of the prompt's tokens", tokens.length - max_tokens, score.tokenCount);
    const sum = logprobs.slice(0, score.tokenCount).reduce((total, value) => total + value, 0);
    holds(`that the sum of token_logprobs, ${sum}, is the score, ${score.logLikelihood},`, Math.abs(sum - score.logLikelihood) < 1e-3);
    holds("that each token is among its top_logprobs", tokens.every((token, i) => token in tops[i]));
  }

  // The client asks for base64 by itself, and turns it into numbers.
  const input = ["The number of elements.", "Another text."];
  const vectors = await client.embeddings.create({ model, input });
  const plain = await raw("/v1/embeddings", { model, input, encoding_format: "float" });
  plain.data.forEach((item, i) => same("embeddings.create", [...vectors.data[i].embedding].map(Math.fround), item.embedding.map(Math.fround)));
  same("its usage", vectors.usage, plain.usage);

  const fault = await client.completions.create({ model, prompt: "a", temperature: 9 }).then(() => null, (error) => error);
  holds("that a bad request fails with status 400 and names the member", fault?.status === 400 && fault.param === "temperature");
};

try {
  await run();
  console.log(`OpenAI's client for JavaScript got what the server says: ${checks} comparisons.`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
