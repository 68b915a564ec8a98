/** Events as JSON by HTTP POST. */

import type { Outcome } from "./deliveries.ts";

const LIMIT_MS = 10_000;
/** Statuses after which the same request may succeed: timeout, too early, too many. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** Posts one event; any status of 200 to 299 is success. */
export async function postEvent(
  url: string,
  event: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "upkeep" },
      body: JSON.stringify(event),
      redirect: "manual",
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    await response.body?.cancel();
    const { status } = response;
    if (response.ok) return "delivered";
    const why = `status ${status}`;
    return status >= 500 || PASSING.has(status) ? { retry: why } : { refused: why };
  } catch (error) {
    return { retry: error instanceof Error ? error.message : String(error) };
  }
}

/** A URL for the log: what follows the host may be secret. */
export function placeOf(url: string): string {
  return /^[a-z]+:\/\/[^/?#]+/i.exec(url)?.[0].replace(/\/\/.*@/, "//") ?? "the webhook";
}
