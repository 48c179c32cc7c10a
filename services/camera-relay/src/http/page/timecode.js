// Reads the time code of the test picture: 80 blocks of 8x8 pixels in two rows of 40 at the upper left, white is 1, most significant bits first:
// 8 bits that mark it, 48 bits of milliseconds since 1970 when the picture was drawn, 16 bits of its number, and a CRC-8 over these 8 bytes.

const BLOCK = 8;
const COLUMNS = 40;
const BYTES = 10;
const WIDTH = COLUMNS * BLOCK;
const HEIGHT = 2 * BLOCK;
const MARK = 0xb2;

/** When the picture that the video shows was drawn, in milliseconds since 1970; `null` where there is no time code. */
export function readTimeCode(context, video) {
  if (video.videoWidth < WIDTH || video.videoHeight < HEIGHT) return null;
  const { canvas } = context;
  if (canvas.width !== WIDTH || canvas.height !== HEIGHT) [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  // At its own size: scaled, the blocks would run into each other.
  context.drawImage(video, 0, 0, WIDTH, HEIGHT, 0, 0, WIDTH, HEIGHT);
  return decode(context.getImageData(0, 0, WIDTH, HEIGHT).data);
}

function decode(pixels) {
  const bytes = new Uint8Array(BYTES);
  for (let index = 0; index < BYTES * 8; index += 1) {
    if (isWhite(pixels, (index % COLUMNS) * BLOCK, Math.floor(index / COLUMNS) * BLOCK)) bytes[index >> 3] |= 0x80 >> (index & 7);
  }
  if (bytes[0] !== MARK || bytes[9] !== crc8(bytes.subarray(1, 9))) return null;
  // 48 bits are more than the operators on bits take.
  return bytes.subarray(1, 7).reduce((time, byte) => time * 256 + byte, 0);
}

/** By the middle of a block, which compression and smoothing leave alone. */
function isWhite(pixels, left, top) {
  let sum = 0;
  for (let y = top + 2; y < top + 6; y += 1) {
    for (let x = left + 2; x < left + 6; x += 1) sum += pixels[(y * WIDTH + x) * 4 + 1];
  }
  return sum > 127 * 16;
}

function crc8(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc;
}
