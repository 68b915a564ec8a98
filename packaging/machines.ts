/** The machines that packages are made for, under the names that each format gives them. */

/** One machine. */
export interface Machine {
  /** Debian's, Go's and OCI's name. */
  readonly name: "amd64" | "arm64";
  /** As in `bun-linux-x64`. */
  readonly bun: "x64" | "aarch64";
  /** As in `--target=bun-linux-x64`. */
  readonly target: "x64" | "arm64";
  /** process.arch of Node.js. */
  readonly node: NodeJS.Architecture;
  /** rpm's and uname's. */
  readonly rpm: "x86_64" | "aarch64";
  /** Where Debian keeps this machine's libraries, below /lib or /usr/lib. */
  readonly triplet: string;
  /** Where the kernel looks for the dynamic loader. */
  readonly loader: string;
  /** Filters that make xz pack this machine's code better; readers before 5.4 lack the one for arm64. */
  readonly xzFilters: readonly string[];
}

/** Every machine that Bun supports and keepalived's users have. */
export const MACHINES: readonly Machine[] = [
  {
    name: "amd64",
    bun: "x64",
    target: "x64",
    node: "x64",
    rpm: "x86_64",
    triplet: "x86_64-linux-gnu",
    loader: "/lib64/ld-linux-x86-64.so.2",
    xzFilters: ["--x86"],
  },
  {
    name: "arm64",
    bun: "aarch64",
    target: "arm64",
    node: "arm64",
    rpm: "aarch64",
    triplet: "aarch64-linux-gnu",
    loader: "/lib/ld-linux-aarch64.so.1",
    xzFilters: [],
  },
];
