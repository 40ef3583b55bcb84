/**
 * `node scripts/free-tier.ts` prints the table of docs/cost.md: how many sessions a day Cloudflare's free plan carries.
 */

/** Requests a day of the free plan, to Workers and to Durable Objects alike (2026-11). */
const REQUESTS_PER_DAY = 100_000;

/** WebSocket messages to a Durable Object that are billed as one request (2026-11). */
const MESSAGES_PER_REQUEST = 20;

/** Messages a client sends in a session, for the rows of the table. */
const MESSAGES = [2, 5, 10, 30];

/** Sessions until the Durable Object requests are used up: one for the upgrade, then the messages. */
function sessionsPerDay(messages: number, messagesPerRequest: number): number {
  return Math.floor(REQUESTS_PER_DAY / (1 + messages / messagesPerRequest));
}

/** The table in Markdown. */
export function freeTierTable(): string {
  const rows = MESSAGES.map((messages) => {
    const documented = sessionsPerDay(messages, MESSAGES_PER_REQUEST).toLocaleString('en');
    const worst = sessionsPerDay(messages, 1).toLocaleString('en');
    return `| ${messages} | ${documented} | ${worst} |`;
  });
  const head = '| messages a client sends | sessions/day, 20 messages billed as one | sessions/day, if each counted |';
  return [head, '|---:|---:|---:|', ...rows].join('\n');
}

if (import.meta.main) console.log(freeTierTable());
