/** What refers to instances by name: sync groups, and groups of static items; and BFD sessions. */
import type { BfdInstance } from "./bfd.ts";
import type { bfdInstance } from "./bfd_keywords.ts";
import type { Globals } from "./globals.ts";
import type { Problems } from "./problem.ts";
import type { Said } from "./readers.ts";
import type { Values } from "./schema.ts";
import type { VrrpSyncGroup } from "./sync_group.ts";
import type { vrrpSyncGroup } from "./sync_group_keywords.ts";
import type { Track, VrrpInstance } from "./vrrp.ts";
import type { WrittenInstance } from "./vrrp_keywords.ts";

type WrittenGroup = Said<Values<typeof vrrpSyncGroup>>;

/**
 * Completes the sync groups: members must exist, and be in one group only. What a group without
 * members says is dropped.
 */
export function completeSyncGroups(
  groups: readonly WrittenGroup[],
  instances: readonly VrrpInstance[],
  globals: Globals,
  problems: Problems,
): readonly VrrpSyncGroup[] {
  const names = new Set(instances.map((instance) => instance.name));
  const taken = new Set<string>();
  return groups.flatMap((group) => {
    const { name, place, values } = group;
    const say = (message: string): void => problems.addAt(place, "general", message);
    if (values.group.length === 0) {
      say(`Sync group ${name} has no virtual router(s). removing`);
      return [];
    }
    const members = values.group.filter((member) => {
      if (!names.has(member)) {
        say(`Virtual router ${member} specified in sync group ${name} doesn't exist - ignoring`);
        return false;
      }
      if (!taken.has(member)) return true;
      say(`Virtual router ${member} cannot exist in more than one sync group; ignoring ${name}`);
      return false;
    });
    for (const member of members) taken.add(member);
    if (members.length === 0) {
      say(`Sync group ${name}, no matching virtual router found in group declaration - removing`);
      return [];
    }
    if (members.length === 1) {
      say(
        `Sync group ${name} has only 1 virtual router(s) - this probably isn't what you want`,
      );
    }
    return [completeGroup(group, members, globals)];
  });
}

function completeGroup(
  { name, place, values }: WrittenGroup,
  group: readonly string[],
  globals: Globals,
): VrrpSyncGroup {
  const { notify, notify_master, notify_backup, notify_fault, notify_stop } = values;
  const { notify_priority_changes: changes } = values;
  return {
    name,
    place,
    group,
    track_script: values.track_script,
    track_interface: values.track_interface,
    track_file: values.track_file,
    track_process: values.track_process,
    track_bfd: values.track_bfd,
    ...(notify === undefined ? {} : { notify }),
    ...(notify_master === undefined ? {} : { notify_master }),
    ...(notify_backup === undefined ? {} : { notify_backup }),
    ...(notify_fault === undefined ? {} : { notify_fault }),
    ...(notify_stop === undefined ? {} : { notify_stop }),
    ...(changes === undefined ? {} : { notify_priority_changes: changes }),
    ...(values.notify_webhook.length === 0 ? {} : { notify_webhook: values.notify_webhook }),
    smtp_alert: values.smtp_alert ?? globals.smtp_alert_vrrp ?? globals.smtp_alert ?? false,
    sync_group_tracking_weight: values.sync_group_tracking_weight,
  };
}

/** The group of each member. */
export function groupsByMember(
  groups: readonly VrrpSyncGroup[],
): ReadonlyMap<string, VrrpSyncGroup> {
  return new Map(groups.flatMap((one) => one.group.map((name) => [name, one] as const)));
}

/** What a sync group says for those of its members that say nothing themselves. */
export function withGroupDefaults(
  instance: VrrpInstance,
  { notify_priority_changes: own }: Pick<WrittenInstance, "notify_priority_changes">,
  group: VrrpSyncGroup | undefined,
): VrrpInstance {
  const changes = group?.notify_priority_changes;
  if (own !== undefined || changes === undefined) return instance;
  return { ...instance, notify_priority_changes: changes };
}

/** An instance's trackers as its sync group leaves them: weights would pull its members apart. */
export function withoutWeights(
  instance: VrrpInstance,
  group: VrrpSyncGroup | undefined,
  problems: Problems,
): VrrpInstance {
  if (group === undefined || group.sync_group_tracking_weight) return instance;
  const say = (message: string): void =>
    problems.addAt(instance.place, "general", `(${instance.name}) ignoring ${message}`);
  const why = "due to SYNC group";
  const hasWeight = (track: Track): boolean => (track.weight ?? 0) !== 0;
  const drop = (tracks: readonly Track[], what: string): readonly Track[] =>
    tracks.filter((track) => {
      if (hasWeight(track)) say(`${what} ${track.name} with weights ${why}`);
      return !hasWeight(track);
    });
  const track_interface = instance.track_interface.map((track) => {
    if (!hasWeight(track)) return track;
    say(`${track.name} tracked interface weight ${why}`);
    return { ...track, weight: 0 };
  });
  return {
    ...instance,
    track_interface,
    track_script: drop(instance.track_script, "tracked script"),
    ...(instance.track_bfd === undefined
      ? {}
      : { track_bfd: drop(instance.track_bfd, "tracked bfd") }),
    ...(instance.track_file === undefined
      ? {}
      : { track_file: instance.track_file.flatMap((track) => fileTrack(track, say, why)) }),
  };
}

/** A factor of 1 becomes FAULT while the number is not 0; other factors are dropped. */
function fileTrack(track: Track, say: (message: string) => void, why: string): readonly Track[] {
  if (track.weight === undefined || track.weight === 0) return [track];
  if (track.weight === 1) return [{ ...track, weight: 0 }];
  say(`tracked file ${track.name} with weight ${track.weight} ${why}`);
  return [];
}

/** Completes a bfd_instance. */
export function completeBfd(
  { name, place, values }: Said<Values<typeof bfdInstance>>,
  problems: Problems,
): BfdInstance {
  const { neighbor_ip, source_ip, vrrp, checker, weight } = values;
  const ttl = values.ttl ?? (neighbor_ip!.includes(":") ? 64 : 255);
  let max_hops = values.max_hops ?? 0;
  if (max_hops > ttl && max_hops !== 255) {
    const message = `BFD instance ${name}: max_hops exceeds ttl/hoplimit - setting to ttl/hoplimit`;
    problems.addAt(place, "general", message);
    max_hops = ttl;
  }
  return {
    name,
    neighbor_ip: neighbor_ip!,
    ...(source_ip === undefined ? {} : { source_ip }),
    min_rx: values.min_rx,
    min_tx: values.min_tx,
    idle_tx: values.idle_tx,
    multiplier: values.multiplier,
    passive: values.passive,
    ttl,
    max_hops: max_hops < 0 ? 255 : max_hops,
    multihop: values.multihop,
    weight: weight?.weight ?? 0,
    reverse: weight?.reverse ?? false,
    vrrp: vrrp || !checker,
    checker: checker || !vrrp,
  };
}
