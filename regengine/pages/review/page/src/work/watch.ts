// Time: how long a frame has been in view (a page that nobody looks at does not count), and waiting.

export class Watch {
  private since: number | null = null;
  private passed = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.stop();
      else this.since ??= performance.now();
    });
  }

  restart(): void {
    this.passed = 0;
    this.since = document.hidden ? null : performance.now();
  }

  get seconds(): number {
    const running = this.since === null ? 0 : performance.now() - this.since;
    return Math.round((this.passed + running) / 100) / 10;
  }

  private stop(): void {
    if (this.since !== null) this.passed += performance.now() - this.since;
    this.since = null;
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => window.setTimeout(resolve, ms));
}
