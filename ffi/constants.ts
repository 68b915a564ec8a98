/**
 * Numbers from kernel and C library headers, each group with its header named. Only what is used.
 * They are the same on x86-64 and arm64 unless a comment says otherwise.
 */

// sys/socket.h, bits/socket.h
/** Unix domain. */
export const AF_UNIX = 1;
/** IPv4. */
export const AF_INET = 2;
/** IPv6. */
export const AF_INET6 = 10;
/** Kernel messages. */
export const AF_NETLINK = 16;
/** Link-layer frames. */
export const AF_PACKET = 17;
/** Byte stream. */
export const SOCK_STREAM = 1;
/** Datagrams. */
export const SOCK_DGRAM = 2;
/** Whole packets with their headers. */
export const SOCK_RAW = 3;
/** Close on exec, for socket(2). */
export const SOCK_CLOEXEC = 0o2000000;
/** Non-blocking, for socket(2). */
export const SOCK_NONBLOCK = 0o4000;
/** Generic socket level. */
export const SOL_SOCKET = 1;
/** A local address may be taken while old connections from it linger. */
export const SO_REUSEADDR = 2;
/** What became of a connection that was being made: an errno, 0 for none. */
export const SO_ERROR = 4;
/** Send buffer size. */
export const SO_SNDBUF = 7;
/** Receive buffer size. */
export const SO_RCVBUF = 8;
/** Priority of outgoing packets. */
export const SO_PRIORITY = 12;
/** Bind to one link by name. */
export const SO_BINDTODEVICE = 25;
/** The firewall's mark of outgoing packets (CAP_NET_ADMIN). */
export const SO_MARK = 36;
/** Stamp each packet with the moment of its arrival (SO_TIMESTAMPNS_OLD); also its message's type. */
export const SO_TIMESTAMPNS = 35;
/** Let only what a BPF program accepts be received. */
export const SO_ATTACH_FILTER = 26;
/** Receive buffer size beyond the limit (CAP_NET_ADMIN). */
export const SO_RCVBUFFORCE = 33;
/** Room for what is sent, past the limit. */
export const SO_SNDBUFFORCE = 32;
/** Do not block this once. */
export const MSG_DONTWAIT = 0x40;
/** No SIGPIPE. */
export const MSG_NOSIGNAL = 0x4000;
/** The datagram was longer than the buffer. */
export const MSG_TRUNC = 0x20;

// netinet/in.h
/** IPv4 level of setsockopt. */
export const IPPROTO_IP = 0;
/** ICMP. */
export const IPPROTO_ICMP = 1;
/** UDP. */
export const IPPROTO_UDP = 17;
/** IPv6 level of setsockopt. */
export const IPPROTO_IPV6 = 41;
/** ICMPv6. */
export const IPPROTO_ICMPV6 = 58;
/** VRRP (RFC 9568 §5.1.1.4). */
export const IPPROTO_VRRP = 112;
/** Type of service of outgoing packets. */
export const IP_TOS = 1;
/** TTL of outgoing packets; also the type of the message that IP_RECVTTL asks for. */
export const IP_TTL = 2;
/** The caller writes the IPv4 header. */
export const IP_HDRINCL = 3;
/** Tell each packet's destination; also its message's type. */
export const IP_PKTINFO = 8;
/** Tell each packet's TTL. */
export const IP_RECVTTL = 12;
/** Multicast link. */
export const IP_MULTICAST_IF = 32;
/** TTL of multicast packets. */
export const IP_MULTICAST_TTL = 33;
/** Loop multicast packets back. */
export const IP_MULTICAST_LOOP = 34;
/** Join a group on a link. */
export const IP_ADD_MEMBERSHIP = 35;
/** Deliver packets of groups joined elsewhere. */
export const IP_MULTICAST_ALL = 49;
/** Hop limit of unicast packets. */
export const IPV6_UNICAST_HOPS = 16;
/** No IPv4 through this socket. */
export const IPV6_V6ONLY = 26;
/** Multicast link. */
export const IPV6_MULTICAST_IF = 17;
/** Hop limit of multicast packets. */
export const IPV6_MULTICAST_HOPS = 18;
/** Loop multicast packets back. */
export const IPV6_MULTICAST_LOOP = 19;
/** Join a group on a link (IPV6_ADD_MEMBERSHIP). */
export const IPV6_JOIN_GROUP = 20;
/** Deliver packets of groups joined elsewhere. */
export const IPV6_MULTICAST_ALL = 29;
/** Tell each packet's destination. */
export const IPV6_RECVPKTINFO = 49;
/** Its message's type: the destination and the link's index. */
export const IPV6_PKTINFO = 50;
/** Tell each packet's hop limit. */
export const IPV6_RECVHOPLIMIT = 51;
/** Its message's type: an integer. */
export const IPV6_HOPLIMIT = 52;
/** Traffic class of outgoing packets. */
export const IPV6_TCLASS = 67;
/** Which types of message an ICMPv6 socket receives, a bit for each that it does not (linux/icmpv6.h). */
export const ICMPV6_FILTER = 1;

