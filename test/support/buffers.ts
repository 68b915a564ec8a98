/** The receive buffers of netlink sockets, as ss(8) tells of them. */

/** Their sizes in the namespace where `words` are run, in bytes: twice what the kernel was told. */
export function netlinkBuffers(run: (...words: string[]) => string): number[] {
  // Who listens to a group is listed twice.
  const shown = new Set(run("ss", "-a", "-A", "netlink", "-m").split("\n"));
  return [...shown].flatMap((line) => {
    const [, bytes] = /\brb(\d+)/.exec(line) ?? [];
    return bytes === undefined ? [] : [Number(bytes)];
  });
}
