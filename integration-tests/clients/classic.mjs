// Replays a golden transcript with the WebSocket that Node brings, which is the browsers' interface: node classic.mjs URL TRANSCRIPT.
// The notation is described in crates/patchbay-testkit/src/transcript.rs.
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

const ANY_ORDER = '*in any order';

/** Whether `came` is what was wanted; words are remembered in `memory`. */
function matches(wanted, came, memory) {
  if (typeof wanted === 'string' && wanted.startsWith('*')) {
    if (wanted !== '*' && !memory.has(wanted)) memory.set(wanted, came);
    return wanted === '*' || isDeepStrictEqual(memory.get(wanted), came);
  }
  if (Array.isArray(wanted) && wanted[0] === ANY_ORDER) {
    const left = [...came];
    for (const element of wanted.slice(1)) {
      const place = left.findIndex((value) => matches(element, value, new Map(memory)));
      if (place < 0 || !matches(element, left.splice(place, 1)[0], memory)) return false;
    }
    return left.length === 0;
  }
  if (wanted && typeof wanted === 'object') {
    const names = Object.keys(wanted);
    return names.length === Object.keys(came ?? {}).length && names.every((name) => name in came && matches(wanted[name], came[name], memory));
  }
  return wanted === came;
}

/** A socket whose messages can be awaited one by one. */
async function open(url) {
  const socket = new WebSocket(url);
  const messages = [];
  const waiting = [];
  socket.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : messages.push(data));
  await new Promise((resolve, reject) => Object.assign(socket, { onopen: resolve, onerror: reject }));
  return { socket, next: () => (messages.length ? messages.shift() : new Promise((resolve) => waiting.push(resolve))) };
}

const [url, path] = process.argv.slice(2);
const steps = readFileSync(path, 'utf8').split('\n').filter((line) => line.trim() && !line.startsWith('#'));
const sockets = new Map();
const memory = new Map();
const watchdog = setTimeout(() => {
  console.error('nothing came for 30 s');
  process.exit(1);
}, 30_000);
for (const line of steps) {
  const [, number, action, text] = /^(\d*)([<>x]) ?(.*)$/.exec(line);
  if (!sockets.has(number)) sockets.set(number, await open(url));
  const { socket, next } = sockets.get(number);
  if (action === '>') socket.send(text);
  else if (action === 'x') socket.close();
  else {
    const came = JSON.parse(await next());
    if (!matches(JSON.parse(text), came, memory)) {
      console.error(`expected ${text}\n    came ${JSON.stringify(came)}`);
      process.exit(1);
    }
  }
}
for (const { socket } of sockets.values()) socket.close();
clearTimeout(watchdog);
