/** Our camera, microphone and screen. */
import { type DeviceKind, deviceLost, deviceTrouble, type Trouble } from './trouble.ts';

/** What becomes of our tracks: for the code that sends them. */
export interface TracksListener {
  added(track: MediaStreamTrack, stream: MediaStream): void;
  removed(track: MediaStreamTrack, stream: MediaStream): void;
  replaced(before: MediaStreamTrack, after: MediaStreamTrack, stream: MediaStream): void;
}

/** Told of what went wrong and of the way to try again, and of nothing when it is right again. */
type TroubleListener = (kind: DeviceKind, trouble: Trouble | undefined, retry?: () => void) => void;

const INPUTS = ['camera', 'microphone'] as const;
/** Names of errors that may be of one device alone. */
const WORTH_A_TRY: readonly unknown[] = ['NotFoundError', 'NotReadableError', 'OverconstrainedError'];

export type Input = (typeof INPUTS)[number];

/** What a camera is asked for: a browser encodes the picture once for each of the others, who see it the smaller. */
function pictureFor(others: number): MediaTrackConstraints {
  const height = others <= 1 ? 720 : others <= 4 ? 360 : 180;
  return { width: { ideal: (height * 16) / 9 }, height: { ideal: height } };
}

export class Devices {
  /** Camera and microphone, as far as there are any. The same object throughout. */
  readonly stream = new MediaStream();
  screen: MediaStream | undefined;
  /** Gets our tracks while there is a call. */
  tracksListener: TracksListener | undefined;
  /** Told of every change. */
  readonly #changed: () => void;
  readonly #troubled: TroubleListener;
  /** The devices that were chosen, by what they are. */
  readonly #chosen: { [Kind in Input]?: string } = {};
  /** What the user has turned off: it stays so when they come back. */
  readonly #turnedOff = new Set<Input>();
  #picture = pictureFor(0);
  /** How often we have let go of everything: what was asked for before that comes too late. */
  #stops = 0;

  constructor(changed: () => void, troubled: TroubleListener) {
    this.#changed = changed;
    this.#troubled = troubled;
  }

  isOn(kind: DeviceKind): boolean {
    return kind === 'screen' ? this.screen !== undefined : this.track(kind)?.enabled === true;
  }

  track(kind: Input): MediaStreamTrack | undefined {
    return (kind === 'camera' ? this.stream.getVideoTracks() : this.stream.getAudioTracks())[0];
  }

  /** The streams there are to be sent. */
  get streams(): MediaStream[] {
    return this.screen ? [this.stream, this.screen] : [this.stream];
  }

  /** Asks for what the user has not turned off. */
  async start(): Promise<void> {
    if (this.#turnedOff.size === 0) await this.#startBoth();
    else for (const kind of INPUTS) if (!this.#turnedOff.has(kind)) await this.#open(kind);
    this.#changed();
  }

  /** Asks for camera and microphone in one question. Where one of the two cannot be had, for the other. */
  async #startBoth(): Promise<void> {
    const stops = this.#stops;
    const error = await this.#get({ ...this.#constraintsOf('camera'), ...this.#constraintsOf('microphone') });
    if (stops === this.#stops && error !== undefined) await this.#startEach(error);
  }

  async #startEach(error: unknown): Promise<void> {
    const { name } = Object(error);
    const isForbidden = name === 'NotAllowedError';
    const wanted = isForbidden ? await notForbidden() : INPUTS;
    const isWorthATry = isForbidden ? wanted.length === 1 : WORTH_A_TRY.includes(name);
    const errors = INPUTS.map(() => error);
    if (isWorthATry)
      for (const [n, kind] of INPUTS.entries()) if (wanted.includes(kind)) errors[n] = await this.#getOne(kind);
    const [camera, microphone] = errors;
    const isSame = Object(camera).name === Object(microphone).name;
    if (camera !== undefined && isSame)
      this.#troubled('camera', deviceTrouble('camera and microphone', camera), () => void this.start());
    else if (camera !== undefined) this.#fail('camera', camera);
    if (microphone !== undefined && !isSame) this.#fail('microphone', microphone);
    else this.#troubled('microphone', undefined);
  }

  async toggle(kind: DeviceKind): Promise<void> {
    if (kind === 'screen') await (this.screen ? this.#hideScreen() : this.#showScreen());
    else await this.#toggleInput(kind);
    this.#changed();
  }

  async #toggleInput(kind: Input): Promise<void> {
    if (this.isOn(kind)) this.#turnedOff.add(kind);
    else this.#turnedOff.delete(kind);
    if (kind === 'microphone') await this.#toggleMicrophone();
    else if (this.isOn('camera')) this.#closeCamera();
    else await this.#open('camera');
  }

  /** Uses another camera or microphone: at once if it is open, else from then on. */
  async choose(kind: Input, deviceId: string): Promise<void> {
    this.#chosen[kind] = deviceId;
    if (this.track(kind)) await this.#open(kind);
    this.#changed();
  }

  /** So many others get our picture. */
  share(others: number): void {
    const picture = pictureFor(others);
    if (JSON.stringify(picture) === JSON.stringify(this.#picture)) return;
    this.#picture = picture;
    this.track('camera')
      ?.applyConstraints(picture)
      .catch(() => undefined); // it goes on as it is
  }

  /** Lets go of everything. */
  stop(): void {
    this.#stops++;
    for (const stream of this.streams) for (const track of stream.getTracks()) track.stop();
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    this.screen = undefined;
    this.#changed();
  }

  /** A microphone that is muted stays open, so that the first word after it is heard. */
  async #toggleMicrophone(): Promise<void> {
    const microphone = this.track('microphone');
    if (microphone) microphone.enabled = !microphone.enabled;
    else await this.#open('microphone');
  }

  async #open(kind: Input): Promise<void> {
    const error = await this.#getOne(kind);
    if (error !== undefined) this.#fail(kind, error);
  }

  #fail(kind: Input, error: unknown): void {
    this.#troubled(kind, deviceTrouble(kind, error), () => void this.#retry(kind));
  }

