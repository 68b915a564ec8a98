/**
 * An earliest-deadline heap. Each item carries its own place in the heap, so moving a deadline costs
 * one sift and no search, no allocation and no stale entries: an item is in the heap at most once.
 */

/** Something with a deadline. The fields belong to the heap. */
export interface Deadline {
  /** Microseconds on the monotonic clock; Infinity is never. */
  dueAt: number;
  /** The place in the heap, -1 when not in it. */
  heapIndex: number;
  /** Which comes first at the same moment; 0 when it does not matter. */
  readonly rank?: number;
}

/**
 * Deadlines ordered by time. Among equal ones the order is that of `rank`, so that what fires together
 * does so in the same order every time, and each at the same distance from the one before.
 */
export class Deadlines<Item extends Deadline> {
  readonly #heap: Item[] = [];

  /** The earliest deadline, or Infinity when there is none. */
  get earliestAt(): number {
    return this.#heap[0]?.dueAt ?? Infinity;
  }

  /** The item with the earliest deadline. */
  get first(): Item | undefined {
    return this.#heap[0];
  }

  /** How many items have a deadline. */
  get size(): number {
    return this.#heap.length;
  }

  /** Gives `item` the deadline `at`, or takes its deadline away when `at` is Infinity. */
  set(item: Item, at: number): void {
    if (at === Infinity) {
      this.remove(item);
      return;
    }
    item.dueAt = at;
    if (item.heapIndex < 0) {
      item.heapIndex = this.#heap.length;
      this.#heap.push(item);
    }
    this.#down(this.#up(item.heapIndex));
  }

  /** Takes the deadline of `item` away. */
  remove(item: Item): void {
    const index = item.heapIndex;
    item.dueAt = Infinity;
    if (index < 0) return;
    item.heapIndex = -1;
    const last = this.#heap.pop()!;
    if (last === item) return;
    this.#place(last, index);
    this.#down(this.#up(index));
  }

  /** Removes and returns an item due at `now` or before; undefined when none is. */
  takeDue(now: number): Item | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueAt > now) return undefined;
    this.remove(first);
    return first;
  }

  #place(item: Item, index: number): void {
    this.#heap[index] = item;
    item.heapIndex = index;
  }

  #up(start: number): number {
    let index = start;
    const item = this.#heap[index]!;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#heap[parentIndex]!;
      if (!isBefore(item, parent)) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(item, index);
    return index;
  }

  #down(start: number): void {
    let index = start;
    const item = this.#heap[index]!;
    for (;;) {
      let childIndex = 2 * index + 1;
      const left = this.#heap[childIndex];
      if (left === undefined) break;
      const right = this.#heap[childIndex + 1];
      if (right !== undefined && isBefore(right, left)) childIndex++;
      const child = this.#heap[childIndex]!;
      if (!isBefore(child, item)) break;
      this.#place(child, index);
      index = childIndex;
    }
    this.#place(item, index);
  }
}

function isBefore(a: Deadline, b: Deadline): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && (a.rank ?? 0) < (b.rank ?? 0));
}
