/** Each trouble in a plain sentence, and what can be done about it. */
import type { SignalingState } from '../src/client/index.ts';

export interface Trouble {
  title: string;
  text: string;
  /** What there is on this page that leads on. */
  way?: 'retry' | 'new room' | 'retry or new room' | 'token';
}

export type DeviceKind = 'camera' | 'microphone' | 'screen';

/** What has kept us from a camera, a microphone or a screen, by the name of the error. */
export function deviceTrouble(kind: DeviceKind | 'camera and microphone', error: unknown): Trouble | undefined {
  const { name } = Object(error);
  const device = `your ${kind}`;
  if (name === 'AbortError' || (kind === 'screen' && name === 'NotAllowedError')) return undefined; // changed their mind
  if (name === 'NotAllowedError')
    return {
      title: `This page may not use ${device}.`,
      text: 'Allow it beside the address, then try again. You can also join without.',
      way: 'retry',
    };
  if (name === 'NotFoundError' || name === 'OverconstrainedError')
    return {
      title: kind === 'camera and microphone' ? 'No camera and no microphone were found.' : `No ${kind} was found.`,
      text: 'Plug one in and try again, or join without: you see and hear the others all the same.',
      way: 'retry',
    };
  if (name === 'NotReadableError')
    return {
      title: `Another app is using ${device}.`,
      text: 'Close that app and try again, or join without.',
      way: 'retry',
    };
  if (name === 'InsecureContextError')
    return {
      title: `Browsers give ${device} to secure pages alone.`,
      text: 'Open this page with https, or on localhost. Chat and files work here, too.',
    };
  return { title: `Your browser could not start ${device}.`, text: `${error}`, way: 'retry' };
}

/** A camera or microphone that was in use is there no more. */
export function deviceLost(kind: 'camera' | 'microphone'): Trouble {
  return {
    title: `Your ${kind} has stopped.`,
    text: 'It was unplugged, or this page may no longer use it. The others are told that it is off.',
    way: 'retry',
  };
}

/** Where we wanted to go in, and what with. */
export interface Attempt {
  room: string;
  token: string;
  /** Of this page. */
  origin: string;
  /** Whether this page is on https or localhost: elsewhere browsers encrypt nothing. */
  isSecure: boolean;
}

/** Why the room does not let us in for good, by what start() was rejected with. */
export function refusal(error: unknown, { room, token, origin, isSecure }: Attempt): Trouble {
  const { code } = Object(error);
  if (code === 4003)
    return {
      title: 'This room is full.',
      text: 'Try again when somebody has left, or start a room of your own.',
      way: 'retry or new room',
    };
  // The server looks at the page first, and a page without a token is then told 4401.
  if (code === 4403 && !token)
    return {
      title: 'This page may not use this server.',
      text: `${messageOf(error)} Whoever runs the server has to name ${origin} in the setting ALLOWED_ORIGINS.`,
      way: 'retry',
    };
  if (code === 4401 || code === 4403)
    return token
      ? {
          title: 'This room token does not open the room.',
          text: `${messageOf(error)} Ask whoever runs the server for a token for the room ${room}, and paste it here.`,
          way: 'token',
        }
      : {
          title: 'This server lets you in only with a room token.',
          text: `Ask whoever runs the server for a token for the room ${room}, and paste it here.`,
          way: 'token',
        };
  // The room was not asked: the key is none, or this page is not a secure one.
  if (code === undefined)
    return isSecure
      ? {
          title: 'The link is not complete.',
          text: 'Its end, which is the key of the room, is missing or damaged. Ask for the link once more, or start a room of your own.',
          way: 'new room',
        }
      : {
          title: 'This page cannot use the key in the link.',
          text: 'Browsers encrypt on secure pages alone: open this page with https, or on localhost. Or start a room without a key.',
          way: 'new room',
        };
  return {
    title: 'The server did not let you in.',
    text: `${messageOf(error)} Ask whoever sent you the link for a new one, or start a room of your own.`,
    way: 'new room',
  };
}

/** A room that cannot be, or a browser in which none can: the library says which. */
export function badRoom(error: unknown): Trouble {
  const message = messageOf(error);
  if (!message.includes('roomId'))
    return { title: 'Your browser cannot do this.', text: message.replace(/\.?$/, '.'), way: 'retry' };
  return {
    title: 'There can be no room with this name.',
    text: 'It has 4 to 128 characters and at most 256 bytes, none of them invisible. Check the link, or start a new room.',
    way: 'new room',
  };
}

/** The server is out of reach: what that means to a page that is connected, and to a page that is not. */
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
      text: 'Whoever is still here stays connected to you. To meet others, leave and join again.',
    };
  if (state === 'connecting' && reason)
    return { title: 'The server cannot be reached yet.', text: `${forUsers(reason)} This page keeps trying.` };
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
    text: `${reason} This page keeps trying. If you can, use another network: a phone's hotspot often works.`,
  };
}

/** Without the sentences about an option, which is not theirs to set. */
function forUsers(reason: string): string {
  return reason.replace(/ ?(?:Check|Pass)\b[^.;]*\bworkerUrl\b[^.;]*[.;]/g, '') || reason;
}

/** What the error says, without the words that are the library's for developers. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^The room refused: (.*?)\.? \(\d+\)\.$/s, '$1.');
}
