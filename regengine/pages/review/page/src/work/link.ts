// Whether the server is there: noticed when a request fails, and asked until it answers again, and
// knows this browser: after a new start, once the new address was opened in it.

const FIRST_MS = 400;
const LONGEST_MS = 3000;
/** A request that failed though the server answers is tried again at most this often. */
const ONCE_MS = 20_000;

export interface LinkNeeds {
  /** It does not answer (null), or answers that it does not know this page. */
  away: (why: "silent" | "unknown") => void;
  /** It is there; `was`: it was not, for a while. What failed meanwhile may be asked for again. */
  back: (was: boolean) => void;
}

export class Link {
  private needs: LinkNeeds | null = null;
  private watching: Promise<void> | null = null;
  private tried = -ONCE_MS;

  begin(needs: LinkNeeds): void {
    this.needs = needs;
  }

  /** A request failed; whether the server is there is found out. */
  lost(): void {
    if (this.needs !== null) this.watching ??= this.watch(this.needs).finally(() => (this.watching = null));
  }

  /** So long, or until a server that was away is back. */
  async wait(ms: number): Promise<void> {
    await Promise.race([delay(ms), ...(this.watching === null ? [] : [this.watching])]);
  }

  private async watch(needs: LinkNeeds): Promise<void> {
    let was = false;
    for (let ms = FIRST_MS; ; ms = Math.min(2 * ms, LONGEST_MS)) {
      // Any answer but these two says that the server is there
      const status = await fetch("/api/session").then((answer) => answer.status, () => 503);
      if (status < 500 && status !== 401) break;
      was = true;
      needs.away(status === 401 ? "unknown" : "silent");
      await delay(ms);
    }
    if (!was && performance.now() - this.tried < ONCE_MS) return;
    this.tried = performance.now();
    needs.back(was);
  }
}

/** The one of this page. */
export const link = new Link();

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => window.setTimeout(resolve, ms));
}

/** A question that is asked once things have stood still for a while; an earlier one is given up. */
export function atRest(ask: (signal: AbortSignal) => Promise<void>, failed: (error: unknown) => void) {
  let timer = 0;
  let asking = new AbortController();
  const stop = (): void => {
    window.clearTimeout(timer);
    asking.abort();
  };
  const now = (): void => {
    stop();
    asking = new AbortController();
    const { signal } = asking;
    ask(signal).catch((error: unknown) => signal.aborted || failed(error));
  };
  const soon = (after_ms: number): void => {
    stop();
    timer = window.setTimeout(now, after_ms);
  };
  return { stop, now, soon };
}
