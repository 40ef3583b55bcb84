import { expect, test } from 'vitest';
import { type Incoming, Intake, MAX_HELD_BYTES, MAX_UNDER_WAY, PART_BYTES, TOO_LARGE } from './intake.ts';

const [eve, bob] = [{}, {}];
/** The same bytes again and again: to hold them once is enough for a test. */
const PART = new Uint8Array(PART_BYTES);

const newIntake = (): Intake<object, string> => new Intake();

/** Takes so many whole parts. */
function takeParts(intake: Intake<object, string>, incoming: Incoming<string>, count: number): void {
  for (let taken = 0; taken < count; taken++) expect(intake.take(incoming, PART)).toBeUndefined();
}

test('one may have so many files under way, and one more for each that ends', () => {
  const intake = newIntake();
  for (let id = 0; id < MAX_UNDER_WAY; id++) {
    expect(intake.isBusy(eve)).toBe(false);
    intake.begin(eve, id, 1, 'card');
  }
  expect(intake.isBusy(eve)).toBe(true);
  expect(intake.isBusy(bob)).toBe(false);
  intake.end(eve, 0);
  expect(intake.isBusy(eve)).toBe(false);
});

test('a file comes in whole parts, the last one as long as what is left', () => {
  const intake = newIntake();
  const incoming = intake.begin(bob, 1, 2 * PART_BYTES + 3, 'card');
  takeParts(intake, incoming, 2);
  expect(intake.take(incoming, PART.subarray(0, 3))).toBeUndefined();
  expect(incoming.got).toBe(incoming.size);
});

test.each([
  [1, 0, 'It came in parts that are too small'],
  [100, 99, 'It came in parts that are too small'],
  [2 * PART_BYTES, 0, 'It came in parts that are too small'],
  [2 * PART_BYTES, PART_BYTES - 1, 'It came in parts that are too small'],
  [1, 2, 'More came than was announced'],
])('of a file of %i bytes a part of %i is not taken', (size, length, reason) => {
  const intake = newIntake();
  const incoming = intake.begin(eve, 1, size, 'card');
  expect(intake.take(incoming, PART.subarray(0, length))).toBe(reason);
  expect(incoming.parts).toEqual([]);
});

test('what is announced and does not come is in the way of nobody', () => {
  const intake = newIntake();
  for (let id = 0; id < 3; id++) expect(intake.isTooLarge(intake.begin(eve, id, MAX_HELD_BYTES, 'card'))).toBe(false);
  const honest = intake.begin(bob, 1, PART_BYTES, 'card');
  expect(intake.isTooLarge(honest)).toBe(false);
  takeParts(intake, honest, 1);
});

test('all that is held together is bounded, and what is let go makes place', () => {
  const intake = newIntake();
  const large = intake.begin(eve, 1, MAX_HELD_BYTES, 'card');
  const other = intake.begin(bob, 1, 2 * PART_BYTES, 'card');
  takeParts(intake, other, 1);
  expect(intake.take(large, PART)).toBe(TOO_LARGE);
  intake.end(eve, 1);
  intake.release(large);
  takeParts(intake, other, 1);
  intake.end(bob, 1); // complete, and still here
  expect(intake.isTooLarge(intake.begin(eve, 2, MAX_HELD_BYTES, 'card'))).toBe(true);
  intake.release(other);
  intake.release(other); // as good as once
  expect(intake.isTooLarge(intake.begin(eve, 3, MAX_HELD_BYTES, 'card'))).toBe(false);
  expect(intake.isTooLarge(intake.begin(eve, 4, MAX_HELD_BYTES + 1, 'card'))).toBe(true);
});
