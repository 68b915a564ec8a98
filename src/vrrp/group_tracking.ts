/**
 * What a sync group makes of the trackers of a member. Members share one state, so a priority of their
 * own that changes has no meaning: unless `sync_group_tracking_weight` asks for them, weighted trackers of
 * a member are dropped. Those of the group apply to every member. keepalived leaves the weights of
 * processes alone, and so do we.
 */

import type { VrrpSyncGroup } from "../config/sync_group.ts";
import type { Track } from "../config/vrrp.ts";

/** The trackers of an instance by keyword. */
export type Tracks = Readonly<Record<TrackKeyword, readonly Track[]>>;

/** The keywords under which an instance or a group names what it tracks. */
export type TrackKeyword =
  | "track_script"
  | "track_interface"
  | "track_file"
  | "track_process"
  | "track_bfd";

/** The trackers a member runs with, and what the operator should know. */
export interface MemberTracks {
  readonly tracks: Tracks;
  /** In keepalived's phrases. */
  readonly messages: readonly string[];
}

/**
 * The trackers of a member. `weightOf` is the weight of a tracked object itself, which counts where the
 * entry names none.
 */
export function memberTracks(
  member: string,
  own: Tracks,
  group: VrrpSyncGroup,
  weightOf: (keyword: TrackKeyword, name: string) => number,
): MemberTracks {
  const messages: string[] = [];
  const keep = (keyword: TrackKeyword, track: Track): Track | undefined => {
    if (group.sync_group_tracking_weight) return track;
    const weight = track.weight ?? weightOf(keyword, track.name);
    if (weight === 0) return track;
    const [kept, message] = withoutWeight(keyword, track, weight);
    if (message !== "") messages.push(`(${member}) ignoring ${message}`);
    return kept;
  };
  const all = (keyword: TrackKeyword): readonly Track[] => {
    const kept = own[keyword].flatMap((track) => keep(keyword, track) ?? []);
    const ofGroup = group[keyword];
    const isOfGroup = ({ name }: Track): boolean => ofGroup.some((one) => one.name === name);
    if (keyword === "track_interface") {
      for (const { name } of kept.filter(isOfGroup)) {
        messages.push(
          `(${member}) track_interface ${name} is configured on VRRP instance and sync group. ` +
            "Remove vrrp instance or sync group config",
        );
      }
    }
    return [...kept.filter((track) => !isOfGroup(track)), ...ofGroup];
  };
  // The order of keepalived's messages.
  const track_interface = all("track_interface");
  const track_script = all("track_script");
  const track_file = all("track_file");
  const track_process = all("track_process");
  const track_bfd = all("track_bfd");
  const tracks = { track_interface, track_script, track_file, track_process, track_bfd };
  return { tracks, messages };
}

/** What is left of a tracker with a weight, and the rest of a message; "" for none. */
function withoutWeight(
  keyword: TrackKeyword,
  track: Track,
  weight: number,
): [Track | undefined, string] {
  const { name } = track;
  switch (keyword) {
    case "track_interface":
      return [{ ...track, weight: 0 }, `${name} tracked interface weight due to SYNC group`];
    case "track_script":
      return [undefined, `tracked script ${name} with weights due to SYNC group`];
    case "track_file":
      // A file's weight is 1 unless it is given: most likely nobody has thought of it.
      return weight === 1
        ? [
          { ...track, weight: 0 },
          `weight from tracked file ${name} due to SYNC group. specify weight 0`,
        ]
        : [undefined, `tracked file ${name} with weight ${weight} due to SYNC group`];
    case "track_process":
      return [track, ""];
    case "track_bfd":
      return [undefined, `tracked bfd ${name} with weight ${weight} due to SYNC group`];
  }
}
