// Put into the pages of the relay by the media tests: a viewer by WHEP that remembers every picture that it was shown.

globalThis.Watcher = class Watcher {
  constructor(camera) {
    this.camera = camera
    this.pictures = []
    this.peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    this.peer.addTransceiver('video', { direction: 'recvonly' })
    this.peer.ontrack = ({ track }) => (this.video.srcObject = new MediaStream([track]))
    this.video = Object.assign(document.createElement('video'), { muted: true, autoplay: true, playsInline: true })
    // On the screen, for what is not is not drawn.
    Object.assign(this.video.style, { position: 'fixed', top: 0, left: 0, zIndex: 1 })
    document.body.append(this.video)
    this.follow()
  }

  /** Reads the time code of every picture that is decoded, of which the screen may show fewer; for ever. */
  async readCodes() {
    const { readTimeCode } = await import('/timecode.js')
    const [track] = this.video.srcObject.getVideoTracks()
    const frames = new MediaStreamTrackProcessor({ track: track.clone() }).readable.getReader()
    const [width, height] = [320, 16]
    // The upper left of the picture, in the form of a video of that size.
    const corner = Object.assign(document.createElement('canvas'), { width, height, videoWidth: width, videoHeight: height })
    const into = corner.getContext('2d', { willReadFrequently: true })
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
    this.codes = []
    for (;;) {
      const { value: frame, done } = await frames.read()
      if (done) return
      into.drawImage(frame, 0, 0, width, height, 0, 0, width, height)
      frame.close()
      this.codes.push(readTimeCode(context, corner))
    }
  }

  follow() {
    this.video.requestVideoFrameCallback((at, { rtpTimestamp }) => {
      this.pictures.push({ at, rtp: rtpTimestamp })
      this.follow()
    })
  }

  async open() {
    await this.peer.setLocalDescription()
    const headers = { 'content-type': 'application/sdp' }
    const response = await fetch(`/whep/${this.camera}`, { method: 'POST', headers, body: this.peer.localDescription.sdp })
    if (response.status !== 201) throw new Error(`WHEP answered ${response.status}: ${await response.text()}`)
    this.session = new URL(response.headers.get('location'), response.url)
    this.tag = response.headers.get('etag')
    this.answer = await response.text()
    await this.peer.setRemoteDescription({ type: 'answer', sdp: this.answer })
    return this
  }

  /** Restarts ICE as RFC 9725, section 4.3.3, says: new credentials go and come as fragments. */
  async restartIce() {
    this.peer.restartIce()
    await this.peer.setLocalDescription()
    const kept = /^(a=group:|m=|a=mid:|a=ice-ufrag:|a=ice-pwd:|a=ice-options:)/
    const body = this.peer.localDescription.sdp.split('\r\n').filter((line) => kept.test(line)).join('\r\n') + '\r\n'
    const headers = { 'content-type': 'application/trickle-ice-sdpfrag', 'if-match': '*' }
    const response = await fetch(this.session, { method: 'PATCH', headers, body })
    if (response.status !== 200) throw new Error(`PATCH answered ${response.status}: ${await response.text()}`)
    const tag = response.headers.get('etag')
    const changed = tag !== null && tag !== this.tag
    this.tag = tag
    const fragment = await response.text()
    for (const name of ['ice-ufrag', 'ice-pwd']) {
      const [line] = new RegExp(`a=${name}:.*`).exec(fragment)
      this.answer = this.answer.replace(new RegExp(`a=${name}:.*`, 'g'), line)
    }
    await this.peer.setRemoteDescription({ type: 'answer', sdp: this.answer })
    return changed
  }

  /** Figures of the pictures, of the transport and of the candidates in use. */
  async figures() {
    const all = await this.peer.getStats()
    const of = (type) => [...all.values()].filter((entry) => entry.type === type)
    const video = of('inbound-rtp').find(({ kind }) => kind === 'video') ?? {}
    const transport = of('transport')[0] ?? {}
    const pair = all.get(transport.selectedCandidatePairId) ?? {}
    return { video, transport, pair, local: all.get(pair.localCandidateId), remote: all.get(pair.remoteCandidateId) }
  }

  async close() {
    this.peer.close()
    this.video.remove()
    if (this.session) await fetch(this.session, { method: 'DELETE' })
  }
}
