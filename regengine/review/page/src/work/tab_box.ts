// Where a tab keeps what it has not sent. Two tabs must not send each other's work, but what a tab
// that is gone left behind must not be lost.

const NAME = "regengine-review.tab";
/** After a reload the old page may hold its lock for a moment. */
const LONGEST_WAIT_MS = 3000;

function prefixOf(store: string): string {
  return `regengine-review.outbox.${store}.`;
}

/** The key of this tab's box, which no other tab uses as long as this one is open. */
export async function ownBox(store: string): Promise<string> {
  const key = prefixOf(store) + tabName();
  if (await lockFor(key)) return key;
  // A duplicated tab comes with the name of its original
  window.sessionStorage.removeItem(NAME);
  const other = prefixOf(store) + tabName();
  await lockFor(other);
  return other;
}

/** Hand over what tabs that are gone left for this store. */
export async function takeLeftOvers(store: string, own: string, take: (text: string) => void): Promise<void> {
  const locks = lockManager();
  if (locks === undefined) return;
  const others = Object.keys(window.localStorage).filter((key) => key.startsWith(prefixOf(store)) && key !== own);
  for (const key of others) {
    await locks.request(key, { ifAvailable: true }, (lock) => {
      const text = lock === null ? null : window.localStorage.getItem(key);
      if (text === null) return;
      take(text);
      window.localStorage.removeItem(key);
    });
  }
}

/** Whether this tab has the lock of a box; it keeps it until it is closed. */
function lockFor(key: string): Promise<boolean> {
  const locks = lockManager();
  if (locks === undefined) return Promise.resolve(true);
  const signal = AbortSignal.timeout(LONGEST_WAIT_MS);
  return new Promise((resolve) => {
    locks
      .request(key, { signal }, () => {
        resolve(true);
        return new Promise(() => undefined);
      })
      .catch(() => resolve(false));
  });
}

/** A page that is neither on loopback nor encrypted has none: there, tabs keep to their own boxes. */
function lockManager(): LockManager | undefined {
  return (navigator as { locks?: LockManager }).locks;
}

function tabName(): string {
  const known = window.sessionStorage.getItem(NAME);
  if (known !== null) return known;
  const name = Array.from(crypto.getRandomValues(new Uint32Array(2)), (each) => each.toString(36)).join("");
  window.sessionStorage.setItem(NAME, name);
  return name;
}
