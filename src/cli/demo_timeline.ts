/**
 * What happened in the demo, as values and as text: the timeline, what a failover cost the client, and
 * the summary that puts it beside the theory. Pure: everything here is a function of what was seen.
 */

import type { Paint } from "./colour.ts";
import { formatDuration, type Plan } from "./demo_plan.ts";

/** One line of the timeline. */
export interface TimelineEvent {
  /** Milliseconds since the start, in steps of a microsecond. */
  readonly atMs: number;
  /** `A`, `B` or `client`. */
  readonly router: string;
  readonly event: string;
}

/** A failover as the client saw it. */
export interface Failover {
  /** `crash` by SIGKILL, `stop` by SIGTERM. */
  readonly kind: "crash" | "stop";
  /** From the signal to the first answer after the gap; 0 when no ping was lost. */
  readonly tookMs: number;
  readonly pingsLost: number;
}

/** A failover with what was heard on the wire. */
export interface MeasuredFailover extends Failover {
  /** From the old MASTER's last advert to the new one's first, if both were heard. */
  readonly betweenAdvertsUs: number | undefined;
}

/** What the client sees, one JSON line each; `at` is µs on the monotonic clock. */
export type Sighting =
  | { readonly type: "answer"; readonly at: number; readonly sequence: number }
  | { readonly type: "advert"; readonly at: number; readonly source: string };

/** Everything seen so far, in the order of arrival. */
export interface Sightings {
  readonly answers: { readonly at: number; readonly sequence: number }[];
  readonly adverts: { readonly at: number; readonly source: string }[];
}

/**
 * The failover that began with a signal at `since`, from all that was seen until it was over. The
 * client's gap is the longest silence after `since`; a ping without any answer is lost.
 */
export function measureFailover(
  kind: Failover["kind"],
  since: number,
  { answers, adverts }: Sightings,
): MeasuredFailover & { readonly answeredAt: number } {
  const start = Math.max(0, answers.findLastIndex(({ at }) => at <= since));
  const seen = answers.slice(start);
  let longestUs = 0;
  let answeredAt = since;
  let last = since;
  for (const { at } of seen) {
    if (at <= since) continue;
    if (at - last > longestUs) [longestUs, answeredAt] = [at - last, at];
    last = at;
  }
  const sequences = new Set(seen.map(({ sequence }) => sequence));
  const expected = Math.max(...sequences) - Math.min(...sequences) + 1;
  const pingsLost = sequences.size === 0 ? 0 : expected - sequences.size;
  return {
    kind,
    tookMs: pingsLost === 0 ? 0 : (answeredAt - since) / 1000,
    pingsLost,
    betweenAdvertsUs: betweenAdverts(since, adverts),
    answeredAt,
  };
}

function betweenAdverts(since: number, adverts: Sightings["adverts"]): number | undefined {
  const old = adverts.findLast(({ at }) => at <= since)?.source;
  const next = adverts.find(({ at, source }) => at > since && source !== old);
  const last = adverts.findLast(({ at, source }) => source === old && at <= (next?.at ?? 0));
  return old === undefined || next === undefined || last === undefined
    ? undefined
    : next.at - last.at;
}

/** The lines before the timeline. */
export function formatOpening(plan: Plan, paint: Paint): string {
  const { preferred, standby, vip, client } = plan;
  const { version, advert_int } = preferred.instance;
  const routers = [preferred, standby].map(({ name, instance }) =>
    `router ${name} with priority ${instance.priority}`
  );
  const scripts = plan.scripts.length === 0
    ? ""
    : `${paint("These files start programs, which really run:", "yellow")} ${
      plan.scripts.join(", ")
    }\n`;
  return `${paint("Two routers guard one address, and a client pings it.", "bold")}
VIP ${vip}, client ${client.address}, ${routers.join(", ")}
VRRP version ${version}, an advert every ${formatDuration(advert_int)}
${scripts}
${paint("seconds  who     event", "dim")}
`;
}

/** One line of the timeline. */
export function formatEvent({ atMs, router, event }: TimelineEvent, paint: Paint): string {
  const time = (atMs / 1000).toFixed(3).padStart(7);
  const text = /MASTER/.test(event)
    ? paint(event, "green")
    : /SIGKILL|SIGTERM|FAULT|lost/.test(event)
    ? paint(event, "red")
    : event;
  return `${time}  ${router.padEnd(6)}  ${text}\n`;
}

/** What was measured beside what the RFC promises, and what to try next. */
export function formatSummary(
  plan: Plan,
  failovers: readonly MeasuredFailover[],
  own: boolean,
  paint: Paint,
): string {
  const interval = formatDuration(plan.preferred.instance.advert_int);
  const skew = formatDuration(plan.skewTimeUs);
  const theory = {
    crash: `${formatDuration(plan.activeDownIntervalUs)} = 3 × ${interval} + ${skew} skew`,
    stop: `${skew} = skew alone`,
  };
  const rows = failovers.map(({ kind, tookMs, pingsLost, betweenAdvertsUs }) => [
    kind,
    tookMs === 0 ? "at once" : formatDuration(tookMs * 1000),
    String(pingsLost),
    betweenAdvertsUs === undefined ? "not heard" : formatDuration(betweenAdvertsUs),
    theory[kind],
  ]);
  const head = ["", "VIP back after", "pings lost", "advert to advert", "in theory"];
  const widths = head.map((word, i) => Math.max(word.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string =>
    row.map((word, i) => word.padEnd(widths[i]!)).join("  ").trimEnd();
  const pair = "upkeep demo --config A.conf B.conf with your own";
  const faster = plan.preferred.instance.advert_int > 10_000
    ? "upkeep demo --advert-int 0.01, or "
    : "";
  const next = own ? "upkeep demo, for the embedded pair" : `${faster}${pair}`;
  return `
${paint(line(head), "dim")}
${rows.map(line).join("\n")}

The theory counts from the last advert, sent up to ${interval} before the crash. A MASTER that is
stopped says goodbye with a priority 0 advert, and only the skew is left to wait.
Try next: ${next}
`;
}

/** The object `--json` prints; `error` only when the demo could not be finished. */
export function formatJson(
  events: readonly TimelineEvent[],
  failovers: readonly Failover[],
  error?: string,
): string {
  const object = {
    events,
    failovers: failovers.map(({ kind, tookMs, pingsLost }) => ({ kind, tookMs, pingsLost })),
    ...(error === undefined ? {} : { error }),
  };
  return `${JSON.stringify(object)}\n`;
}
