// Comes in: a frame of the video, and how large it is shown.
// Goes out: its picture, its small picture for the timeline, and its label map; all within 150 MB.

import { bytesOf, maskUrl, pictureUrl } from "./api.js";
import { Line, Pictures } from "./pictures.js";

const MB = 1e6;
/** Widths in which pictures are asked for, so that a window that grows a little finds those that are here. */
const WIDTHS = [480, 720, 960, 1440, 1920, 2880];
/** Width of a small picture. */
export const THUMB_WIDTH = 160;
/** Label maps with more columns are shown coarser. */
const WIDEST_MAP = 1920;

/** @param {ImageBitmap} picture */
const bitmapBytes = (picture) => picture.width * picture.height * 4;
const decode = (file) => createImageBitmap(file);

/** On which label maps are decoded, one after the other. */
const scratch = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

/** @typedef {import("../logic/labels.js").LabelMap} LabelMap */

/**
 * @param {Blob} file A greyscale PNG. @param {number} widest
 * @returns {Promise<LabelMap>} Its values; of a wider one every so many-th pixel.
 */
export async function decodeLabels(file, widest = WIDEST_MAP) {
  const bitmap = await createImageBitmap(file, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  const share = Math.min(1, widest / bitmap.width);
  const width = Math.round(bitmap.width * share);
  const height = Math.max(1, Math.round(bitmap.height * share));
  if (scratch.canvas.width !== width || scratch.canvas.height !== height) Object.assign(scratch.canvas, { width, height });
  scratch.imageSmoothingEnabled = false;
  scratch.globalCompositeOperation = "copy";
  scratch.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data: rgba } = scratch.getImageData(0, 0, width, height);
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i += 1) data[i] = rgba[i * 4];
  return { width, height, data };
}

/** Pictures and label maps of the video's frames. */
export class Frames {
  /** @param {import("./types.js").Video} video */
  constructor({ width, height, pixel_aspect: aspect }) {
    this.width = width;
    this.height = height;
    /** Width of a frame as it is shown, divided by its height. */
    this.shape = (width * aspect) / height;
    const close = (picture) => picture.close();
    const bitmaps = { decode, sizeOf: bitmapBytes, letGo: close };
    /** @type {Pictures<ImageBitmap>} */
    this.pictures = new Pictures({ line: new Line(1), fileBytes: 60 * MB, decodedBytes: 44 * MB, ...bitmaps });
    /** @type {Pictures<ImageBitmap>} */
    this.thumbs = new Pictures({
      line: new Line(1),
      ordered: true,
      fileBytes: 6 * MB,
      decodedBytes: 10 * MB,
      ...bitmaps,
    });
    /** @type {Pictures<LabelMap>} */
    this.maps = new Pictures({
      line: new Line(2),
      fileBytes: 10 * MB,
      decodedBytes: 20 * MB,
      decode: decodeLabels,
      sizeOf: (map) => map.data.length,
    });
  }

  /** Bytes in all caches. */
  get bytes() {
    return this.pictures.bytes + this.thumbs.bytes + this.maps.bytes;
  }

  /** Bytes that they may hold. */
  get limit() {
    return this.pictures.limit + this.thumbs.limit + this.maps.limit;
  }

  /** @param {number} pixels Device pixels that the frame's width takes. @returns {number} The width to ask for. */
  widthFor(pixels) {
    const width = WIDTHS.find((each) => each >= pixels) ?? 0;
    return width >= this.width ? 0 : width;
  }

  /** @param {number} frame @param {number} width From `widthFor`. @returns {ImageBitmap | undefined} */
  pictureNow(frame, width) {
    return this.pictures.now(pictureUrl(frame, width));
  }

  /** @param {number} frame @param {number} width @returns {Promise<ImageBitmap>} */
  picture(frame, width) {
    return this.pictures.load(pictureUrl(frame, width));
  }

  /** @param {number} frame @returns {ImageBitmap | undefined} */
  thumbNow(frame) {
    return this.thumbs.now(pictureUrl(frame, THUMB_WIDTH));
  }

  /** @param {number} frame @returns {Promise<ImageBitmap>} */
  thumb(frame) {
    return this.thumbs.load(pictureUrl(frame, THUMB_WIDTH));
  }

  /** @param {number} frame @param {number} revision @returns {LabelMap | undefined} */
  mapNow(frame, revision) {
    return this.maps.now(maskUrl(frame, revision));
  }

  /** @param {number} frame @param {number} revision @returns {Promise<LabelMap>} */
  map(frame, revision) {
    return this.maps.load(maskUrl(frame, revision));
  }

  /** @param {number} frame @param {number} revision @returns {Promise<LabelMap>} With every pixel, however wide it is. */
  async exactMap(frame, revision) {
    return decodeLabels(await bytesOf(maskUrl(frame, revision)), Infinity);
  }

  /**
   * Fetch what will be shown soon.
   * @param {number} frame @param {number} width @param {number} revision @param {boolean} masked Its masks as well.
   * @returns {Promise<void>}
   */
  async warm(frame, width, revision, masked) {
    const map = masked ? this.maps.warm(maskUrl(frame, revision)) : null;
    await Promise.all([this.pictures.warm(pictureUrl(frame, width)), map]);
  }

  /** @param {number} frame @param {number} width @returns {number | null} Bytes of its picture's file; null if it is not here. */
  fileBytes(frame, width) {
    return this.pictures.fileBytes(pictureUrl(frame, width));
  }

  /** Whether what `warm` fetches is here. @returns {boolean} */
  isWarm(frame, width, revision, masked) {
    return this.pictures.isWarm(pictureUrl(frame, width)) && (!masked || this.maps.isWarm(maskUrl(frame, revision)));
  }
}
