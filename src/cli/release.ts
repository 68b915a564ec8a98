/** Which upkeep this is. */

import manifest from "../../package.json" with { type: "json" };

/** The keepalived whose behaviour we follow. */
export const FOLLOWED_VERSION = "2.4.3";

/** Version as in package.json, and the day it was made (YYYY-MM-DD). */
export const RELEASE: { readonly version: string; readonly date: string } = {
  version: manifest.version,
  date: "2026-11-20",
};
