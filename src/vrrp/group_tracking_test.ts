/**
 * The trackers of a member of a sync group, row by row: `KEYWORD NAME[=WEIGHT]`, a bare name has the
 * weight of the object, which is the digit in its name. The phrases are those of keepalived 2.2.7.
 */

import { expect, test } from "bun:test";
import type { VrrpSyncGroup } from "../config/sync_group.ts";
import type { Track } from "../config/vrrp.ts";
import { freeze } from "../../test/support/machine.ts";
import { parseTable } from "../../test/support/table.ts";
import { memberTracks, type TrackKeyword, type Tracks } from "./group_tracking.ts";

const RULES = `
instance                | group            | with   | runs with               | says

track_script s0         |                  |        | track_script s0         |
track_script s5         |                  |        |                         | ignoring tracked script s5 with weights due to SYNC group
track_script s0=5       |                  |        |                         | ignoring tracked script s0 with weights due to SYNC group
track_script s5=0       |                  |        | track_script s5=0       |
track_script s0=-5      |                  |        |                         | ignoring tracked script s0 with weights due to SYNC group
track_script s5         |                  | weight | track_script s5         |
track_bfd b0            |                  |        | track_bfd b0            |
track_bfd b7            |                  |        |                         | ignoring tracked bfd b7 with weight 7 due to SYNC group
track_bfd b0=-3         |                  |        |                         | ignoring tracked bfd b0 with weight -3 due to SYNC group
track_bfd b7            |                  | weight | track_bfd b7            |
track_interface e0      |                  |        | track_interface e0      |
track_interface e0=7    |                  |        | track_interface e0=0    | ignoring e0 tracked interface weight due to SYNC group
track_interface e0=-7   |                  |        | track_interface e0=0    | ignoring e0 tracked interface weight due to SYNC group
track_interface e0=7    |                  | weight | track_interface e0=7    |
track_file f1           |                  |        | track_file f1=0         | ignoring weight from tracked file f1 due to SYNC group. specify weight 0
track_file f2=1         |                  |        | track_file f2=0         | ignoring weight from tracked file f2 due to SYNC group. specify weight 0
track_file f2           |                  |        |                         | ignoring tracked file f2 with weight 2 due to SYNC group
track_file f1=-1        |                  |        |                         | ignoring tracked file f1 with weight -1 due to SYNC group
track_file f1=0         |                  |        | track_file f1=0         |
track_file f2           |                  | weight | track_file f2           |
track_process p3        |                  |        | track_process p3        |
track_process p0=3      |                  |        | track_process p0=3      |

                        | track_script s5  |        | track_script s5         |
                        | track_file f2    |        | track_file f2           |
                        | track_bfd b7=2   |        | track_bfd b7=2          |
                        | track_process p3 |        | track_process p3        |
track_script s0         | track_script t5  |        | track_script s0 track_script t5 |
track_script s0         | track_script s0=4 |       | track_script s0=4       |
track_interface e0      | track_interface e0=3 |    | track_interface e0=3    | track_interface e0 is configured on VRRP instance and sync group. Remove vrrp instance or sync group config
`;

const columns = ["instance", "group", "with", "runs with", "says"] as const;
for (const row of parseTable(columns, RULES)) {
  test(row.text, () => {
    const group: VrrpSyncGroup = freeze({
      name: "G",
      place: { file: "keepalived.conf", line: 1 },
      group: ["V"],
      ...tracksOf(row.group),
      smtp_alert: false,
      sync_group_tracking_weight: row.with === "weight",
    });
    const weightOf = (_: TrackKeyword, name: string): number => Number(name.slice(1));
    const { tracks, messages } = memberTracks("V", freeze(tracksOf(row.instance)), group, weightOf);
    expect({ tracks, messages }).toEqual({
      tracks: tracksOf(row["runs with"]),
      messages: row.says === "" ? [] : [`(V) ${row.says}`],
    });
  });
}

function tracksOf(text: string): Tracks {
  const tracks: Record<TrackKeyword, Track[]> = {
    track_script: [],
    track_interface: [],
    track_file: [],
    track_process: [],
    track_bfd: [],
  };
  for (const [, keyword, name, weight] of text.matchAll(/(\w+) (\w+)(?:=(\S+))?/g)) {
    tracks[keyword as TrackKeyword].push({
      name: name!,
      reverse: false,
      ...(weight === undefined ? {} : { weight: Number(weight) }),
    });
  }
  return tracks;
}
