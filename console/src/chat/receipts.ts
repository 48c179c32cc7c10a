/** Sends a room's marks now and then rather than with every message, and never one that has been sent. */

export interface RaisedMarks {
  delivered?: number
  read?: number
}

/** How long marks are gathered. Reading is told sooner than delivery, because people wait for it. */
const GATHER_MS = { read: 300, delivered: 2_000 }

interface Pending {
  marks: RaisedMarks
  sent: RaisedMarks
  timer?: { kind: keyof RaisedMarks; handle: ReturnType<typeof setTimeout> }
}

export class Receipts {
  private readonly rooms = new Map<string, Pending>()

  constructor(private readonly send: (room: string, marks: RaisedMarks) => void) {}

  raise(room: string, kind: keyof RaisedMarks, offset: number): void {
    const pending = this.rooms.get(room) ?? { marks: {}, sent: {} }
    this.rooms.set(room, pending)
    if (offset <= (pending.sent[kind] ?? 0)) return
    pending.marks[kind] = offset
    if (pending.timer && (pending.timer.kind === kind || kind === 'delivered')) return
    clearTimeout(pending.timer?.handle)
    pending.timer = { kind, handle: setTimeout(() => this.flush(room, pending), GATHER_MS[kind]) }
  }

  /** Forgets what waits and what was sent: a new connection starts from nothing. */
  clear(): void {
    for (const room of this.rooms.keys()) this.forgetRoom(room)
  }

  forgetRoom(room: string): void {
    clearTimeout(this.rooms.get(room)?.timer?.handle)
    this.rooms.delete(room)
  }

  private flush(room: string, pending: Pending): void {
    delete pending.timer
    this.send(room, pending.marks)
    Object.assign(pending.sent, pending.marks)
    pending.marks = {}
  }
}
