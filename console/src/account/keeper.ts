/**
 * Keeps an account's session alive in one tab. All tabs share one refresh token, which is good once: they take turns with
 * it, and who has renewed the token tells the others. No I/O of its own: storage, turns, calls and time are given to it.
 */

/** What the browser keeps of a session, for all tabs. */
export interface Kept {
  sessionId: string
  refreshToken: string
}

/** What signing in or renewing gives. */
export interface Granted extends Kept {
  token: string
}

/** A token as it is used, and how long it is good from now, by the service's clock. */
export interface Held {
  token: string
  sessionId: string
  livesMs: number
}

export interface Surroundings {
  read(): Kept | null
  write(kept: Kept | null): void
  /** Runs work that only one tab may do at a time. */
  inTurn(work: () => Promise<void>): Promise<void>
  /** Renews; `ended` when the service says that the session is no more. Throws when it cannot be asked. */
  refresh(refreshToken: string): Promise<Granted | 'ended'>
  /** Ends a session at the service that nobody keeps any more. */
  discard(refreshToken: string): void
  /** Reads how long a token is good for in all, and its session. */
  look(token: string): Held | null
  /** Asks the other tabs for the token that they use, and gives them time to answer. */
  ask(): Promise<void>
  /** Gives a token of this age to the other tabs. */
  tell(token: string, ageMs: number): void
  /** Gives a token, or its end, to the page. */
  hold(token: string | null): void
  /** Calls back once; calling again replaces it. */
  wake(afterMs: number, work: () => void): void
  now(): number
  random(): number
}

/** A token is renewed when this much of its life is left, but never before two thirds of it have passed. */
const EARLY_MS = 120_000

/** Between attempts while the service cannot be asked: doubles from the first to the last. */
export const RETRY = { firstMs: 2_000, longestMs: 60_000 }

export class Keeper {
  private held?: Held & { endsAtMs: number; renewAtMs: number }
  private renewing?: Promise<void>
  private failures = 0

  constructor(private readonly around: Surroundings) {}

  /** Takes a session that has just begun. */
  begin(granted: Granted): void {
    this.around.write({ sessionId: granted.sessionId, refreshToken: granted.refreshToken })
    this.adopt(granted.token)
    this.around.tell(granted.token, 0)
  }

  /** Takes up the session that the browser keeps, with the token of before a reload where it is still good. */
  async resume(token: string | null, age: (token: string) => number): Promise<void> {
    const kept = this.around.read()
    if (!kept) return this.leave()
    const looked = token === null ? null : this.around.look(token)
    if (token !== null && looked?.sessionId === kept.sessionId && looked.livesMs > age(token)) {
      this.adopt(token, age(token))
      return
    }
    // A new tab need not use up the refresh token when another one has what it wants.
    await this.around.ask()
    if (!this.held) await this.renew()
  }

  /** Another tab, which has just been opened, asks for the token. */
  asked(): void {
    const now = this.around.now()
    if (!this.held || this.held.renewAtMs <= now) return
    const { token, endsAtMs, livesMs } = this.held
    this.around.tell(token, livesMs - (endsAtMs - now))
  }

  /** A token that another tab has got. */
  heard(token: string, ageMs: number): void {
    const looked = this.around.look(token)
    if (!looked || looked.sessionId !== this.around.read()?.sessionId) return
    const endsAtMs = this.around.now() + looked.livesMs - ageMs
    const isOlder = this.held?.sessionId === looked.sessionId && endsAtMs < this.held.endsAtMs
    if (!isOlder) this.adopt(token, ageMs)
  }

  /** The kept session has changed in another tab: it began, went on or ended there. */
  async changedElsewhere(): Promise<void> {
    const kept = this.around.read()
    if (!kept) this.leave()
    else if (this.held?.sessionId !== kept.sessionId) await this.renew()
  }

  /** Waits for a token that is good for a while, where there may be one. */
  async fresh(): Promise<void> {
    if (this.held && this.held.endsAtMs > this.around.now()) return
    if (this.around.read()) await this.renew()
  }

  /** Renews the token if its time has come; timers sleep with the machine, so this is asked at every wake. */
  async renewIfDue(): Promise<void> {
    if (this.held && this.around.now() >= this.held.renewAtMs) await this.renew()
  }

  /** Gets a new token, whatever the old one is good for. */
  renew(): Promise<void> {
    this.renewing ??= this.take().finally(() => delete this.renewing)
    return this.renewing
  }

  /** Ends the session in this browser; the refresh token is given back for the service to end it too. */
  end(): Kept | null {
    const kept = this.around.read()
    this.around.write(null)
    this.leave()
    return kept
  }

  private async take(): Promise<void> {
    const before = this.held?.token
    await this.around.inTurn(async () => {
      const kept = this.around.read()
      if (!kept) return this.leave()
      // While this tab waited for its turn, another one may have renewed for all.
      if (this.held && this.held.token !== before) return
      try {
        await this.exchange(kept)
      } catch {
        const pause = Math.min(RETRY.longestMs, RETRY.firstMs * 2 ** this.failures)
        this.failures += 1
        this.around.wake(pause * (0.5 + this.around.random() / 2), () => void this.renew())
      }
    })
  }

  private async exchange(kept: Kept): Promise<void> {
    const granted = await this.around.refresh(kept.refreshToken)
    // Somebody signed out, or in as another, while the answer was on its way.
    if (this.around.read()?.refreshToken !== kept.refreshToken) {
      if (granted !== 'ended') this.around.discard(granted.refreshToken)
      return
    }
    if (granted === 'ended') {
      this.end()
      return
    }
    this.begin(granted)
  }

  private adopt(token: string, ageMs = 0): void {
    const looked = this.around.look(token)
    if (!looked) return
    this.failures = 0
    const now = this.around.now()
    const early = Math.min(EARLY_MS, looked.livesMs / 3)
    const endsAtMs = now + looked.livesMs - ageMs
    // Not all tabs at the same moment.
    const renewAtMs = endsAtMs - early * (1 - this.around.random() / 4)
    this.held = { ...looked, endsAtMs, renewAtMs }
    this.around.hold(token)
    this.around.wake(Math.max(0, renewAtMs - now), () => void this.renew())
  }

  private leave(): void {
    delete this.held
    this.around.hold(null)
  }
}
