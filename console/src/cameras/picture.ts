/** Pictures on canvases. */

/** Bytes of an answer as a picture. */
export function jpegOf(bytes: Uint8Array): Blob {
  return new Blob([bytes as BlobPart], { type: 'image/jpeg' })
}

/** Draws a picture at its own size; the page scales it. */
export async function drawOn(canvas: HTMLCanvasElement, jpeg: Blob): Promise<void> {
  const picture = await createImageBitmap(jpeg)
  draw(canvas, picture, picture.width, picture.height)
  picture.close()
}

/** Keeps what a video element shows; tells whether it shows anything. */
export function keepStill(canvas: HTMLCanvasElement, video: HTMLVideoElement): boolean {
  if (video.videoWidth === 0 || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return false
  draw(canvas, video, video.videoWidth, video.videoHeight)
  return true
}

function draw(canvas: HTMLCanvasElement, source: CanvasImageSource, width: number, height: number): void {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  canvas.getContext('2d')?.drawImage(source, 0, 0)
}
