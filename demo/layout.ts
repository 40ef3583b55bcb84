/** Where the tiles go: they always fit, and are as large as they can be. */

export interface Size {
  width: number;
  height: number;
}
export interface Box extends Size {
  x: number;
  y: number;
}

/** Between tiles, in px. */
const GAP = 8;

/** The widest and the highest picture, as width by height: beyond it, too much of a camera's picture is cut off. */
const WIDEST = 16 / 9;
const HIGHEST = 3 / 4;

/**
 * A box for each tile within `area`, in px and in their order. The first `screens` tiles are screens: they take most of
 * the area. Of two people the second, ourselves, is a small picture within the first's.
 */
export function layOut(count: number, area: Size, screens = 0): Box[] {
  if (count === 0) return [];
  const whole = { x: 0, y: 0, ...area };
  if (screens > 0 && screens < count) {
    const [stage, strip] = split(whole);
    return [...grid(screens, stage, Number.POSITIVE_INFINITY), ...grid(count - screens, strip)];
  }
  if (count === 2 && screens === 0) return grid(1, whole).flatMap((first) => [first, corner(first)]);
  return grid(count, whole, screens > 0 ? Number.POSITIVE_INFINITY : WIDEST);
}

/** Most of the area, and a strip of it beside or below that. */
function split({ x, y, width, height }: Box): [stage: Box, strip: Box] {
  if (width > height) {
    const strip = Math.min(220, width / 4);
    const stage = width - strip - GAP;
    return [
      { x, y, width: stage, height },
      { x: x + stage + GAP, y, width: strip, height },
    ];
  }
  const strip = Math.min(180, height / 3);
  const stage = height - strip - GAP;
  return [
    { x, y, width, height: stage },
    { x, y: y + stage + GAP, width, height: strip },
  ];
}

/** A small picture in the lower right corner of a large one, in the shape of that. */
function corner(large: Box): Box {
  const isWide = large.width > large.height;
  const width = Math.min(isWide ? 240 : 120, large.width / 3);
  const height = isWide ? width / WIDEST : width / HIGHEST;
  return {
    x: large.x + large.width - width - 2 * GAP,
    y: large.y + large.height - height - 2 * GAP,
    width,
    height,
  };
}

/** Equal boxes in rows, in as many columns as make them largest. The last row is centred, and so is the whole. */
function grid(count: number, area: Box, widest = WIDEST): Box[] {
  const candidates = Array.from({ length: count }, (_, index) => cells(count, index + 1, area, widest));
  const { columns, width, height } = candidates.reduce((best, each) =>
    each.width * each.height > best.width * best.height + 1 ? each : best,
  );
  const rows = Math.ceil(count / columns);
  const top = area.y + (area.height - rows * height - (rows - 1) * GAP) / 2;
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / columns);
    const inRow = Math.min(columns, count - row * columns);
    const left = area.x + (area.width - inRow * width - (inRow - 1) * GAP) / 2;
    return { x: left + (index % columns) * (width + GAP), y: top + row * (height + GAP), width, height };
  });
}

/** The largest size of a picture, of allowed shape, in so many columns. */
function cells(count: number, columns: number, area: Size, widest: number): Size & { columns: number } {
  const rows = Math.ceil(count / columns);
  const width = Math.max(0, (area.width - (columns - 1) * GAP) / columns);
  const height = Math.max(0, (area.height - (rows - 1) * GAP) / rows);
  return { columns, width: Math.min(width, height * widest), height: Math.min(height, width / HIGHEST) };
}
