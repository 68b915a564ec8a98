/**
 * The keywords of global_defs: settings of the whole daemon, and the defaults that instances and
 * services copy.
 */
import { GLOBAL_DEFAULTS, VRRP_NICE } from "./global_defaults.ts";
import { lvsFlushOnStop, lvsSyncDaemon, lvsTimeouts } from "./global_lvs_rows.ts";
import { bufferRows, fifoRows, onceScript, roleRows } from "./global_role_rows.ts";
import {
  chains,
  defaultInterface,
  delay,
  deprecated,
  directory,
  dynamicInterfaces,
  firstOnly,
  frames,
  garpExtraIf,
  group,
  interval,
  invalid,
  iprouteDirectory,
  ipsets,
  isInvalid,
  maxAutoPriority,
  notABool,
  notBool,
  onePath,
  optionalPath,
  prefix,
  priority,
  randomSeed,
  readIncludeCheck,
  receiveBuffers,
  roleName,
  scriptTimeout,
  scriptUser,
  smtpServer,
  tableName,
  umask,
} from "./global_rows.ts";
import {
  act,
  alias,
  bool,
  flag,
  integer,
  later,
  nameList,
  seconds,
  text,
  wholeSeconds,
} from "./readers.ts";
import { lazyBlock, type Values } from "./schema.ts";
import { webhookLine } from "./webhook_row.ts";

const UINT_MAX = 4_294_967_295;
const INT_MAX = 2_147_483_647;

