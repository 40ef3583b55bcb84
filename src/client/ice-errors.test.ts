import { expect, test } from 'vitest';
import { refusalsIn } from './ice-errors.ts';

const refusal = (
  errorCode: number,
  errorText = '',
  url = 'turn:turn.example',
): Parameters<typeof refusalsIn>[0][0] => ({
  url,
  errorCode,
  errorText,
});

test.each([
  ['nothing', [], ''],
  ['no answer is none', [refusal(701, 'STUN host lookup received error.')], ''],
  ['a refusal', [refusal(401, 'Unauthorized')], ' Refused by turn:turn.example (401 Unauthorized).'],
  ['without words', [refusal(401)], ' Refused by turn:turn.example (401).'],
  ['for each address of ours', [refusal(486), refusal(701), refusal(486)], ' Refused by turn:turn.example (486).'],
  ['two servers', [refusal(401), refusal(486, '', 'turn:b')], ' Refused by turn:turn.example (401), turn:b (486).'],
])('%s', (_name, errors, sentence) => {
  expect(refusalsIn(errors)).toBe(sentence);
});
