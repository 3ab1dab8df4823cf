// Whether the server is there: noticed when a request fails, and asked until it answers again. A page
// that was open when the server ended is taken back by the next one of the same user: each proves to
// the other that it has the key, which never leaves the page.

import { delay } from "./watch";

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
  private key = "";
  private watching: Promise<void> | null = null;
  private tried = -ONCE_MS;

  /** From now on. The key is what the next server will know this page by; the page must be known now. */
  async begin(needs: LinkNeeds): Promise<void> {
    this.needs = needs;
    try {
      const answer = await fetch("/api/return");
      if (answer.ok) this.key = ((await answer.json()) as { key: string }).key;
    } catch {
      // without it, the page has to be opened anew
    }
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
      const state = await this.probe();
      if (state === "there") break;
      if (state === "unknown" && (await this.returned())) break;
      was = true;
      needs.away(state);
      await delay(ms);
    }
    if (!was && performance.now() - this.tried < ONCE_MS) return;
    this.tried = performance.now();
    needs.back(was);
  }

  private async probe(): Promise<"there" | "silent" | "unknown"> {
    try {
      const { status } = await fetch("/api/session");
      return status === 401 ? "unknown" : status >= 500 ? "silent" : "there";
    } catch {
      return "silent";
    }
  }

  private async returned(): Promise<boolean> {
    try {
      return this.key !== "" && (await takenBack(this.key));
    } catch {
      return false;
    }
  }
}

/** The one of this page. */
export const link = new Link();

async function takenBack(key: string): Promise<boolean> {
  const challenge = hex(crypto.getRandomValues(new Uint8Array(16)));
  // Who answers is not known yet: no cookie goes there
  const answer = await fetch(`/api/return?${new URLSearchParams({ challenge }).toString()}`, { credentials: "omit" });
  if (!answer.ok) return false;
  const told = (await answer.json()) as { challenge: string; proof: string };
  if (told.proof !== (await proof(key, "server", challenge))) return false;
  const query = new URLSearchParams({ challenge: told.challenge, proof: await proof(key, "page", told.challenge) });
  return (await fetch(`/api/return?${query.toString()}`, { method: "POST" })).ok;
}

/** As the server makes it (Access.proof). Browsers do so on loopback and on encrypted pages only. */
async function proof(key: string, role: string, challenge: string): Promise<string> {
  const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const made = await crypto.subtle.importKey("raw", bytes(key), hmac, false, ["sign"]);
  const told = `${role} ${location.port || "80"} ${challenge}`;
  return hex(new Uint8Array(await crypto.subtle.sign("HMAC", made, bytes(told))));
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
}