/** The keywords of global_defs. */
export const globalDefs = lazyBlock({
  process_names: () => flag("- name the processes keepalived_vrrp and keepalived_lvs; default off"),
  process_name: () => roleName("NAME - name of the parent process; range 15 characters"),
  vrrp_process_name: () => roleName("NAME - name of the vrrp process; range 15 characters"),
  checker_process_name: () => roleName("NAME - name of the checker process; range 15 characters"),
  lvs_process_name: () =>
    alias(
      "checker_process_name",
      roleName("NAME - former spelling of checker_process_name; range 15 characters"),
      () => deprecated("lvs_process_name", "checker_process_name"),
    ),
  bfd_process_name: () =>
    roleName("NAME - kept, means nothing: the vrrp process does BFD; range 15 characters"),
  use_symlink_paths: () =>
    bool(
      "[BOOL] - leave symbolic links in the paths of scripts as they are; default off",
      notBool("use_symlink_paths"),
    ),
  set_supplementary_groups: () =>
    bool(
      "[BOOL] - scripts get all groups of their user; default off",
      notBool("set_supplementary_groups"),
    ),
  router_id: () =>
    text(
      "STRING - name of this router in mails and SNMP; default the host name",
      "routerid name missing - ignoring",
    ),
  notification_email_from: () =>
    text(
      "ADDRESS - sender of alert mails, in quotes with a display name; default keepalived@HOSTNAME",
      "emailfrom missing - ignoring",
    ),
  smtp_server: () => smtpServer(),
  smtp_helo_name: () =>
    text(
      "STRING - name in the greeting to the mail server; default the host name",
      "smtp_helo_name missing - ignoring",
    ),
  smtp_connect_timeout: () =>
    integer(
      "SECS - limit for each step of a mail; range 1..4294; default 30",
      GLOBAL_DEFAULTS.smtp_connect_timeout,
      {
        min: 0,
        max: 4294,
        times: 1_000_000,
        says: (text) => `smtp_connect_timeout '${text}' must be in [0, 4294] - ignoring`,
        raised: () => "smtp_conect_timeout must be greater than 0, setting to 1",
      },
    ),
  notification_email: () =>
    nameList(
      "{ ADDRESS ... } - who gets alert mails; several on a line if need be; default none",
    ),
  smtp_alert: () =>
    bool(
      "[BOOL] - default of every smtp_alert; default unset",
      notBool("smtp_alert"),
    ),
  startup_script: () =>
    onceScript(
      "SCRIPT [USER [[:]GROUP]] - run before the other processes start; default none",
      "startup script missing",
      "startup",
    ),
  startup_script_timeout: () => scriptTimeout("startup_script"),
  shutdown_script: () =>
    onceScript(
      "SCRIPT [USER [[:]GROUP]] - run when the other processes have stopped; default none",
      "shutdown script missing",
      "shutdown",
    ),
  shutdown_script_timeout: () => scriptTimeout("shutdown_script"),
  max_auto_priority: () => maxAutoPriority(),
  min_auto_priority_delay: () =>
    integer(
      "USECS - how late a process must be to raise its priority; range 1..10000000; default 1000000",
      GLOBAL_DEFAULTS.min_auto_priority_delay,
      {
        min: 1,
        max: 10_000_000,
        missing: "min_auto_priority_delay requires delay time",
        says: (text) => `min_auto_priority_delay '${text}' must be in [1, 10000000] - ignoring`,
      },
    ),
  smtp_alert_vrrp: () =>
    bool(
      "[BOOL] - default of smtp_alert in instances and groups, before smtp_alert; default unset",
      notBool("smtp_alert_vrrp"),
    ),
  smtp_alert_checker: () =>
    bool(
      "[BOOL] - default of smtp_alert in virtual servers, before smtp_alert; default unset",
      notBool("smtp_alert_checker"),
    ),
  checker_log_all_failures: () =>
    bool(
      "[BOOL] - log every failed check, not only those that change something; default off",
      notABool("checker_log_all_failures"),
    ),
  dynamic_interfaces: () => dynamicInterfaces(),
  notify_timeout: () => ({
    ...seconds(
      "SECS - end notify scripts that take longer; range 0.001..86400; default never",
      undefined,
      {
        min: 0.001,
        max: 86_400,
        says: (text) => `notify_timeout '${text}' must be in [0.001, 86400] - ignoring`,
      },
    ),
    ours: true,
  }),
  notify_webhook: () => webhookLine("all events"),
  no_email_faults: () => flag("- no mails about FAULT; default off"),
  default_interface: () => defaultInterface(),
  disable_local_igmp: () =>
    flag("- keep the kernel from reporting membership of 224.0.0.0/24; default off"),
  v3_checksum_as_v2: () => flag("- default of v3_checksum_as_v2 in instances; default off"),
  lvs_timeouts: () => lvsTimeouts(),
  lvs_flush: () => flag("- remove every service of the kernel at start; default off"),
  lvs_flush_on_stop: () =>
    lvsFlushOnStop(
      "[VS] - at stop remove every service at once, with VS only those configured; default off",
    ),
  lvs_flush_onstop: () =>
    alias(
      "lvs_flush_on_stop",
      lvsFlushOnStop("[VS] - former spelling of lvs_flush_on_stop"),
    ),
  lvs_sync_daemon: () => lvsSyncDaemon(),
  vrrp_mcast_group4: () =>
    group(
      "IPV4 - group of adverts; range multicast; default 224.0.0.18",
      GLOBAL_DEFAULTS.vrrp_mcast_group4,
      4,
    ),
  vrrp_mcast_group6: () =>
    group(
      "IPV6 - group of adverts; range multicast, link-local; default ff02::12",
      GLOBAL_DEFAULTS.vrrp_mcast_group6,
      6,
    ),
  vrrp_garp_master_delay: () =>
    wholeSeconds(
      "SECS - wait before the second burst of announcements; range 0..4294; default 5",
      GLOBAL_DEFAULTS.vrrp_garp_master_delay,
      invalid("vrrp_garp_master_delay"),
    ),
  vrrp_garp_master_repeat: () =>
    frames(
      "vrrp_garp_master_repeat",
      "N - frames of a burst; range 1..4294967295; default 5",
      GLOBAL_DEFAULTS.vrrp_garp_master_repeat,
    ),
  vrrp_garp_master_refresh: () =>
    integer(
      "SECS - period of refreshing bursts while MASTER; range 0..4294967295; default 0, off",
      GLOBAL_DEFAULTS.vrrp_garp_master_refresh,
      {
        min: 0,
        max: UINT_MAX,
        times: 1_000_000,
        says: (text) => `Invalid vrrp_garp_master_refresh '${text}' - ignoring`,
      },
    ),
  vrrp_garp_master_refresh_repeat: () =>
    frames(
      "vrrp_garp_master_refresh_repeat",
      "N - frames of a refreshing burst; range 1..4294967295; default 1",
      GLOBAL_DEFAULTS.vrrp_garp_master_refresh_repeat,
    ),
  vrrp_garp_lower_prio_delay: () =>
    wholeSeconds(
      "SECS - wait before the second burst after a lower advert; range 0..4294; " +
        "default vrrp_garp_master_delay",
      undefined,
      invalid("vrrp_garp_lower_prio_delay"),
    ),
  vrrp_garp_lower_prio_repeat: () =>
    integer(
      "N - frames of a burst after a lower advert, 0 for none; range 0..2147483647; " +
        "default vrrp_garp_master_repeat",
      undefined,
      { min: 0, max: INT_MAX, says: (text) => `Invalid vrrp_garp_lower_prio_repeat '${text}'` },
    ),
  vrrp_down_timer_adverts: () =>
    integer(
      "N - adverts that must be missing before a take-over; range 1..100; default 3",
      GLOBAL_DEFAULTS.vrrp_down_timer_adverts,
      {
        min: 1,
        max: 100,
        says: (text) => `Invalid vrrp_down_timer_adverts [1:100] '${text}'`,
      },
    ),
  vrrp_garp_interval: () =>
    interval(
      "vrrp_garp_interval",
      "SECS - gap between gratuitous ARPs on one interface; range 0.000001..4294.967295; default none",
    ),
  vrrp_gna_interval: () =>
    interval(
      "vrrp_gna_interval",
      "SECS - gap between neighbour advertisements on one interface; " +
        "range 0.000001..4294.967295; default none",
    ),
  vrrp_min_garp: () =>
    bool(
      "[BOOL] - one announcement and no more, where nothing else is set; default off",
      notABool("vrrp_min_garp"),
    ),
  vrrp_garp_extra_if: () =>
    garpExtraIf(
      "[all] SECS - announce addresses this often over other interfaces that hold them; " +
        "range 1..86400; default off",
    ),
  vrrp_vmac_garp_intvl: () =>
    alias(
      "vrrp_garp_extra_if",
      garpExtraIf("[all] SECS - former spelling of vrrp_garp_extra_if; range 1..86400"),
      () => deprecated("vrrp_vmac_garp_intvl", "vrrp_garp_extra_if"),
    ),
  vrrp_lower_prio_no_advert: () =>
    bool(
      "[BOOL] - default of lower_prio_no_advert in instances; default off",
      notABool("vrrp_lower_prio_no_advert"),
    ),
  vrrp_higher_prio_send_advert: () =>
    bool(
      "[BOOL] - default of higher_prio_send_advert in instances; default off",
      notABool("vrrp_higher_prio_send_advert"),
    ),
  vrrp_version: () =>
    integer(
      "2|3 - protocol version of instances over IPv4; default 2",
      GLOBAL_DEFAULTS.vrrp_version,
      {
        min: 2,
        max: 3,
        says: () => "VRRP Error: Version must be either 2 or 3",
      },
    ),
  vrrp_iptables: () => chains(),
  vrrp_ipsets: () => ipsets(),
  nftables: () =>
    tableName(
      "[TABLE] - firewall rules by nftables, in this table; default keepalived when needed",
      "keepalived",
    ),
  nftables_priority: () =>
    priority(
      "N - priority of the base chains; range -2147483648..2147483647; default -1",
      (text) => `invalid nftables chain priority '${text}'`,
    ),
  nftables_ifindex: () =>
    flag("- sets of link-local addresses by interface index, which they are anyway; default off"),
  vrrp_check_unicast_src: () =>
    flag("- accept unicast adverts from listed peers only; default off"),
  vrrp_skip_check_adv_addr: () =>
    bool(
      "[BOOL] - default of skip_check_adv_addr in instances; default off",
      notABool("vrrp_skip_check_adv_addr"),
    ),
  vrrp_strict: () =>
    bool(
      "[BOOL] - default of strict_mode in instances; default off",
      notABool("vrrp_strict"),
    ),
  ...roleRows("vrrp", "the vrrp process", VRRP_NICE),
  nftables_ipvs: () =>
    tableName(
      "[TABLE] - one service for each group of virtual servers, by marks; default off",
      "keepalived_ipvs",
    ),
  nftables_ipvs_priority: () =>
    priority(
      "N - priority of the base chains of that table; range -2147483648..2147483647; default -1",
      (text) => `invalid ipvs nftables chain priority '${text}'`,
    ),
  nftables_ipvs_start_fwmark: () =>
    integer(
      "N - the first mark; range 1..4294967295; default 1000",
      1000,
      {
        min: 1,
        max: UINT_MAX,
        says: (text) => `invalid ipvs nftables start_fwmark priority '${text}'`,
      },
    ),
  nftables_counters: () => flag("- count packets in the rules; default off"),
  ...fifoRows("notify_fifo", "events of both kinds"),
  ...fifoRows("vrrp_notify_fifo", "VRRP events"),
  vrrp_notify_priority_changes: () =>
    bool(
      "[BOOL] - default of notify_priority_changes: changes of priority go to the FIFOs; default off",
      notBool("vrrp_notify_priority_changes"),
    ),
  fifo_write_vrrp_states_on_reload: () =>
    flag(
      "- write every state to the FIFOs again after a reload; default off",
    ),
  ...fifoRows("lvs_notify_fifo", "events of virtual and real servers"),
  ...roleRows("checker", "the checker process", 0),
  ...roleRows("bfd", "the vrrp process if it does BFD", "that of vrrp_priority"),
  snmp_socket: () =>
    later(firstOnly(
      "ADDRESS - socket of the SNMP agent; default unix:/var/agentx/master",
      "SNMP error : snmp socket name missing",
    )),
  enable_traps: () => later(flag("- send SNMP notifications; default off")),
  enable_snmp_vrrp: () => later(flag("- answer for the VRRP part of KEEPALIVED-MIB; default off")),
  enable_snmp_keepalived: () =>
    later(
      alias("enable_snmp_vrrp", flag("- former spelling of enable_snmp_vrrp")),
    ),
  enable_snmp_rfc: () => later(flag("- answer for VRRP-MIB and VRRPV3-MIB; default off")),
  enable_snmp_rfcv2: () => later(flag("- answer for VRRP-MIB (RFC 2787); default off")),
  enable_snmp_rfcv3: () => later(flag("- answer for VRRPV3-MIB (RFC 6527); default off")),
  enable_snmp_checker: () =>
    later(flag("- answer for the checker part of KEEPALIVED-MIB; default off")),
  snmp_vs_stats_update_interval: () =>
    later(seconds(
      "SECS - age after which statistics of services are read anew; range 0.001..30; default 5",
      5_000_000,
      { min: 0.001, max: 30, says: isInvalid("snmp_vs_stats_update_interval") },
    )),
  snmp_rs_stats_update_interval: () =>
    later(seconds(
      "SECS - the same for real servers; range 0.001..30; default snmp_vs_stats_update_interval",
      undefined,
      { min: 0.001, max: 30, says: isInvalid("snmp_rs_stats_update_interval") },
    )),
  enable_dbus: () => later(flag("- offer the D-Bus interface; default off")),
  dbus_service_name: () =>
    later(text(
      "NAME - name on the bus; default org.keepalived.Vrrp1",
      "dbus_service_name missing - ignoring",
    )),
  dbus_no_interface_name: () =>
    later(text(
      "NAME - path element of instances without an interface; default none",
      "dbus_no_interface_name missing - ignoring",
    )),
  script_user: () => scriptUser(),
  enable_script_security: () =>
    flag("- refuse scripts that root would run and others may change; default off"),
  ...bufferRows("vrrp_netlink_cmd", "the socket for netlink commands of the vrrp process"),
  ...bufferRows(
    "vrrp_netlink_monitor",
    "the sockets that hear of changes in the vrrp process",
    "4194304",
  ),
  ...bufferRows("process_monitor", "the socket that hears of processes", "8388608"),
  ...bufferRows("lvs_netlink_cmd", "the socket for netlink commands of the checker process"),
  ...bufferRows(
    "lvs_netlink_monitor",
    "the socket that hears of changes in the checker process",
    "1048576",
  ),
  rs_init_notifies: () =>
    bool(
      "[BOOL] - run notify_up at start for servers that are up from the beginning; default off",
      notBool("rs_init_notifies"),
    ),
  no_checker_emails: () =>
    bool(
      "[BOOL] - mail about servers only, not about each of their checks; default off",
      notBool("no_checker_emails"),
    ),
  vrrp_rx_bufs_policy: () => receiveBuffers(),
  vrrp_rx_bufs_multiplier: () =>
    integer(
      "N - adverts the receive buffer has room for; range 1..4294967295; default 3",
      GLOBAL_DEFAULTS.vrrp_rx_bufs_multiplier,
      {
        min: 1,
        max: UINT_MAX,
        missing: "Invalid vrrp_rx_bufs_multiplier",
        says: (text) => `Invalid vrrp_rx_bufs_multiplier ${text}`,
      },
    ),
  vrrp_startup_delay: () =>
    delay(
      "vrrp_startup_delay",
      "SECS - instances wait so long after the start; range 0.001..4294.967295; default 0",
    ),
  vrrp_delay_after_boot: () =>
    delay(
      "vrrp_delay_after_boot",
      "SECS - instances wait until the host is up for so long; range 0.001..4294.967295; default 0",
    ),
  log_unknown_vrids: () => flag("- log adverts for a VRID nobody here has; default off"),
  vrrp_owner_ignore_adverts: () =>
    bool(
      "[BOOL] - default of owner_ignore_adverts in instances; default unset",
      notBool("vrrp_owner_ignore_adverts"),
    ),
  vmac_prefix: () =>
    prefix(
      "STRING - what names of generated interfaces start with, of those that are made from now on; default vrrp",
    ),
  vmac_addr_prefix: () =>
    prefix(
      "STRING - the same for interfaces of single addresses; default vmac_prefix",
    ),
  umask: () => umask(),
  random_seed: () => randomSeed(),
  reload_check_config: () =>
    later(optionalPath(
      "[LOGFILE] - test a configuration before it is reloaded; default off, without a file /dev/null",
      "/dev/null",
    )),
  reload_strict: () => ({
    ...bool(
      "[BOOL] - a reload refuses a configuration with any error, not only fatal ones; default off",
      notBool("reload_strict"),
    ),
    ours: true,
  }),
  reload_time_file: () =>
    later(onePath(
      "ABSPATH - file with the time of the next reload; default none",
      "reload_time_file invalid",
    )),
  reload_repeat: () =>
    later(
      flag("- keep that file, so that the reload comes again every day; default off"),
    ),
  reload_file: () =>
    later(optionalPath(
      "[ABSPATH] - file that exists while a configuration is read; " +
        "default off, without a path keepalived.reload",
      "",
    )),
  include_check: () =>
    act(
      "[[+|-]CHECK ...] - mistakes of includes that are fatal: readable, match, wildcard_match, " +
        "brace_match, without a word all of them; default none",
      readIncludeCheck,
    ),
  config_save_dir: () =>
    later(directory(
      "DIR - keep copies of configuration and state at reloads here; default none",
    )),
  tmp_config_directory: () =>
    later(text(
      "DIR - where the merged configuration lies while it is read; default memory",
      "tmp_config_directory missing directory name",
    )),
  data_use_instance: () =>
    later(bool(
      "[BOOL] - instance and namespace in the names of dump files; default off",
      notBool("date_use_instance"),
    )),
  json_version: () =>
    later(integer("1|2 - shape of the JSON dump; default 1", 1, {
      min: 1,
      max: 2,
      says: (text) => `Invalid json_version '${text}'`,
    })),
  iproute_usr_dir: () =>
    iprouteDirectory(
      "usrDir",
      "DIR - where the packaged rt_tables and its relatives lie; default /usr/share/iproute2",
    ),
  iproute_etc_dir: () =>
    iprouteDirectory(
      "etcDir",
      "DIR - where the local rt_tables and its relatives lie; default /etc/iproute2",
    ),
  state_dump_file: () =>
    later(onePath(
      "PATH - file for the state, written on USR1; default keepalived.data in TMPDIR",
      "state_dump_file invalid",
    )),
  stats_dump_file: () =>
    later(onePath(
      "PATH - file for the statistics, written on USR2; default keepalived.stats in TMPDIR",
      "stats_dump_file invalid",
    )),
  json_dump_file: () =>
    later(onePath(
      "PATH - file for the JSON dump; default keepalived.json in TMPDIR",
      "json_dump_file invalid",
    )),
});

/** What global_defs says, keyword by keyword. */
export type WrittenGlobals = Partial<Values<typeof globalDefs>>;
