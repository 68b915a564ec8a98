/** What the C library calls the errors that a connection may meet, for lines in which keepalived has them. */

const TEXTS: Readonly<Record<number, string>> = {
  13: "Permission denied",
  19: "No such device",
  24: "Too many open files",
  98: "Address already in use",
  99: "Cannot assign requested address",
  100: "Network is down",
  101: "Network is unreachable",
  103: "Software caused connection abort",
  104: "Connection reset by peer",
  105: "No buffer space available",
  110: "Connection timed out",
  111: "Connection refused",
  112: "Host is down",
  113: "No route to host",
};

/** The text of an errno, or its number in words. */
export function errnoText(code: number): string {
  return TEXTS[code] ?? `errno ${code}`;
}
