// Comes in: things by key, with the bytes that they take.
// Goes out: the same things, as long as there is room; the ones that were used last are kept.

/** @template T A cache that never holds more bytes than its limit, but always the last thing that was put in. */
export class ByteCache {
  /**
   * @param {number} limit Bytes.
   * @param {(thing: T) => void} letGo Called with each thing that leaves.
   */
  constructor(limit, letGo = () => {}) {
    this.limit = limit;
    this.bytes = 0;
    this.letGo = letGo;
    /** @type {Map<string, {thing: T, bytes: number}>} In order of use, the oldest first. */
    this.kept = new Map();
  }

  /** @param {string} key @returns {T | undefined} */
  get(key) {
    const found = this.kept.get(key);
    if (found === undefined) return undefined;
    this.kept.delete(key);
    this.kept.set(key, found);
    return found.thing;
  }

  /** @param {string} key @returns {number | null} Bytes of a thing; null if it is not here. */
  bytesOf(key) {
    return this.kept.get(key)?.bytes ?? null;
  }

  /** @param {string} key @returns {boolean} */
  has(key) {
    return this.kept.has(key);
  }

  /** @param {string} key @param {T} thing @param {number} bytes */
  put(key, thing, bytes) {
    this.remove(key);
    this.kept.set(key, { thing, bytes });
    this.bytes += bytes;
    for (const oldest of this.kept.keys()) {
      if (this.bytes <= this.limit || oldest === key) break;
      this.remove(oldest);
    }
  }

  /** @param {string} key */
  remove(key) {
    const found = this.kept.get(key);
    if (found === undefined) return;
    this.kept.delete(key);
    this.bytes -= found.bytes;
    this.letGo(found.thing);
  }

  clear() {
    for (const key of [...this.kept.keys()]) this.remove(key);
  }
}
