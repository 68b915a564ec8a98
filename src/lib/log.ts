/** Log levels, by the names and numbers of syslog(3). */

/** How much a line matters. */
export type LogLevel = "error" | "warning" | "notice" | "info" | "debug";

/** syslog's number for a level, 3 (error) to 7 (debug). */
export function severityOf(level: LogLevel): number {
  switch (level) {
    case "error":
      return 3;
    case "warning":
      return 4;
    case "notice":
      return 5;
    case "info":
      return 6;
    case "debug":
      return 7;
  }
}
