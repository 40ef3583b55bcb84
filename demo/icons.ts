/** Icons: strokes on a field of 24 by 24. */

const PATHS = {
  bolt: 'M13 3 5 14h6l-1 7 8-11h-6z',
  camera: 'M3 8a2 2 0 0 1 2-2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z M15 11l6-4v10l-6-4',
  'camera-off':
    'M5 6a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h8a2 2 0 0 0 1.6-.8 M10 6h3a2 2 0 0 1 2 2v3l6-4v10l-2.5-1.7 M3 3l18 18',
  chat: 'M4 5h16v11H10l-5 4v-4H4z',
  clip: 'M19 11l-8 8a4.6 4.6 0 0 1-6.5-6.5l8.5-8.5a3 3 0 0 1 4.3 4.3l-8.5 8.5a1.5 1.5 0 0 1-2.1-2.1l7.5-7.5',
  close: 'M6 6l12 12 M18 6 6 18',
  copy: 'M9 9h11v11H9z M15 9V4H4v11h5',
  download: 'M12 4v11 M7 11l5 5 5-5 M5 20h14',
  file: 'M6 3h8l5 5v13H6z M14 3v5h5',
  gear: 'M4 7h9 M17 7h3 M4 17h3 M11 17h9 M15 5a2 2 0 1 0 0 4 2 2 0 0 0 0-4z M9 15a2 2 0 1 0 0 4 2 2 0 0 0 0-4z',
  invite: 'M10 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8z M3 20c0-4 3-6 7-6s7 2 7 6 M19 8v6 M16 11h6',
  leave: 'M3 14c5-5 13-5 18 0l-2.5 3-4-1.5v-3a11 11 0 0 0-5 0v3l-4 1.5z',
  microphone: 'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3z M5 11a7 7 0 0 0 14 0 M12 18v3',
  'microphone-off':
    'M9 5.6V6 M15 12.5V6a3 3 0 0 0-5.8-1 M9 9v2a3 3 0 0 0 4.5 2.6 M5 11a7 7 0 0 0 11 5.7 M19 11a7 7 0 0 1-.8 3.2 M12 18v3 M3 3l18 18',
  screen: 'M3 5h18v12H3z M8 21h8 M12 8v6 M9 11l3-3 3 3',
  'screen-off': 'M3 5h18v12H3z M8 21h8 M9.5 8.5l5 5 M14.5 8.5l-5 5',
  send: 'M4 12 20 4l-5 16-3-7z M12 13l8-9',
  share: 'M12 15V3 M8 7l4-4 4 4 M6 11H5v10h14V11h-1',
} as const;

export type Icon = keyof typeof PATHS;

export function isIcon(name: string): name is Icon {
  return Object.hasOwn(PATHS, name);
}

const SVG = 'http://www.w3.org/2000/svg';

/** A picture for the eye alone: what it means stands beside it, or in its button's label. */
export function icon(name: Icon): SVGSVGElement {
  return drawing(24, 24, PATHS[name]);
}

/** An SVG of this size with one path. */
export function drawing(width: number, height: number, path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('aria-hidden', 'true');
  const shape = document.createElementNS(SVG, 'path');
  shape.setAttribute('d', path);
  svg.append(shape);
  return svg;
}