// linux/netlink.h
/** rtnetlink. */
export const NETLINK_ROUTE = 0;
/** The connector: process events. */
export const NETLINK_CONNECTOR = 11;
/** Netfilter. */
export const NETLINK_NETFILTER = 12;
/** Generic netlink. */
export const NETLINK_GENERIC = 16;
/** Level of netlink socket options. */
export const SOL_NETLINK = 270;
/** Join a multicast group. */
export const NETLINK_ADD_MEMBERSHIP = 1;
/** Acks without the request's payload. */
export const NETLINK_CAP_ACK = 10;
/** Acks with the kernel's text. */
export const NETLINK_EXT_ACK = 11;
/** Dumps of what was asked for alone; the kernel is strict about the asking. */
export const NETLINK_GET_STRICT_CHK = 12;

// sys/epoll.h
/** Readable. */
export const EPOLLIN = 1;
/** There is room to send, or a connection has come about. */
export const EPOLLOUT = 4;
/** Something went wrong, as a connection that was refused; always reported. */
export const EPOLLERR = 8;
/** Both directions have ended; always reported. */
export const EPOLLHUP = 0x10;
/** The other end sends no more. */
export const EPOLLRDHUP = 0x2000;
/** Report edges, not levels. */
export const EPOLLET = 0x80000000;
/** Add a descriptor. */
export const EPOLL_CTL_ADD = 1;
/** Remove a descriptor. */
export const EPOLL_CTL_DEL = 2;

// time.h, sys/timerfd.h
/** The clock of the calendar. */
export const CLOCK_REALTIME = 0;
/** The clock that never jumps. */
export const CLOCK_MONOTONIC = 1;
/** Absolute time for timerfd_settime. */
export const TFD_TIMER_ABSTIME = 1;

// fcntl.h
/** Read and write. */
export const O_RDWR = 2;
/** Write-only. */
export const O_WRONLY = 1;
/** Write at the end. */
export const O_APPEND = 0o2000;
/** Relative names start from the working directory. */
export const AT_FDCWD = -100;
/** Type of a file, in its mode. */
export const S_IFMT = 0o170000;
/** A directory. */
export const S_IFDIR = 0o040000;
/** A regular file. */
export const S_IFREG = 0o100000;
/** Create if missing. */
export const O_CREAT = 0o100;
/** Together with O_CREAT: refuse when it is there. */
export const O_EXCL = 0o200;
/** Refuse a symbolic link (0o100000 on arm64). */
export const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
/** Close on exec, for open(2). */
export const O_CLOEXEC = 0o2000000;
/** Read-only. */
export const O_RDONLY = 0;
/** Get descriptor flags. */
export const F_GETFD = 1;
/** Set descriptor flags. */
export const F_SETFD = 2;
/** Another descriptor for the same thing, not below the given number. */
export const F_DUPFD_CLOEXEC = 1030;
/** Set open file description lock. */
export const F_OFD_SETLK = 37;
/** Close on exec, as descriptor flag. */
export const FD_CLOEXEC = 1;
/** Exclusive lock. */
export const F_WRLCK = 1;

