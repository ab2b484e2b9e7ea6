// Reads lines of texts with ids, encodes the texts by Hugging Face's packages, and counts what differs.
// node check-tokenizer-json.mjs FOLDER LINES, where node_modules has the packages
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { AutoTokenizer, env } from "@huggingface/transformers";

const require = createRequire(import.meta.url);
const native = require("tokenizers");
const [folder, lines] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
env.allowRemoteModels = false;
env.localModelPath = "";
const byTokenizers = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
const byNative = native.Tokenizer.fromFile(`${folder}/tokenizer.json`);
const byTransformers = await AutoTokenizer.from_pretrained(resolve(folder));

const counts = { texts: 0, tokens: 0, ids: 0, decoded: 0 };
for (const line of readFileSync(lines, "utf8").split("\n").filter((line) => line.length > 0)) {
  const { text, ids } = JSON.parse(line);
  counts.texts++;
  counts.tokens += ids.length;
  const found = [byTokenizers.encode(text).ids, byTransformers.encode(text), (await byNative.encode(text)).getIds()];
  if (found.some((other) => other.join() !== ids.join())) {
    if (counts.ids++ < 5) console.error(JSON.stringify({ text, ids, found }));
  }
  const decoded = ids.length > 0 ? [byTransformers.decode(ids), await byNative.decode(ids, false)] : [];
  if (decoded.some((other) => other !== text) && counts.decoded++ < 5) console.error(JSON.stringify({ text, decoded }));
}

const version = (name) => `${name} ${readVersion(name)}`;
console.log(`${["@huggingface/tokenizers", "@huggingface/transformers", "tokenizers"].map(version).join(", ")}, node ${process.version}:`);
console.log(`${counts.texts} texts, ${counts.tokens} tokens; ids differ in ${counts.ids} texts, decoded texts in ${counts.decoded}`);
process.exit(counts.ids + counts.decoded > 0 || counts.texts === 0 ? 1 : 0);

function readVersion(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;
}
