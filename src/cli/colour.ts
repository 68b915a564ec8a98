/** Colour for those who can see it. */

/** Wraps text in an SGR code, or leaves it alone. */
export type Paint = (
  text: string,
  code: "bold" | "dim" | "red" | "green" | "yellow" | "blue",
) => string;

const SGR = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", blue: "34" } as const;

/** A {@link Paint} that colours, or one that does not. */
export function painter(colour: boolean): Paint {
  return colour ? (text, code) => `\x1b[${SGR[code]}m${text}\x1b[0m` : (text) => text;
}

/** Colour only for eyes: on a terminal, unless the NO_COLOR convention or a dumb one says no. */
export function isColourful(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}
