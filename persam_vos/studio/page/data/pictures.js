// Comes in: addresses of pictures on the server. Goes out: the decoded pictures, soon where they were fetched before.
// Files and decoded pictures are kept in two caches, each with a limit in bytes.

import { ByteCache } from "../logic/byte_cache.js";
import { bytesOf } from "./api.js";

/** Requests that may wait. Beyond that, those that were asked for first are given up: nobody looks at them any more. */
const WAITING = 64;

/**
 * Requests that wait for a connection, in the order in which they came: a film is decoded fastest from front to back.
 * An urgent one goes first, and those that are still waiting are given up: the eye is elsewhere now.
 */
export class Line {
  /** @param {number} atOnce Requests at once. A browser opens six connections to a host; events and edits need two. */
  constructor(atOnce) {
    this.atOnce = atOnce;
    this.running = 0;
    /** @type {{url: string, begin: () => Promise<void>, giveUp: () => void}[]} */
    this.waiting = [];
  }

  /** @template T @param {string} url @param {() => Promise<T>} work @param {boolean} urgent @returns {Promise<T>} */
  run(url, work, urgent) {
    return new Promise((resolve, reject) => {
      const begin = () => work().then(resolve, reject);
      const giveUp = () => reject(new DOMException("not needed any more", "AbortError"));
      this.waiting.push({ url, begin, giveUp });
      if (urgent) this.hurry(url);
      else if (this.waiting.length > WAITING) this.waiting.shift().giveUp();
      this._next();
    });
  }

  /** A request is urgent now. @param {string} url */
  hurry(url) {
    const found = this.waiting.find((each) => each.url === url);
    if (!found) return;
    const others = this.waiting.filter((each) => each !== found);
    this.waiting = [found];
    for (const each of others) each.giveUp();
  }

  _next() {
    if (this.running >= this.atOnce || this.waiting.length === 0) return;
    this.running += 1;
    const done = () => {
      this.running -= 1;
      this._next();
    };
    this.waiting.shift().begin().then(done, done);
  }
}

/** @template T Pictures of one kind. */
export class Pictures {
  /**
   * @param {Object} how
   * @param {Line} how.line Where requests wait.
   * @param {boolean} [how.ordered] Whether none is urgent: they are made in the order in which they are asked for.
   * @param {number} how.fileBytes Limit of the files.
   * @param {number} how.decodedBytes Limit of the decoded pictures.
   * @param {(file: Blob) => Promise<T>} how.decode
   * @param {(picture: T) => number} how.sizeOf Bytes of a decoded one.
   * @param {(picture: T) => void} [how.letGo]
   */
  constructor({ line, ordered = false, fileBytes, decodedBytes, decode, sizeOf, letGo }) {
    this.line = line;
    this.ordered = ordered;
    /** @type {ByteCache<Blob>} */
    this.files = new ByteCache(fileBytes);
    /** @type {ByteCache<T>} */
    this.decoded = new ByteCache(decodedBytes, letGo);
    this.decode = decode;
    this.sizeOf = sizeOf;
    /** @type {Map<string, Promise<Blob>>} */
    this.fetching = new Map();
    /** @type {Map<string, Promise<T>>} */
    this.decoding = new Map();
  }

  /** Bytes that both caches hold. */
  get bytes() {
    return this.files.bytes + this.decoded.bytes;
  }

  /** Bytes that both may hold. */
  get limit() {
    return this.files.limit + this.decoded.limit;
  }

  /** @param {string} url @returns {T | undefined} The picture, if it is here. */
  now(url) {
    return this.decoded.get(url);
  }

  /** @param {string} url @returns {Promise<T>} */
  async load(url) {
    const here = this.decoded.get(url);
    if (here !== undefined) return here;
    if (!this.decoding.has(url)) {
      const work = this._file(url, true).then(async (file) => {
        const picture = await this.decode(file);
        this.decoded.put(url, picture, this.sizeOf(picture));
        return picture;
      });
      this.decoding.set(url, work);
      work.finally(() => this.decoding.delete(url)).catch(() => {});
    }
    return this.decoding.get(url);
  }

  /** Fetch the file of a picture that will be needed soon. @param {string} url @returns {Promise<void>} */
  async warm(url) {
    await this._file(url, false);
  }

  /** @param {string} url @returns {boolean} Whether the file is here. */
  isWarm(url) {
    return this.files.has(url) || this.decoded.has(url);
  }

  /** @param {string} url @returns {number | null} Bytes of its file; null if that is not here. */
  fileBytes(url) {
    return this.files.bytesOf(url);
  }

  async _file(url, urgent) {
    const here = this.files.get(url);
    if (here !== undefined) return here;
    const isUrgent = urgent && !this.ordered;
    if (this.fetching.has(url)) {
      if (isUrgent) this.line.hurry(url);
    } else {
      const work = this.line.run(url, () => bytesOf(url), isUrgent).then((file) => {
        this.files.put(url, file, file.size);
        return file;
      });
      this.fetching.set(url, work);
      work.finally(() => this.fetching.delete(url)).catch(() => {});
    }
    return this.fetching.get(url);
  }
}
