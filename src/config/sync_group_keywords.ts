/** The keywords of vrrp_sync_group: instances that change state together. */
import { alias, bool, flag, script } from "./readers.ts";
import { block, complain, type ListRow } from "./schema.ts";
import { trackRows } from "./track_rows.ts";
import { webhookLine } from "./webhook_row.ts";
import { quote } from "./words.ts";

/** The keywords of vrrp_sync_group. */
export const vrrpSyncGroup = block(() => ({
  group: members("sync group"),
  ...trackRows(),
  notify_backup: script("SCRIPT [USER [[:]GROUP]] - run when the group enters BACKUP"),
  notify_master: script("SCRIPT [USER [[:]GROUP]] - run when the group enters MASTER"),
  notify_fault: script("SCRIPT [USER [[:]GROUP]] - run when the group enters FAULT"),
  notify_stop: script("SCRIPT [USER [[:]GROUP]] - run at stop"),
  notify: script("SCRIPT [USER [[:]GROUP]] - run on every change, given GROUP NAME STATE 0"),
  notify_webhook: webhookLine("its changes"),
  smtp_alert: bool(
    "[BOOL] - mail on changes of state; default smtp_alert_vrrp, else smtp_alert, else off",
    (text) => `Invalid vrrp_group smtp_alert parameter ${text}`,
  ),
  global_tracking: {
    ...alias("sync_group_tracking_weight", {
      ...flag("- former spelling of sync_group_tracking_weight"),
      read: (node, context) => {
        const message = `(${context.who}) global_tracking is deprecated. Use ` +
          "track_interface/script/file on the sync group";
        complain(context, node, "general", message, 0);
        return true;
      },
    }),
    deprecated: true,
  },
  sync_group_tracking_weight: flag("- members keep trackers that have a weight; default off"),
  notify_priority_changes: bool(
    "[BOOL] - changes of members' priorities go to the FIFOs; default the global one",
    (text, who) =>
      `(${who}) Invalid value '${text}' for sync group notify_priority_changes specified`,
  ),
}));

/** The keywords of track_group: instances that static addresses and routes refer to. */
export const trackGroup = block(() => ({ group: members("track group") }));

/** Names of instances, several on a line if need be; the first list of a block counts. */
function members(what: string): ListRow<string> {
  return {
    doc: "{ INSTANCE ... } - its members",
    shape: "values",
    initial: [],
    begin: (node, context, before) => {
      if (before.length === 0) return true;
      const message = `Group list already specified for ${what} ${context.who}`;
      complain(context, node, "general", message, 0);
      return false;
    },
    entry: (node, _context, all) => {
      all.push(...node.words);
    },
    end: (node, context, all) => {
      if (all.length > 0) return;
      const message = `Warning - ${what} ${context.who} has empty group block`;
      complain(context, node, "general", message, 0);
    },
    format: quote,
  };
}
