// Comes in: how many frames there are, which of them are in sight, and how wide the timeline is.
// Goes out: a TimeScale: x of a frame, frame at x, marks of a ruler, and which pictures fit between them.

/** Frames that a timeline shows at least, zoomed in as far as possible. */
const FEWEST = 12;
/** Steps of the ruler, in seconds. */
const RULER_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

/** Which positions of a clip a timeline shows, and where. It never changes: zooming makes another one. */
export class TimeScale {
  /**
   * @param {number} count Frames of the clip.
   * @param {number} width Pixels (CSS) of the timeline.
   * @param {number} first Position at its left edge, with fractions.
   * @param {number} shown Positions in sight.
   */
  constructor(count, width, first = 0, shown = count) {
    this.count = count;
    this.width = Math.max(1, width);
    this.shown = Math.min(Math.max(shown, Math.min(FEWEST, count)), count);
    this.first = Math.min(Math.max(first, 0), count - this.shown);
    Object.freeze(this);
  }

  /** Pixels that a frame takes. */
  get frameWidth() {
    return this.width / this.shown;
  }

  /** Whether all frames are in sight. */
  get isWhole() {
    return this.shown >= this.count;
  }

  /** @param {number} position @returns {number} x of its left edge. */
  xOf(position) {
    return (position - this.first) * this.frameWidth;
  }

  /** @param {number} x @returns {number} The position there, inside the clip. */
  positionAt(x) {
    const position = Math.floor(this.first + x / this.frameWidth);
    return Math.min(Math.max(position, 0), this.count - 1);
  }

  /** @param {number} factor Above 1 shows fewer frames. @param {number} x What stays where it is. @returns {TimeScale} */
  zoomed(factor, x) {
    const at = this.first + x / this.frameWidth;
    const shown = Math.min(Math.max(this.shown / factor, Math.min(FEWEST, this.count)), this.count);
    return new TimeScale(this.count, this.width, at - (x / this.width) * shown, shown);
  }

  /** @param {number} by Positions, above 0 to later ones. @returns {TimeScale} */
  moved(by) {
    return new TimeScale(this.count, this.width, this.first + by, this.shown);
  }

  /** @param {number} width @returns {TimeScale} */
  resized(width) {
    return new TimeScale(this.count, width, this.first, this.shown);
  }

  /** @param {number} position @returns {TimeScale} The least moved one that shows it. */
  showing(position) {
    if (position < this.first) return this.moved(position - this.first);
    const over = position + 1 - (this.first + this.shown);
    return over > 0 ? this.moved(over) : this;
  }

  /** @returns {[number, number]} The first position in sight, and the first one that is left out. */
  range() {
    return [Math.floor(this.first), Math.min(this.count, Math.ceil(this.first + this.shown))];
  }

  /**
   * @param {number} thumbWidth Pixels of a picture.
   * @returns {{position: number, x: number}[]} Which frames' pictures fill the strip, at most width / thumbWidth + 2.
   */
  thumbs(thumbWidth) {
    const apart = Math.max(1, Math.round(thumbWidth / this.frameWidth));
    const from = Math.floor(this.first / apart) * apart;
    const found = [];
    for (let position = from; position < Math.min(this.first + this.shown, this.count); position += apart) {
      found.push({ position, x: this.xOf(position) });
    }
    return found;
  }

  /**
   * @param {(position: number) => number} timeOf Seconds of a position.
   * @param {(seconds: number) => number} positionOf The position at a time.
   * @param {number} apart Least pixels between two marks.
   * @returns {{seconds: number, x: number}[]} Round seconds for a ruler.
   */
  ruler(timeOf, positionOf, apart = 72) {
    const [from, stop] = this.range();
    const begin = timeOf(from);
    const end = timeOf(stop - 1);
    const least = ((end - begin) * apart) / this.width;
    const step = RULER_STEPS.find((each) => each >= least) ?? RULER_STEPS[RULER_STEPS.length - 1];
    const marks = [];
    for (let n = Math.ceil(begin / step - 1e-9); n * step <= end + 1e-9; n += 1) {
      marks.push({ seconds: n * step, x: this.xOf(positionOf(n * step)) });
    }
    return marks;
  }
}
