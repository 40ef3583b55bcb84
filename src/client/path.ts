/** What a connection's statistics say of the path that it goes by. */
import type { Traffic } from './silence.ts';

/** Whether what we send goes by a TURN server of ours. */
export function isRelayed(stats: RTCStatsReport): boolean {
  return [...stats.values()].some(
    ({ type, nominated, state, localCandidateId }) =>
      type === 'candidate-pair' &&
      nominated &&
      state === 'succeeded' &&
      stats.get(localCandidateId)?.candidateType === 'relay',
  );
}

/** What has gone by the present path; undefined where the browser does not count it, as Firefox (153) does not. */
export function trafficOf(stats: RTCStatsReport): Traffic | undefined {
  const transport = [...stats.values()].find(({ type }) => type === 'transport');
  const pair = stats.get(transport?.selectedCandidatePairId) ?? {};
  const heard = pair.responsesReceived + pair.requestsReceived + pair.packetsReceived;
  return pair.requestsSent >= 0 && heard >= 0 ? { checks: pair.requestsSent, heard } : undefined;
}
