// What the page computes from an engine's reports: pieces of a long text, parts to show, figures, words.

/** The most characters that the page reads. */
export const most = 20000;

// Tokens that are read at once at most: what is typed is read anew, and that is to take a moment.
const mostAtOnce = 2048;

const cache = new Map();
const refused = new Set();

/** Forgets what another model made of texts. */
export function forget() {
  cache.clear();
  refused.clear();
}

/**
 * Reads a text, whole where the model can read it at once in a moment, else in pieces that each begin anew.
 * @returns reports, one after another.
 */
export async function read(text, engine, signal) {
  const context = Math.min(mostAtOnce, engine.info().readingLength);
  // A token is rarely more than six characters, and about three or four on average.
  let longest = text.length <= 6 * context ? text.length : 3 * context;
  const reports = [];
  for (let at = 0; at < text.length;) {
    const piece = text.slice(at, at + cut(text.slice(at, at + longest + 1), longest));
    if (!refused.has(piece)) {
      try {
        const report = cache.get(piece) ?? await engine.explain(piece, signal);
        if (cache.size > 200)
          cache.clear();
        cache.set(piece, report);
        reports.push(report);
        at += piece.length;
        continue;
      } catch (error) {
        if (!error.refused || piece.length < 2)
          throw error;
        refused.add(piece);
      }
    }
    longest = Math.max(1, Math.min(3 * context, Math.floor(piece.length / 2)));
  }
  return reports;
}

// Where to cut: before the last line, sentence or word that begins in the second half.
function cut(text, longest) {
  if (text.length <= longest)
    return text.length;
  const half = Math.floor(longest / 2);
  for (const border of [/\n(?=[^\n]*$)/, /(?<=[.!?。！？]["')\]]?)\s(?=[^.!?。！？]*$)/, /\s(?=\S*$)/]) {
    const place = text.slice(0, longest).search(border);
    if (place > half)
      return place;
  }
  const isWithinPair = longest > 1 && /[\uD800-\uDBFF]/.test(text[longest - 1]);
  return isWithinPair ? longest - 1 : longest;
}

/**
 * The parts of a text that can be shown: each a token with those after it that hold only later bytes of its last character.
 * @returns parts { text, start, tokens, bits, report, focus(layer, head) }, start in the whole text.
 */
export function partsOf(reports) {
  const parts = [];
  let offset = 0;
  for (const report of reports) {
    let waiting = [];
    report.tokens.forEach((token, index) => {
      if (index === 0)
        return;
      const entry = { ...token, index };
      const last = parts.at(-1);
      if (token.length > 0)
        parts.push({ text: report.text.substr(token.start, token.length), start: offset + token.start, tokens: [...waiting.splice(0), entry], report });
      else if (last?.report === report && waiting.length === 0)
        last.tokens.push(entry);
      else
        waiting.push(entry);
    });
    offset += report.text.length;
  }
  for (const part of parts)
    part.bits = part.tokens.reduce((sum, token) => sum + bitsOf(token), 0);
  return parts;
}

/** A token's surprise; JSON has no infinity. */
export const bitsOf = token => token.surprise ?? Infinity;

/** A value for each token of a report: focus over all, of a layer, or of a head. */
export const focusOf = (report, layer, head) => layer === 'all' ? report.focus
  : head === 'all' ? report.layers[layer].focus
  : report.layers[layer].heads[head].focus;

/** Perplexity per token, bits per byte, number of tokens. */
export function figuresOf(text, reports) {
  const tokens = reports.flatMap(report => report.tokens.slice(1));
  const bits = tokens.reduce((sum, token) => sum + bitsOf(token), 0);
  return { tokens: tokens.length, perplexity: 2 ** (bits / tokens.length), bitsPerByte: bits / new TextEncoder().encode(text).length };
}

/** The words that the model expected least: { text, bits, part }, the first the strangest. */
export function strangest(text, parts, count) {
  const words = [...wordsOf(text)].map(word => ({ ...word, bits: 0 }));
  let at = 0;
  for (const part of parts) {
    const first = part.start + part.text.search(/\S|$/);
    while (at < words.length && words[at].end <= first)
      at++;
    const word = words[at];
    if (!word || part.start + part.text.length <= word.start)
      continue;
    word.bits += part.bits;
    word.part ??= part;
  }
  return words.filter(word => word.part).sort((a, b) => b.bits - a.bits).slice(0, count);
}

function* wordsOf(text) {
  if (!Intl.Segmenter) {
    for (const match of text.matchAll(/\S+/g))
      yield { text: match[0], start: match.index, end: match.index + match[0].length };
    return;
  }
  for (const { segment, index, isWordLike } of new Intl.Segmenter(undefined, { granularity: 'word' }).segment(text)) {
    if (isWordLike)
      yield { text: segment, start: index, end: index + segment.length };
  }
}

/** A number of bits for people. */
export const bitsText = bits => Number.isFinite(bits) ? bits.toFixed(1) : '∞';

/** How probable so many bits are. */
export function oddsText(bits) {
  const one = 2 ** bits;
  return one < 1.005 ? 'certain' : one < 10 ? `1 in ${one.toFixed(1)}` : Number.isFinite(one) ? `1 in ${Math.round(one).toLocaleString('en')}` : 'impossible';
}
