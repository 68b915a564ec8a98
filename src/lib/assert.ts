/** The one assertion: what it guards is our own mistake, never a peer's or the kernel's. */

/** Throws when `condition` is false; the role dies loudly and its parent starts it again. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${message}`);
}
