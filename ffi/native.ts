/**
 * The functions that the module bun:ffi hands on. Loading that module would add 0.4 ms to every start of every
 * process; what it adds itself is a path made of a URL, and an exception in place of a returned error.
 */

import type * as Ffi from "bun:ffi";

/** An address. */
export type { Pointer } from "bun:ffi";

type Native = Pick<typeof Ffi, "ptr" | "read" | "toArrayBuffer" | "dlopen">;

/** As in bun:ffi, but dlopen returns an Error where that throws it. */
export const { dlopen, ptr, read, toArrayBuffer } = (Bun as unknown as { FFI: Native }).FFI;
