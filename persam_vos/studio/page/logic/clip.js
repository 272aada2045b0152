// Comes in: the range of frames of a video, and when each one is shown.
// Goes out: a Clip, which counts frames, steps from one to another and knows which one is due at a time.

/**
 * The frames of a session. A frame keeps the index that it has in the video; its position counts from 0.
 */
export class Clip {
  /**
   * @param {{start: number, stop: number, step: number}} range First frame, first one that is left out, and stride.
   * @param {number[]} times Seconds at which each frame is shown, rising.
   * @param {number} rate Frames per second, for frames without a time.
   */
  constructor({ start, stop, step }, times = [], rate = 24) {
    this.start = start;
    this.stop = stop;
    this.step = step;
    this.count = Math.max(1, Math.ceil((stop - start) / step));
    this.last = start + (this.count - 1) * step;
    this.times = times;
    this.rate = rate;
  }

  /** @param {number} position Any number. @returns {number} The frame there, the nearest one if there is none. */
  frameAt(position) {
    const inside = Math.min(Math.max(Math.round(position), 0), this.count - 1);
    return this.start + inside * this.step;
  }

  /** @param {number} frame @returns {number} Its position, from 0. */
  positionOf(frame) {
    return (frame - this.start) / this.step;
  }

  /** @param {number} frame @param {number} by Frames to go, below 0 back. @returns {number} Where that ends. */
  stepped(frame, by) {
    return this.frameAt(this.positionOf(frame) + by);
  }

  /** @param {number} frame @returns {number} Seconds after the first frame of the session. */
  timeOf(frame) {
    const position = this.positionOf(frame);
    const time = this.times[position];
    return time === undefined ? (position * this.step) / this.rate : time - this.times[0];
  }

  /**
   * @param {number} seconds After the first frame.
   * @returns {number} The frame that is on the screen then: the last one whose time has come.
   */
  frameDue(seconds) {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.timeOf(this.frameAt(middle)) <= seconds + 1e-6) low = middle;
      else high = middle - 1;
    }
    return this.frameAt(low);
  }
}
