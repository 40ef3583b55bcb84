import { describe, expect, test } from 'vitest';
import { type Box, layOut } from './layout.ts';

const AREAS = [
  { width: 374, height: 640 },
  { width: 320, height: 420 },
  { width: 784, height: 480 },
  { width: 844, height: 250 },
  { width: 1264, height: 660 },
  { width: 904, height: 660 },
];

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width - 0.01 &&
  b.x < a.x + a.width - 0.01 &&
  a.y < b.y + b.height - 0.01 &&
  b.y < a.y + a.height - 0.01;

describe.each(AREAS)('in $width by $height', (area) => {
  const cases = Array.from({ length: 15 }, (_, index) => index).flatMap((count) =>
    [0, 1, 2].filter((screens) => screens <= count).map((screens) => ({ count, screens })),
  );

  test.each(cases)('$count tiles, $screens of them screens, fit', ({ count, screens }) => {
    const boxes = layOut(count, area, screens);
    expect(boxes).toHaveLength(count);
    for (const { x, y, width, height } of boxes) {
      expect(Math.min(x, y)).toBeGreaterThanOrEqual(-0.01);
      expect(x + width).toBeLessThanOrEqual(area.width + 0.01);
      expect(y + height).toBeLessThanOrEqual(area.height + 0.01);
      expect(Math.min(width, height)).toBeGreaterThan(20);
    }
    if (count === 2 && screens === 0) return; // one lies on the other, as it should
    for (const [index, box] of boxes.entries())
      for (const other of boxes.slice(index + 1)) expect(overlap(box, other)).toBe(false);
  });

  test('the people use most of the area, whatever their number', () => {
    for (let count = 3; count <= 12; count++) {
      const used = layOut(count, area).reduce((sum, { width, height }) => sum + width * height, 0);
      expect(used / (area.width * area.height), `${count} people`).toBeGreaterThan(0.5);
    }
  });

  test('a screen has more of the area than all people together', () => {
    const [screen, ...people] = layOut(5, area, 1).map(({ width, height }) => width * height);
    expect(screen).toBeGreaterThan(people.reduce((sum, each) => sum + each, 0));
  });
});

test('of two people the first has a picture of allowed shape, as large as it can be; the second a corner of it', () => {
  for (const area of AREAS) {
    const [other, own] = layOut(2, area);
    const { width = 0, height = 0 } = other ?? {};
    expect(width / height).toBeLessThanOrEqual(16 / 9 + 0.01);
    expect(width / height).toBeGreaterThanOrEqual(3 / 4 - 0.01);
    expect(width === area.width || height === area.height).toBe(true);
    expect(own?.width).toBeLessThan(width / 2);
    expect(own?.height).toBeLessThan(height / 2);
    for (const [at, size] of [
      ['x', 'width'],
      ['y', 'height'],
    ] as const) {
      const [start = 0, end = 0] = [other?.[at], other && other[at] + other[size]];
      expect(own?.[at]).toBeGreaterThan(start);
      expect(own && own[at] + own[size]).toBeLessThan(end);
    }
  }
});
