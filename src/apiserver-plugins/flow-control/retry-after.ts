/** When those who were turned away shall come again: the later, the more had to be turned away lately. Upstream's way, one a level. */
const longestSeconds = 32;

export class RetryAfter {
  #seconds = 1;
  #raisedAt = 0;
  #now = 0;
  #rejectedNow = 0;
  #past: { second: number; rejected: number }[] = [];

  /** Notes one more who is turned away, and says how long that one shall wait. */
  rejected(nowMs: number): number {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#now) {
      this.#past.push({ second: this.#now, rejected: this.#rejectedNow });
      const oldest = this.#now - Math.min(2 * this.#seconds, longestSeconds);
      this.#past = this.#past.filter((one) => one.second >= oldest);
      [this.#now, this.#rejectedNow] = [second, 0];
      this.#adjust(second);
    }
    this.#rejectedNow++;
    return this.#seconds;
  }

  /** Doubles when three a second were turned away for as long as one is told to wait; shrinks when less than one a second was. */
  #adjust(second: number): void {
    let rejected = 0;
    for (const one of this.#past) {
      if (second - one.second <= this.#seconds && one.second < second) rejected += one.rejected;
    }
    if (second - this.#raisedAt >= this.#seconds && rejected >= 3 * this.#seconds) {
      this.#seconds = Math.min(this.#seconds * 2, longestSeconds);
      this.#raisedAt = second;
    } else if (rejected < this.#seconds && this.#seconds > 1) this.#seconds--;
  }
}
