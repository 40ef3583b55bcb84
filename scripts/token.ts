/** `npm run token`: prints a room token, signed with the secret of `npm run dev`, for trying things out. */
import { readFileSync } from 'node:fs';
import { parseArgs, parseEnv } from 'node:util';
import { SignJWT } from 'jose';
import { AUDIENCE, readTokenSettings, TOKEN_TYPE, verifyToken } from '../src/worker/tokens.ts';

const USAGE = `npm run token -- --room lobby [--room another] [--prefix team-] [--sub alice] [--ttl 3600] [--max 8] [--host]

  --room    a room that it opens; or --prefix, with which the names of its rooms begin
  --sub     who the bearer is
  --ttl     seconds until it expires; an hour if not given
  --max     most peers in the room
  --host    the bearer may remove others
AUTH_SECRET, and AUTH_TOKEN_SECONDS if your server has it, come from the environment or from .dev.vars.`;

/** Throws Error with a sentence for what makes no good token. */
async function makeToken(args: string[]): Promise<string> {
  const { values } = parseArgs({
    args,
    options: {
      room: { type: 'string', multiple: true, default: [] },
      prefix: { type: 'string' },
      sub: { type: 'string' },
      ttl: { type: 'string', default: '3600' },
      max: { type: 'string' },
      host: { type: 'boolean', default: false },
    },
  });
  const { room: rooms, prefix, sub, ttl, max, host } = values;
  if (![...rooms, prefix ?? ''].some(Boolean)) throw new Error('Name a room: --room lobby, or --prefix team-.');
  if (!/^\d+$/.test(ttl)) throw new Error(`--ttl is ${ttl}: it must be a whole number of seconds.`);
  const secret = setting('AUTH_SECRET');
  const settings = readTokenSettings({ AUTH_SECRET: secret, AUTH_TOKEN_SECONDS: setting('AUTH_TOKEN_SECONDS') });
  if (!secret) throw new Error('There is no AUTH_SECRET, in the environment or in .dev.vars.');
  const token = await new SignJWT({
    rooms,
    prefix,
    ...(sub !== undefined && { sub }),
    ...(max !== undefined && { max: Number(max) }),
    host,
  })
    .setProtectedHeader({ alg: 'HS256', typ: TOKEN_TYPE })
    .setAudience(AUDIENCE)
    .setExpirationTime(Math.floor(Date.now() / 1000) + Number(ttl))
    .sign(new TextEncoder().encode(secret));
  const verdict = await verifyToken(token, rooms[0] ?? prefix ?? '', settings, Date.now());
  if ('refusal' in verdict) throw new Error(`${verdict.refusal.reason}.`);
  return token;
}

function setting(name: string): string | undefined {
  return process.env[name] || devVars()[name];
}

function devVars(): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(new URL('../.dev.vars', import.meta.url), 'utf8'));
  } catch {
    return {}; // there is no such file
  }
}

try {
  console.log(await makeToken(process.argv.slice(2)));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  process.exitCode = 1;
}
