// What was fetched and is kept for the next time: of those that were asked for, the last ones.

export class Kept<Key, Value> {
  private readonly kept = new Map<Key, Promise<Value>>();

  constructor(
    private readonly load: (key: Key) => Promise<Value>,
    private readonly most = Infinity,
  ) {}

  /** What failed is asked for again the next time. */
  get(key: Key): Promise<Value> {
    const found = this.kept.get(key) ?? this.load(key);
    this.kept.delete(key);
    this.kept.set(key, found); // newest last
    found.catch(() => this.kept.get(key) === found && this.kept.delete(key));
    const [oldest] = this.kept.keys();
    if (this.kept.size > this.most && oldest !== undefined) this.kept.delete(oldest);
    return found;
  }

  /** What is known is old. */
  forget(key: Key): void {
    this.kept.delete(key);
  }
}
