import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { randomKey } from '../random.ts';
import { fromBase64Url, toBase64Url } from './base64.ts';
import { type Envelope, HEADER_BYTES, type Header, open, seal } from './envelope.ts';
import { Keys, type Kind } from './keys.ts';

let keys: Keys;
let key: string;
beforeAll(async () => {
  key = randomKey();
  keys = await Keys.of({ key }, 'the room');
});

const kinds: Kind[] = ['metadata', 'ahead', 'answer', 'signal', 'broadcast'];
const header: fc.Arbitrary<Header> = fc.record(
  {
    kind: fc.constantFrom(...kinds),
    from: fc.string(),
    to: fc.string(),
    n: fc.nat(),
    attempt: fc.string(),
  },
  { requiredKeys: ['kind', 'from', 'to', 'n'] },
);

test('what is sealed is opened by whoever has the key, and knows from whom it is and for whom', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), header, async (content, header) => {
      const sealed: unknown = JSON.parse(JSON.stringify(await seal(content, header, keys)));
      const theirs = await Keys.of({ key }, 'the room');
      const { n, attempt } = header;
      expect(await open(sealed, header, theirs)).toEqual({ content: JSON.parse(JSON.stringify(content)), n, attempt });
    }),
  );
});

test('nothing of the content is in it, and the same content never looks the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 6 }), header, async (secret, header) => {
      const sealed = await seal({ secret }, { ...header, from: 'a', to: 'b', attempt: 'c' }, keys);
      expect(JSON.stringify(sealed)).not.toContain(JSON.stringify(secret).slice(1, -1));
      expect(Buffer.from(sealed.data, 'base64url').includes(secret)).toBe(false);
      const again = await seal({ secret }, { ...header, from: 'a', to: 'b', attempt: 'c' }, keys);
      expect(again.data).not.toBe(sealed.data);
    }),
  );
});

test('it is at most so much longer than its content', async () => {
  const id = `own-${'x'.repeat(22)}`;
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (content) => {
      const header: Header = { kind: 'broadcast', from: id, to: id, n: 2 ** 53 - 1, attempt: 'x'.repeat(36) };
      const sealed = JSON.stringify(await seal(content, header, keys)).length;
      expect(sealed).toBeLessThanOrEqual(
        (new TextEncoder().encode(JSON.stringify(content)).length * 4) / 3 + HEADER_BYTES,
      );
    }),
  );
});

test('bytes are written as Node writes them, and read again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
      expect(toBase64Url(bytes)).toBe(Buffer.from(bytes).toString('base64url'));
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes);
    }),
  );
  expect(fromBase64Url('not base64')).toEqual(new Uint8Array());
});

test('a new key has 128 bits', () => {
  const keys = Array.from({ length: 500 }, randomKey);
  expect(new Set(keys.map((each) => fromBase64Url(each).join())).size).toBe(500);
  expect(keys.every((each) => /^[\w-]{22}$/.test(each) && fromBase64Url(each).length === 16)).toBe(true);
});

const EXPECTED = { kind: 'signal', from: 'alice', to: 'bob' } as const;
const sealedSignal = (content: unknown): Promise<Envelope> =>
  seal(content, { ...EXPECTED, n: 7, attempt: 'attempt' }, keys);

test('no bit of its data can be changed, left out or added', async () => {
  const { data, ...rest } = await sealedSignal({ sdp: 'v=0' });
  const bytes = fromBase64Url(data);
  const changed = 'Its message was changed on the way.';
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
      const other = bytes.with(at, (bytes[at] ?? 0) ^ mask);
      await expect(open({ ...rest, data: toBase64Url(other) }, EXPECTED, keys)).rejects.toThrow(changed);
      await expect(open({ ...rest, data: toBase64Url(bytes.slice(0, at)) }, EXPECTED, keys)).rejects.toThrow(changed);
      const longer = toBase64Url(Uint8Array.of(...bytes, mask));
      await expect(open({ ...rest, data: longer }, EXPECTED, keys)).rejects.toThrow(changed);
    }),
  );
});