// signal.h
/** Hang-up: reload. */
export const SIGHUP = 1;
/** Interrupt: stop. */
export const SIGINT = 2;
/** Kill. */
export const SIGKILL = 9;
/** State dump. */
export const SIGUSR1 = 10;
/** Statistics. */
export const SIGUSR2 = 12;
/** Stop. */
export const SIGTERM = 15;
/** What the daemon's interface can be asked by: the named signals and every real-time one. */
export const INTERFACE_SIGNALS: readonly number[] = [
  SIGHUP,
  SIGINT,
  SIGUSR1,
  SIGUSR2,
  SIGTERM,
  ...Array.from({ length: 31 }, (_, i) => 34 + i),
];
/** Those of them that are blocked before the first instruction of any start (packaging/entry.ts). */
export const EARLY_SIGNALS: readonly number[] = INTERFACE_SIGNALS.filter(
  (signal) => signal !== SIGINT && signal !== SIGTERM,
);
/** Child ended. */
export const SIGCHLD = 17;
/** Block the given signals. */
export const SIG_BLOCK = 0;
/** Unblock the given signals. */
export const SIG_UNBLOCK = 1;
/** Set the mask as given. */
export const SIG_SETMASK = 2;
/** Default disposition. */
export const SIG_DFL = 0;
/** Ignored. */
export const SIG_IGN = 1;

// sched.h, linux/sched.h
/** A network namespace of one's own. */
export const CLONE_NEWNET = 0x40000000;

// asm/unistd.h
/** The C library has no name for it before glibc 2.41 (274 on arm64). */
export const SYS_SCHED_SETATTR = process.arch === "arm64" ? 274 : 314;

// linux/prctl.h
/** Sets comm. */
export const PR_SET_NAME = 15;

// errno.h (asm-generic/errno-base.h, asm-generic/errno.h: shared by x86-64 and arm64)
const ERRNO: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  3: "ESRCH",
  4: "EINTR",
  5: "EIO",
  6: "ENXIO",
  7: "E2BIG",
  8: "ENOEXEC",
  9: "EBADF",
  10: "ECHILD",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  14: "EFAULT",
  16: "EBUSY",
  17: "EEXIST",
  19: "ENODEV",
  20: "ENOTDIR",
  21: "EISDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  27: "EFBIG",
  28: "ENOSPC",
  30: "EROFS",
  32: "EPIPE",
  34: "ERANGE",
  36: "ENAMETOOLONG",
  38: "ENOSYS",
  40: "ELOOP",
  88: "ENOTSOCK",
  90: "EMSGSIZE",
  92: "ENOPROTOOPT",
  93: "EPROTONOSUPPORT",
  95: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  100: "ENETDOWN",
  101: "ENETUNREACH",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  105: "ENOBUFS",
  107: "ENOTCONN",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
  115: "EINPROGRESS",
};

/** Interrupted: try again. */
export const EINTR = 4;
/** Nothing there, or no room, right now. */
export const EAGAIN = 11;
/** It is there already. */
export const EEXIST = 17;
/** No such thing. */
export const ENOENT = 2;
/** No such process; of a route: there is none like it. */
export const ESRCH = 3;
/** That may not be done. */
export const EACCES = 13;
/** The connection is being made. */
export const EINPROGRESS = 115;
/** Nobody listens there. */
export const ECONNREFUSED = 111;
/** No such link. */
export const ENODEV = 19;
/** Somebody has that port already. */
export const EADDRINUSE = 98;
/** The address is not there. */
export const EADDRNOTAVAIL = 99;
/** The kernel dropped messages for want of room. */
export const ENOBUFS = 105;

/** The name of an errno, or its number in words when we have none for it. */
export function errnoName(code: number): string {
  return ERRNO[code] ?? `errno ${code}`;
}
