/**
 * Which objects each instance tracks, as the configuration says it in several places: at the instance, at its
 * sync group, and at the object itself, whose weight counts where no other is given. Pure.
 */

import type { Config } from "../config/load.ts";
import type { Track, VrrpInstance } from "../config/vrrp.ts";
import { memberTracks, type TrackKeyword, type Tracks } from "./group_tracking.ts";
import { trackedLinks } from "./instance.ts";
import type { Tracker, TrackerKind } from "./tracking.ts";

/** Who tracks what; plain JSON. */
export interface Tracking {
  /** By the name of the instance; those that track nothing are left out. */
  readonly of: Readonly<Record<string, readonly Tracker[]>>;
  /** What the operator should know, in keepalived's phrases. */
  readonly says: readonly string[];
}

const OWNER = 255;

/** Whatever is watched; the order of keepalived. */
const KINDS: readonly (readonly [TrackKeyword, TrackerKind])[] = [
  ["track_interface", "interface"],
  ["track_script", "script"],
  ["track_file", "file"],
  ["track_process", "process"],
  ["track_bfd", "bfd"],
];

/** A tracked object's own words on weight. */
interface OwnWeight {
  readonly name: string;
  readonly weight: number;
  readonly reverse: boolean;
  readonly init_fail?: boolean;
}

/** What the instances of a configuration track; undefined for nothing, which costs nothing. */
export function trackingOf(config: Config | undefined): Tracking | undefined {
  if (config === undefined || !tracksSomething(config)) return undefined;
  const objects: Readonly<Record<TrackKeyword, ReadonlyMap<string, OwnWeight>>> = {
    track_interface: new Map(),
    track_script: byName(config.vrrp_scripts),
    track_file: byName(config.track_files),
    track_process: byName(config.track_processes),
    track_bfd: byName(config.bfd_instances),
  };
  const weightOf = (keyword: TrackKeyword, name: string): number =>
    objects[keyword].get(name)?.weight ?? 0;
  const groups = config.vrrp_sync_groups ?? [];
  const groupOf = new Map(groups.flatMap((one) => one.group.map((name) => [name, one] as const)));
  const says: string[] = [];
  const of: Record<string, readonly Tracker[]> = {};
  for (const instance of config.vrrp_instances) {
    const group = groupOf.get(instance.name);
    let tracks = tracksOf(instance);
    if (instance.priority === OWNER) tracks = ownersTracks(instance.name, tracks, weightOf, says);
    if (group !== undefined) {
      const member = memberTracks(instance.name, tracks, group, weightOf);
      tracks = member.tracks;
      says.push(...member.messages);
    }
    const trackers = KINDS.flatMap(([keyword, kind]) =>
      tracks[keyword].flatMap((track) => trackerOf(kind, track, objects[keyword]) ?? [])
    ).filter(({ kind, name }) => kind !== "interface" || name !== instance.interface);
    const known = new Set(
      trackers.filter(({ kind }) => kind === "interface").map((one) => one.name),
    );
    for (const name of neededLinks(config, instance)) {
      if (!known.has(name)) trackers.push({ kind: "interface", name, weight: 0, reverse: false });
    }
    if (trackers.length > 0) of[instance.name] = trackers;
  }
  return says.length === 0 && Object.keys(of).length === 0 ? undefined : { of, says };
}

/** An owner's priority never changes: what has a weight by itself is of no use to it. */
function ownersTracks(
  owner: string,
  tracks: Tracks,
  weightOf: (keyword: TrackKeyword, name: string) => number,
  says: string[],
): Tracks {
  const keep = (kind: "script" | "file" | "bfd"): readonly Track[] =>
    tracks[`track_${kind}`].filter(({ name, weight }) => {
      const counts = weight ?? weightOf(`track_${kind}`, name);
      if (counts === 0) return true;
      const how = kind === "script" ? "weights" : `weight ${counts}`;
      says.push(`(${owner}) ignoring tracked ${kind} ${name} with ${how} due to address_owner`);
      return false;
    });
  return {
    ...tracks,
    track_script: keep("script"),
    track_file: keep("file"),
    track_bfd: keep("bfd"),
  };
}

/**
 * The links without which an instance is of no use: those of its addresses elsewhere, and those of the static
 * items of its track_group, which cannot be restored without.
 */
function neededLinks(config: Config, instance: VrrpInstance): Set<string> {
  const { virtual_ipaddress, virtual_ipaddress_excluded, name, interface: own } = instance;
  const groups = (config.track_groups ?? []).filter(({ group }) => group.includes(name));
  const isOurs = ({ track_group }: { track_group?: string }): boolean =>
    groups.some((one) => one.name === track_group);
  const links = [
    ...[...virtual_ipaddress, ...virtual_ipaddress_excluded].filter((one) => !one.no_track)
      .map(({ dev }) => dev),
    ...(config.static_ipaddress ?? []).filter(isOurs).map(({ dev }) => dev),
    ...trackedLinks({
      ...instance,
      virtual_routes: (config.static_routes ?? []).filter(isOurs),
      virtual_rules: (config.static_rules ?? []).filter(isOurs),
    }),
  ];
  return new Set(links.filter((link) => link !== undefined && link !== own) as string[]);
}

function tracksSomething(config: Config): boolean {
  if ((config.track_groups ?? []).length > 0) return true;
  const isElsewhere = ({ virtual_ipaddress, virtual_ipaddress_excluded }: VrrpInstance): boolean =>
    [...virtual_ipaddress, ...virtual_ipaddress_excluded].some(({ dev }) => dev !== undefined);
  if (config.vrrp_instances.some(isElsewhere)) return true;
  const isTracking = (one: Partial<Tracks>): boolean =>
    KINDS.some(([keyword]) => (one[keyword]?.length ?? 0) > 0);
  return config.vrrp_instances.some(isTracking) ||
    (config.vrrp_sync_groups ?? []).some(isTracking);
}

function tracksOf(instance: VrrpInstance): Tracks {
  const { track_script, track_interface, track_process } = instance;
  const { track_file = [], track_bfd = [] } = instance;
  return { track_script, track_interface, track_process, track_file, track_bfd };
}

function byName(objects: readonly OwnWeight[] | undefined): ReadonlyMap<string, OwnWeight> {
  return new Map((objects ?? []).map((one) => [one.name, one]));
}

/** Undefined when the object it names is none that can be watched. */
function trackerOf(
  kind: TrackerKind,
  { name, weight, reverse }: Track,
  objects: ReadonlyMap<string, OwnWeight>,
): Tracker | undefined {
  const own = objects.get(name);
  if (kind !== "interface" && own === undefined) return undefined;
  const startsBad = kind === "bfd" || own?.init_fail === true;
  return {
    kind,
    name,
    ...(weight === undefined && own !== undefined
      ? { weight: own.weight, reverse: own.reverse }
      : { weight: weight ?? 0, reverse }),
    ...(startsBad ? { startsBad: true } : {}),
  };
}

/** The names of the objects of one kind that somebody tracks. */
export function trackedNames(tracking: Tracking | undefined, kind: TrackerKind): Set<string> {
  const all = Object.values(tracking?.of ?? {}).flat();
  return new Set(all.filter((one) => one.kind === kind).map(({ name }) => name));
}
