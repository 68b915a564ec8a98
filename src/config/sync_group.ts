/** What a vrrp_sync_group says: instances that change state together. The spelling is the configuration's. */

import type { Script, Track } from "./vrrp.ts";

/** One vrrp_sync_group. Plain JSON. */
export interface VrrpSyncGroup {
  readonly name: string;
  /** Where its block starts. */
  readonly place: { readonly file: string; readonly line: number };
  /** Names of the members, each an instance that exists and is in no other group. */
  readonly group: readonly string[];
  /** Trackers that apply to every member. */
  readonly track_script: readonly Track[];
  readonly track_interface: readonly Track[];
  readonly track_file: readonly Track[];
  readonly track_process: readonly Track[];
  readonly track_bfd: readonly Track[];
  readonly notify?: Script;
  readonly notify_master?: Script;
  readonly notify_backup?: Script;
  readonly notify_fault?: Script;
  readonly notify_stop?: Script;
  /** For members that say nothing themselves. */
  readonly notify_priority_changes?: boolean;
  /** URLs. */
  readonly notify_webhook?: readonly string[];
  readonly smtp_alert: boolean;
  /** Members keep their weighted trackers; `global_tracking` means the same. */
  readonly sync_group_tracking_weight: boolean;
}
