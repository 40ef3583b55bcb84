/** Each trouble in a plain sentence, and what can be done about it. */
import type { SignalingState } from '../src/client/index.ts';

export interface Trouble {
  title: string;
  text: string;
  /** What the button does that leads on; none where the way on is not on this page. */
  way?: 'retry' | 'new room';
}

export type DeviceKind = 'camera' | 'microphone' | 'screen';

/** What has kept us from a camera, a microphone or a screen, by the name of the error. */
export function deviceTrouble(kind: DeviceKind, error: unknown): Trouble | undefined {
  const { name } = Object(error);
  const device = `your ${kind}`;
  if (name === 'AbortError' || (kind === 'screen' && name === 'NotAllowedError')) return undefined; // changed their mind
  if (name === 'NotAllowedError')
    return {
      title: `This page may not use ${device}.`,
      text: 'Allow it beside the address, then press the button again. You can also join without it.',
      way: 'retry',
    };
  if (name === 'NotFoundError' || name === 'OverconstrainedError')
    return {
      title: `No ${kind} was found.`,
      text: 'Plug one in and try again, or join without it: you see and hear the others all the same.',
      way: 'retry',
    };
  if (name === 'NotReadableError')
    return {
      title: `Another app is using ${device}.`,
      text: 'Close that app and try again, or join without it.',
      way: 'retry',
    };
  if (name === 'InsecureContextError')
    return {
      title: `Browsers give ${device} to secure pages alone.`,
      text: 'Open this page with https, or on localhost. Chat and files work here, too.',
    };
  return { title: `Your browser could not start ${device}.`, text: `${error}`, way: 'retry' };
}

/** Why the room does not let us in for good: its close code, and what start() was rejected with. */
export function refusal(closeCode: number, error: unknown): Trouble {
  if (closeCode === 4003)
    return {
      title: 'This room is full.',
      text: 'Try again when somebody has left, or start a room of your own.',
      way: 'retry',
    };
  // No socket was opened: the key is none, or this page is not a secure one.
  if (closeCode === 0)
    return {
      title: 'This page cannot use the key in the link.',
      text: `${messageOf(error)} Ask whoever sent you the link for a new one, or start a room of your own.`,
      way: 'new room',
    };
  return {
    title: 'The server did not let you in.',
    text: `${messageOf(error)} Ask whoever sent you the link for a new one, or start a room of your own.`,
    way: 'new room',
  };
}

/** A room that cannot be: the library says what is wrong with its name. */
export function badRoom(error: unknown): Trouble {
  return {
    title: 'There can be no room with this name.',
    text: `${messageOf(error).replace(/\.?$/, '.')} Check the link, or start a new room.`,
    way: 'new room',
  };
}

/** The server is out of reach: what that means to those who are connected, and to those who are not. */
export function serverTrouble(
  state: SignalingState,
  reason: string | undefined,
  connected: number,
): Trouble | undefined {
  if (state === 'reconnecting')
    return connected > 0
      ? {
          title: 'The server is gone, and you are still connected to each other.',
          text: 'Talk, chat and send on. Nobody new can come in until it is back; this page keeps trying.',
        }
      : { title: 'The server is out of reach.', text: 'This page keeps trying, and goes on as soon as it is back.' };
  if (state === 'closed')
    return {
      title: 'The server no longer lets you in.',
      text: 'Those you are connected to stay. Leave, and join again, to meet others.',
    };
  if (state === 'connecting' && reason)
    return { title: 'The server cannot be reached yet.', text: `${reason} This page keeps trying.` };
  return undefined;
}

/** Somebody is in the room whom the library does not take; who, only those with the same key can know. */
export function strangerTrouble(reason: string): Trouble {
  return {
    title: 'Somebody here has another link to this room.',
    text: `${reason} The key is the end of the link: send it again, all of it, and you meet.`,
  };
}

/** Why there is no way to a person; `reason` is the library's. */
export function pairTrouble(name: string, reason: string): Trouble {
  return {
    title: `No way to ${name} yet.`,
    text: `${reason} This page keeps trying. A strict network may let nothing through: a phone's hotspot often does.`,
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