const other = (value: unknown): fc.Arbitrary<string> => fc.string().filter((each) => each !== value);

test.each([
  ['attempt', fc.option(other('attempt'), { nil: undefined })],
  ['n', fc.nat().filter((n) => n !== 7)],
])('its %s cannot be changed', async (field, values) => {
  const sealed = await sealedSignal({ sdp: 'v=0' });
  await fc.assert(
    fc.asyncProperty<[unknown]>(values, async (value) => {
      await expect(open({ ...sealed, [field]: value }, EXPECTED, keys)).rejects.toThrow('was changed on the way');
    }),
  );
});

test.each([
  ['from', 'sealed by another member'],
  ['to', 'for another member'],
  ['kind', 'made for another purpose'],
] as const)('another %s is seen, and cannot be written into it', async (field, reason) => {
  const sealed = await sealedSignal({ sdp: 'v=0' });
  await fc.assert(
    fc.asyncProperty(other(EXPECTED[field]), async (value) => {
      const claimed: { kind: Kind; from: string; to: string } = Object({ ...EXPECTED, [field]: value });
      await expect(open(sealed, claimed, keys)).rejects.toThrow(reason);
      await expect(open({ ...sealed, [field]: value }, claimed, keys)).rejects.toThrow('was changed on the way');
    }),
  );
});

test('another key, another password, and another room with the same key', async () => {
  const sealed = await sealedSignal({ sdp: 'v=0' });
  for (const secret of [{ key: randomKey() }, { password: 'correct horse' }]) {
    const theirs = await Keys.of(secret, 'the room');
    await expect(open(sealed, EXPECTED, theirs)).rejects.toThrow('It has the wrong key.');
    const renamed = { ...sealed, key: theirs.id, room: theirs.room };
    await expect(open(renamed, EXPECTED, theirs)).rejects.toThrow('was changed on the way');
  }
  const elsewhere = await Keys.of({ key }, 'another room');
  expect(elsewhere.id).toBe(keys.id);
  await expect(open(sealed, EXPECTED, elsewhere)).rejects.toThrow('is from another room');
  await expect(open({ ...sealed, room: elsewhere.room }, EXPECTED, elsewhere)).rejects.toThrow(
    'was changed on the way',
  );
});

test('what is not sealed, or not by this version, is refused whatever it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      await expect(open(value, EXPECTED, keys)).rejects.toThrow('It has no key');
    }),
  );
  await expect(open({ ...(await sealedSignal(1)), sealed: 2 }, EXPECTED, keys)).rejects.toThrow('another version');
});

test('a password makes the same keys for all who know it and the room, however it was typed', async () => {
  const made = await Promise.all([
    Keys.of({ password: 'café' }, 'room'),
    Keys.of({ password: 'cafe\u0301' }, 'room'),
    Keys.of({ password: 'café' }, 'other room'),
    Keys.of({ password: 'cafe' }, 'room'),
  ]);
  expect(new Set(made.map(({ id }) => id)).size).toBe(3);
  expect(made[0]?.id).toBe(made[1]?.id);
});

test.each([
  [{ key: 'secret' }, /must be one of P2PCF\.newKey/],
  [{ key: '' }, /must be one of P2PCF\.newKey/],
  [{ password: '' }, /password is empty/],
  [Object({ password: 1234 }), /password must be a string/],
  [Object({ key: [randomKey()] }), /must be one of P2PCF\.newKey/],
  [Object({ key: { toString: randomKey } }), /must be one of P2PCF\.newKey/],
  [{ key: randomKey(), password: 'both' }, /not both/],
])('%j cannot be a secret', async (secret, reason) => {
  await expect(Keys.of(secret, 'room')).rejects.toThrow(reason);
});
