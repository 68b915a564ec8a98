/**
 * The garbage collector, asked to work when there is time. Left alone it works when memory has been asked for
 * often enough, which is in the middle of what matters.
 */

/** What the runtime's module for its engine can do; loaded when it is first wanted. */
interface Engine {
  /** Collects what was made since the last collection; returns the bytes in use. */
  edenGC(): number;
}

/** Collects what was made lately: about a millisecond. */
export function collectYoung(): void {
  const module: unknown = process.getBuiltinModule("bun:jsc");
  (module as Engine).edenGC();
}

/** Collects everything and gives free memory back to the system: some 20 ms with a thousand instances. */
export function collectAll(): void {
  Bun.gc(true);
}
