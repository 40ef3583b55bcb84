/** How loud our own microphone is. How loud the others are says WebRTC. */
export class Loudness {
  readonly #context = new AudioContext();
  readonly #analyser = this.#context.createAnalyser();
  readonly #samples = new Float32Array(this.#analyser.fftSize);
  #source: MediaStreamAudioSourceNode | undefined;
  #track: MediaStreamTrack | undefined;

  /** Of `track` just now, 0 to 1; a track that is muted is silent. */
  of(track: MediaStreamTrack | undefined): number {
    if (track !== this.#track) this.#listenTo(track);
    if (!track?.enabled) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return this.#samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }

  stop(): void {
    void this.#context.close();
  }

  #listenTo(track: MediaStreamTrack | undefined): void {
    this.#source?.disconnect();
    this.#track = track;
    this.#source = track && this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source?.connect(this.#analyser);
  }
}
