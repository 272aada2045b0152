// Comes in: the frame that is to be seen. Goes out: the picture and the label map that can be drawn of it right now;
// better ones follow as they arrive.

/** Frames after the current one that are fetched with it. */
const AHEAD = 4;
/** Milliseconds that a frame stays before they are. */
const REST = 250;

/** What the canvas shows of the current frame. */
export class Shown {
  /**
   * @param {import("../data/store.js").Store} store
   * @param {import("../data/frames.js").Frames} frames
   * @param {() => void} onChange Called when there is something else to draw.
   */
  constructor(store, frames, onChange) {
    this.store = store;
    this.frames = frames;
    this.onChange = onChange;
    /** Of which frame the picture is. */
    this.frame = -1;
    /** @type {ImageBitmap | null} */
    this.picture = null;
    /** @type {import("../logic/labels.js").LabelMap | null} */
    this.map = null;
    /** Frame and revision of the label map. */
    this.mapFrame = -1;
    this.mapRevision = -1;
    /** Why there is no picture of the current frame, in words. */
    this.trouble = "";
    this.width = 0;
    this.resting = 0;
  }

  /** Whether the picture of another frame is still there, because this one's has not come. */
  get isWaiting() {
    return this.frame !== this.store.frame;
  }

  /** Whether the label map is that of what was said last. */
  get isCurrent() {
    return this.mapFrame === this.store.frame && this.mapRevision === this.store.revisionOf(this.store.frame);
  }

  /** Look for what the store asks for. @param {number} width Of the picture, from `Frames.widthFor`. */
  update(width = this.width) {
    this.width = width;
    this._updatePicture();
    this._updateMap();
    this.onChange();
  }

  /** The picture, decoded anew if the cache had to let it go. @returns {ImageBitmap | null} */
  drawable() {
    if (this.picture && this.picture.width === 0) {
      this.picture = null;
      this._updatePicture();
    }
    return this.picture;
  }

  _updatePicture() {
    const { frame } = this.store;
    const exact = this.frames.pictureNow(frame, this.width);
    const rough = exact ?? (this.frame === frame ? this.picture : this.frames.thumbNow(frame));
    if (rough) {
      this.picture = rough;
      this.frame = frame;
      this.trouble = "";
    }
    clearTimeout(this.resting);
    if (exact) {
      this.resting = setTimeout(() => this._warmNext(frame), REST);
      return;
    }
    this.frames.picture(frame, this.width).then(() => this._arrived(frame), (error) => this._failed(frame, error));
  }

  /** Fetch the frames that a step or two would show. */
  _warmNext(frame) {
    const { store } = this;
    if (store.playing || store.frame !== frame) return;
    for (let i = 1; i <= AHEAD; i += 1) {
      const next = store.clip.stepped(frame, i);
      const asked = [next, this.width, store.revisionOf(next), store.state.objects.length > 0];
      if (!this.frames.isWarm(...asked)) this.frames.warm(...asked).catch(() => {});
    }
  }

  _updateMap() {
    const { frame, state } = this.store;
    if (this.mapFrame !== frame || state.objects.length === 0) {
      this.map = null;
      this.mapFrame = -1;
    }
    if (state.objects.length === 0) return;
    const revision = this.store.revisionOf(frame);
    const map = this.frames.mapNow(frame, revision);
    if (map) {
      this.map = map;
      this.mapFrame = frame;
      this.mapRevision = revision;
      return;
    }
    this.frames.map(frame, revision).then(() => this._arrived(frame), (error) => this._failed(frame, error));
  }

  _arrived(frame) {
    if (frame === this.store.frame) this.update();
  }

  _failed(frame, error) {
    if (error.name === "AbortError" || frame !== this.store.frame) return;
    this.trouble = error.message;
    this.onChange();
  }
}
