/** Our camera, microphone and screen. */
import { type DeviceKind, deviceTrouble, type Trouble } from './trouble.ts';

/** What becomes of our tracks, for those who are to get them. */
export interface TracksListener {
  added(track: MediaStreamTrack, stream: MediaStream): void;
  removed(track: MediaStreamTrack, stream: MediaStream): void;
  replaced(before: MediaStreamTrack, after: MediaStreamTrack, stream: MediaStream): void;
}

export type Input = 'camera' | 'microphone';

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
  /** Told of what went wrong, and of nothing when it is right again. */
  readonly #troubled: (kind: DeviceKind, trouble: Trouble | undefined) => void;
  /** The devices that were chosen, by what they are. */
  readonly #chosen: { [Kind in Input]?: string } = {};
  #picture = pictureFor(0);

  constructor(changed: () => void, troubled: (kind: DeviceKind, trouble: Trouble | undefined) => void) {
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

  /** Asks for camera and microphone in one question. Where one of the two is missing, for the other. */
  async start(): Promise<void> {
    try {
      const { mediaDevices } = secureNavigator();
      const both = await mediaDevices.getUserMedia({ audio: true, video: this.#picture });
      for (const track of both.getTracks()) this.#take(track);
    } catch (error) {
      const { name } = Object(error);
      if (name === 'NotFoundError' || name === 'NotReadableError') {
        await this.#open('microphone');
        await this.#open('camera');
      } else {
        this.#troubled('camera', deviceTrouble('camera', error));
      }
    }
    this.#changed();
  }

  async toggle(kind: DeviceKind): Promise<void> {
    if (kind === 'screen') await (this.screen ? this.#hideScreen() : this.#showScreen());
    else if (kind === 'microphone') await this.#toggleMicrophone();
    else if (this.isOn('camera')) this.#closeCamera();
    else await this.#open('camera');
    this.#changed();
  }

  /** Uses another camera or microphone. */
  async choose(kind: Input, deviceId: string): Promise<void> {
    this.#chosen[kind] = deviceId;
    await this.#open(kind);
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
    const deviceId = this.#chosen[kind];
    const wanted = { ...(kind === 'camera' && this.#picture), ...(deviceId && { deviceId: { exact: deviceId } }) };
    try {
      const { mediaDevices } = secureNavigator();
      const opened = await mediaDevices.getUserMedia(kind === 'camera' ? { video: wanted } : { audio: wanted });
      for (const track of opened.getTracks()) this.#take(track);
    } catch (error) {
      this.#troubled(kind, deviceTrouble(kind, error));
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
      this.#drop(track); // unplugged, or no longer allowed
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
    try {
      const { mediaDevices } = secureNavigator();
      const screen = await mediaDevices.getDisplayMedia({ video: true, audio: true });
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
      this.#troubled('screen', deviceTrouble('screen', error));
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

/** The navigator of a secure page: elsewhere it has no mediaDevices. */
function secureNavigator(): Navigator {
  if (navigator.mediaDevices) return navigator;
  throw Object.assign(new Error('No secure context.'), { name: 'InsecureContextError' });
}
