// Comes in: addresses of pictures on the server. Goes out: the decoded pictures, soon where they were fetched before.
// Files and decoded pictures are kept in two caches, each with a limit in bytes.

import { ByteCache } from "../logic/byte_cache.js";
import { bytesOf } from "./api.js";

/** Requests at once: a browser opens six connections to a host, of which the events take one and edits need one. */
const AT_ONCE = 3;

/** Requests that may wait. Beyond that, those that were asked for first are given up: nobody looks at them any more. */
const WAITING = 64;

/** Requests that wait for a connection; the one that was asked for last is made first. */
class Line {
  constructor() {
    this.running = 0;
    /** @type {{begin: () => Promise<void>, giveUp: () => void}[]} The next one is at the end. */
    this.waiting = [];
  }

  /** @template T @param {() => Promise<T>} work @param {boolean} urgent Before all others. @returns {Promise<T>} */
  run(work, urgent) {
    return new Promise((resolve, reject) => {
      const begin = () => work().then(resolve, reject);
      const giveUp = () => reject(new DOMException("not needed any more", "AbortError"));
      if (urgent) this.waiting.push({ begin, giveUp });
      else this.waiting.unshift({ begin, giveUp });
      if (this.waiting.length > WAITING) this.waiting.shift().giveUp();
      this._next();
    });
  }

  _next() {
    if (this.running >= AT_ONCE || this.waiting.length === 0) return;
    this.running += 1;
    this.waiting.pop().begin().finally(() => {
      this.running -= 1;
      this._next();
    });
  }
}

/** One line for all: pictures and masks share the connections. */
const line = new Line();

/** @template T Pictures of one kind. */
export class Pictures {
  /**
   * @param {Object} how
   * @param {number} how.fileBytes Limit of the files.
   * @param {number} how.decodedBytes Limit of the decoded pictures.
   * @param {(file: Blob) => Promise<T>} how.decode
   * @param {(picture: T) => number} how.sizeOf Bytes of a decoded one.
   * @param {(picture: T) => void} [how.letGo]
   */
  constructor({ fileBytes, decodedBytes, decode, sizeOf, letGo }) {
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

  async _file(url, urgent) {
    const here = this.files.get(url);
    if (here !== undefined) return here;
    if (!this.fetching.has(url)) {
      const work = line.run(() => bytesOf(url), urgent).then((file) => {
        this.files.put(url, file, file.size);
        return file;
      });
      this.fetching.set(url, work);
      work.finally(() => this.fetching.delete(url)).catch(() => {});
    }
    return this.fetching.get(url);
  }
}
