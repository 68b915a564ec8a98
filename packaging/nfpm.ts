/** The program that makes .deb and .rpm. */

import { run } from "./command.ts";

/** Releases from 2.46 on need modules that the Go module proxy refuses to hand out. */
const NFPM = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0";

/**
 * The words that run nfpm: the one on PATH, else the pinned one through Go, fetched and compiled on first
 * use. Rejects when there is neither, or Go cannot make it.
 */
export async function findNfpm(): Promise<readonly string[]> {
  if (Bun.which("nfpm") !== null) return ["nfpm"];
  const PATH = `${process.env["PATH"]}:/usr/local/go/bin`;
  const go = Bun.which("go", { PATH });
  if (go === null) throw new Error("needs nfpm or Go on PATH, to make the packages");
  const words = [go, "run", NFPM];
  await run([...words, "--version"]);
  return words;
}
