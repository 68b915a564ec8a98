/** What holds of global_defs when nobody has said otherwise, where others rely on it. */

/** By keyword; durations are integer microseconds. */
export const GLOBAL_DEFAULTS = {
  notification_email: [] as readonly string[],
  smtp_connect_timeout: 30_000_000,
  startup_script_timeout: 10_000_000,
  shutdown_script_timeout: 10_000_000,
  max_auto_priority: 0,
  min_auto_priority_delay: 1_000_000,
  vrrp_mcast_group4: "224.0.0.18",
  vrrp_mcast_group6: "ff02::12",
  vrrp_garp_master_delay: 5_000_000,
  vrrp_garp_master_repeat: 5,
  vrrp_garp_master_refresh: 0,
  vrrp_garp_master_refresh_repeat: 1,
  vrrp_down_timer_adverts: 3,
  vrrp_version: 2,
  vrrp_rx_bufs_multiplier: 3,
  vrrp_startup_delay: 0,
  vrrp_delay_after_boot: 0,
} as const;

/** The nice value of the vrrp process when nobody has asked for another. */
export const VRRP_NICE = -10;
