// Comes in: numbers. Goes out: the words that a person reads.

/** @param {number} seconds @returns {string} Such as 0:04.25 or 1:02:03. */
export function clock(seconds) {
  const whole = Math.floor(seconds + 1e-6);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  if (whole >= 3600) return `${Math.floor(whole / 3600)}:${parts.join(":")}`;
  const hundredths = String(Math.floor((seconds + 1e-6 - whole) * 100)).padStart(2, "0");
  return `${Number(parts[0])}:${parts[1]}.${hundredths}`;
}

/** @param {number} seconds A round mark of a ruler. @returns {string} Such as 4 s, 0.5 s or 2:30. */
export function mark(seconds) {
  if (seconds < 60) return `${Math.round(seconds * 10) / 10} s`;
  return clock(seconds).replace(/\.\d+$/, "");
}

/** @param {number} seconds @returns {string} Such as "40 s left" or "3 min left". */
export function timeLeft(seconds) {
  if (seconds < 1) return "nearly done";
  if (seconds < 90) return `${Math.ceil(seconds)} s left`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}

/** @param {number} bytes @returns {string} In MB or GB. */
export function size(bytes) {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** @param {number} count @param {string} one @param {string} many @returns {string} Such as "1 frame", "12,000 frames". */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** @param {{id: number, name: string}} object @returns {string} What to call it. */
export function nameOf({ id, name }) {
  return name || `Object ${id}`;
}

/** @param {[number, number][]} ranges First and last frame of each. @returns {string} Such as "frames 0 to 11 and 40". */
export function frameRanges(ranges) {
  const words = ranges.map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`));
  if (words.length === 1 && ranges[0][0] === ranges[0][1]) return `frame ${words[0]}`;
  return `frames ${words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}` : words[0]}`;
}
