/** Waiting in tests for what somebody else does: looked at whenever something has happened. */

/** Those who wait for one source of events. */
export class Waiting {
  readonly #looks = new Set<() => void>();

  /** Something has happened: everyone looks again. */
  look(): void {
    for (const look of [...this.#looks]) look();
  }

  /** Calls `look` from now on; returns what ends that. */
  add(look: () => void): () => void {
    this.#looks.add(look);
    return () => this.#looks.delete(look);
  }
}

/**
 * What `find` returns, as soon as it is not undefined. Rejects after `ms` milliseconds with an error
 * of what `complaint` says.
 */
export function until<T>(
  waiting: Waiting,
  find: () => T | undefined,
  ms: number,
  complaint: () => string,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const found = find();
  if (found !== undefined) return Promise.resolve(found);
  const done = waiting.add(() => {
    const value = find();
    if (value === undefined) return;
    end();
    resolve(value);
  });
  const timer = setTimeout(() => {
    end();
    reject(new Error(complaint()));
  }, ms);
  const end = (): void => {
    clearTimeout(timer);
    done();
  };
  return promise;
}

/** Resolves once `isSo`, looked at every 5 ms (for what tells nobody when it changes); else rejects. */
export async function poll(isSo: () => boolean, ms: number, complaint: string): Promise<void> {
  const limit = performance.now() + ms;
  while (!isSo()) {
    if (performance.now() > limit) throw new Error(`${complaint} in ${ms} ms`);
    await Bun.sleep(5);
  }
}