  /** For this one alone: the other may be off because the user wants it so. */
  async #retry(kind: Input): Promise<void> {
    await this.#open(kind);
    this.#changed();
  }

  /** The chosen device, or any other where the chosen one is gone. Returns why there is none. */
  async #getOne(kind: Input): Promise<unknown> {
    const error = await this.#get(this.#constraintsOf(kind));
    if (Object(error).name !== 'OverconstrainedError' || this.#chosen[kind] === undefined) return error;
    delete this.#chosen[kind];
    return await this.#get(this.#constraintsOf(kind));
  }

  #constraintsOf(kind: Input): MediaStreamConstraints {
    const deviceId = this.#chosen[kind];
    const wanted = { ...(kind === 'camera' && this.#picture), ...(deviceId && { deviceId: { exact: deviceId } }) };
    return kind === 'camera' ? { video: wanted } : { audio: wanted };
  }

  /** Takes what the browser gives. Returns why it does not. */
  async #get(constraints: MediaStreamConstraints): Promise<unknown> {
    const stops = this.#stops;
    try {
      const { mediaDevices } = secureNavigator();
      const opened = await mediaDevices.getUserMedia(constraints);
      for (const track of opened.getTracks()) {
        if (stops === this.#stops) this.#take(track);
        else track.stop(); // we have left meanwhile
      }
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #take(track: MediaStreamTrack): void {
    const kind = track.kind === 'video' ? 'camera' : 'microphone';
    const before = this.track(kind);
    this.stream.addTrack(track);
    if (before) {
      track.enabled = before.enabled;
      this.stream.removeTrack(before);
      before.stop();
      this.tracksListener?.replaced(before, track, this.stream);
    } else {
      this.tracksListener?.added(track, this.stream);
    }
    track.addEventListener('ended', () => {
      if (track !== this.track(kind)) return; // another one is in use
      this.#drop(track);
      this.#troubled(kind, deviceLost(kind), () => void this.#retry(kind));
      this.#changed();
    });
    this.#troubled(kind, undefined);
  }

  /** A camera that is off is closed, so that its light is off. */
  #closeCamera(): void {
    const camera = this.track('camera');
    if (!camera) return;
    camera.stop();
    this.#drop(camera);
  }

  #drop(track: MediaStreamTrack): void {
    if (!this.stream.getTracks().includes(track)) return;
    this.stream.removeTrack(track);
    this.tracksListener?.removed(track, this.stream);
  }

  async #showScreen(): Promise<void> {
    const stops = this.#stops;
    try {
      const { mediaDevices } = secureNavigator();
      const screen = await mediaDevices.getDisplayMedia({ video: true, audio: true });
      if (stops !== this.#stops) {
        for (const track of screen.getTracks()) track.stop();
        return;
      }
      this.screen = screen;
      for (const track of screen.getTracks()) {
        this.tracksListener?.added(track, screen);
        // The browser has a button of its own to stop it.
        track.addEventListener('ended', () => {
          if (this.screen === screen) void this.toggle('screen');
        });
      }
      this.#troubled('screen', undefined);
    } catch (error) {
      this.#troubled('screen', deviceTrouble('screen', error), () => void this.toggle('screen'));
    }
  }

  #hideScreen(): void {
    const { screen } = this;
    if (!screen) return;
    this.screen = undefined;
    for (const track of screen.getTracks()) {
      track.stop();
      this.tracksListener?.removed(track, screen);
    }
  }
}

/** No phone's browser can. On a page that is not secure none says so, and to try brings a sentence. */
export function canShowScreen(): boolean {
  return !navigator.mediaDevices || 'getDisplayMedia' in navigator.mediaDevices;
}

/** The navigator of a secure page: elsewhere it has no mediaDevices. */
function secureNavigator(): Navigator {
  if (navigator.mediaDevices) return navigator;
  throw Object.assign(new Error('No secure context.'), { name: 'InsecureContextError' });
}

/** What the user has not forbidden this page for good; all, where the browser does not say. */
async function notForbidden(): Promise<readonly Input[]> {
  const isForbidden = async (name: Input): Promise<boolean> => {
    try {
      return (await navigator.permissions.query({ name })).state === 'denied';
    } catch {
      return false;
    }
  };
  const forbidden = await Promise.all(INPUTS.map(isForbidden));
  return INPUTS.filter((_, n) => !forbidden[n]);
}
