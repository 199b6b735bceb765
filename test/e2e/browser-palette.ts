import { crc32, deflateSync } from "node:zlib";

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and alpha of each pixel, row by row; alpha counts for nothing. */
  readonly rgba: Uint8Array;
}

/** A colour of 5 bits a channel, and how many pixels have it. */
interface Shade {
  readonly key: number;
  readonly channels: readonly [number, number, number];
  readonly count: number;
}

const colorsMax = 256;
const signature = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A PNG of at most 256 colours: a third of what one of all colours takes. */
export function palettePng({ width, height, rgba }: Pixels): Uint8Array {
  const boxes = medianCut(shadesOf(rgba));
  const indexOf = new Map(boxes.flatMap((box, index) => box.map(({ key }) => [key, index] as const)));
  const palette = new Uint8Array(boxes.length * 3);
  const sums = boxes.map(() => [0, 0, 0, 0]);
  const rows = new Uint8Array((width + 1) * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const index = indexOf.get(keyAt(rgba, pixel)) ?? 0;
    rows[pixel + Math.floor(pixel / width) + 1] = index;
    const sum = sums[index] as number[];
    for (let channel = 0; channel < 3; channel++)
      sum[channel] = (sum[channel] ?? 0) + (rgba[pixel * 4 + channel] ?? 0);
    sum[3] = (sum[3] ?? 0) + 1;
  }
  for (const [index, [red = 0, green = 0, blue = 0, count = 1]] of sums.entries())
    palette.set([red / count, green / count, blue / count], index * 3);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("PLTE", palette),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

/** 6 bits of each channel. */
function keyAt(rgba: Uint8Array, pixel: number): number {
  const at = pixel * 4;
  return (((rgba[at] ?? 0) >> 2) << 12) | (((rgba[at + 1] ?? 0) >> 2) << 6) | ((rgba[at + 2] ?? 0) >> 2);
}

function shadesOf(rgba: Uint8Array): Shade[] {
  const counts = new Map<number, number>();
  for (let pixel = 0; pixel < rgba.length / 4; pixel++) {
    const key = keyAt(rgba, pixel);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => ({
    key,
    channels: [key >> 12, (key >> 6) & 63, key & 63],
    count,
  }));
}

/** Halves the box whose colours are farthest apart, weighed by how many pixels they are, until there are enough. */
function medianCut(shades: Shade[]): Shade[][] {
  const boxes = [shades];
  while (boxes.length < colorsMax) {
    const worst = boxes
      .map((box, index) => ({ index, ...widest(box) }))
      .sort((a, b) => b.spread * Math.sqrt(b.count) - a.spread * Math.sqrt(a.count))[0];
    if (worst === undefined || worst.spread === 0) break;
    const box = (boxes[worst.index] as Shade[]).sort(
      (a, b) => (a.channels[worst.channel] ?? 0) - (b.channels[worst.channel] ?? 0),
    );
    let cut = 0;
    for (let seen = 0; seen * 2 < worst.count; cut++) seen += box[cut]?.count ?? 0;
    cut = Math.min(cut, box.length - 1);
    boxes.splice(worst.index, 1, box.slice(0, cut), box.slice(cut));
  }
  return boxes;
}

/** The channel in which a box's colours are farthest apart. */
function widest(box: readonly Shade[]): { channel: number; spread: number; count: number } {
  const spreads = [0, 1, 2].map((channel) => {
    const values = box.map(({ channels }) => channels[channel] ?? 0);
    return values.reduce((a, b) => Math.max(a, b), 0) - values.reduce((a, b) => Math.min(a, b), 63);
  });
  const spread = Math.max(...spreads);
  return { channel: spreads.indexOf(spread), spread, count: box.reduce((sum, { count }) => sum + count, 0) };
}
