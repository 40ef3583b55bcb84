/** The choice of camera and microphone. */
import type { Devices, Input } from './devices.ts';
import { find, make } from './dom.ts';

const KINDS = { camera: 'videoinput', microphone: 'audioinput' } satisfies Record<Input, MediaDeviceKind>;

/** Lists what there is. A browser tells only after it has been allowed to use one. */
export async function fillChoices(devices: Devices): Promise<void> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  for (const kind of ['camera', 'microphone'] as const) {
    const field = find(`${kind}-choice`, HTMLSelectElement);
    const known = all.filter((device) => device.kind === KINDS[kind] && device.deviceId !== '');
    const used = devices.track(kind)?.getSettings().deviceId;
    field.replaceChildren(
      ...known.map(({ deviceId, label }, index) =>
        make('option', { value: deviceId, selected: deviceId === used }, label || `${index + 1}. ${kind}`),
      ),
    );
    field.disabled = known.length === 0;
    field.onchange = () => void devices.choose(kind, field.value);
  }
  const isKnown = all.some(({ deviceId }) => deviceId !== '');
  find('devices-note', HTMLElement).textContent = isKnown
    ? 'A change takes effect at once.'
    : 'Turn on camera or microphone first: until then the browser does not say which there are.';
}
