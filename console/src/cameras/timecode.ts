/**
 * Reads the time code of the relay's test picture: 80 blocks of 8 by 8 pixels in the upper left, in two rows of 40;
 * white is 1, the first bit is the highest. 8 bits that say it is one, 48 of Unix time in milliseconds when the picture was
 * drawn, 16 of its number, 8 of a check over the 64 before.
 */

const BLOCK = 8
const COLUMNS = 40
const ROWS = 2
const BYTES = 10
const SYNC = 0xb2

export const CODE_WIDTH = COLUMNS * BLOCK
export const CODE_HEIGHT = ROWS * BLOCK

/** Between black and white. */
const MIDDLE = 127

/** Pixels of `CODE_WIDTH` by `CODE_HEIGHT`, four bytes each, as a canvas has them; the time in milliseconds. */
export function timeIn(pixels: ArrayLike<number>): number | undefined {
  const bytes = new Array<number>(BYTES).fill(0)
  for (let block = 0; block < BYTES * 8; block += 1) {
    const byte = Math.floor(block / 8)
    bytes[byte] = ((bytes[byte] ?? 0) << 1) | (isWhite(pixels, block) ? 1 : 0)
  }
  if (bytes[0] !== SYNC || bytes[9] !== check(bytes.slice(1, 9))) return undefined
  return bytes.slice(1, 7).reduce((time, byte) => time * 256 + byte, 0)
}

/** The mean of a block's inner pixels; compression blurs its edge. */
function isWhite(pixels: ArrayLike<number>, block: number): boolean {
  const left = (block % COLUMNS) * BLOCK + 2
  const top = Math.floor(block / COLUMNS) * BLOCK + 2
  let sum = 0
  for (let y = top; y < top + 4; y += 1) {
    for (let x = left; x < left + 4; x += 1) {
      // Green is most of what is seen as light, and the code has no colour.
      sum += pixels[(y * CODE_WIDTH + x) * 4 + 1] ?? 0
    }
  }
  return sum / 16 > MIDDLE
}

/** CRC-8 with the polynomial 0x07. */
function check(bytes: number[]): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1) & 0xff
  }
  return crc
}

/** Looks at the pictures of a video element. */
export class TimeCodeReader {
  #context: CanvasRenderingContext2D | null | undefined

  /** When the picture that is shown now was drawn; undefined where it has no code. */
  read(video: HTMLVideoElement): number | undefined {
    if (video.videoWidth < CODE_WIDTH || video.videoHeight < CODE_HEIGHT) return undefined
    const context = (this.#context ??= this.#newContext())
    if (!context) return undefined
    // Not scaled: the code is read at the picture's own size.
    context.drawImage(video, 0, 0, CODE_WIDTH, CODE_HEIGHT, 0, 0, CODE_WIDTH, CODE_HEIGHT)
    return timeIn(context.getImageData(0, 0, CODE_WIDTH, CODE_HEIGHT).data)
  }

  #newContext(): CanvasRenderingContext2D | null {
    const canvas = document.createElement('canvas')
    Object.assign(canvas, { width: CODE_WIDTH, height: CODE_HEIGHT })
    return canvas.getContext('2d', { willReadFrequently: true })
  }
}
