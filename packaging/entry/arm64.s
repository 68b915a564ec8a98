// What runs before the runtime's own first instruction, on arm64: x64.s, line for line where it can be. At the
// entry only sp (-> argc) and x0 (the linker's finaliser) mean something.

	.set SYS_dup3, 24
	.set SYS_fcntl, 25
	.set SYS_ftruncate, 46
	.set SYS_faccessat, 48
	.set SYS_chdir, 49
	.set SYS_openat, 56
	.set SYS_close, 57
	.set SYS_write, 64
	.set SYS_exit_group, 94
	.set SYS_sched_setaffinity, 122
	.set SYS_sched_getaffinity, 123
	.set SYS_rt_sigprocmask, 135
	.set SYS_setsid, 157
	.set SYS_getcpu, 168
	.set SYS_socket, 198
	.set SYS_socketpair, 199
	.set SYS_clone, 220
	.set SYS_execve, 221
	.set SYS_mmap, 222
	.set SYS_memfd_create, 279
	.set SYS_close_range, 436

	// Settings of a role that others have, too: so many bytes from the first one.
	.set NO_COLLECTOR, 0
	.set NO_WARM_UP, 26

	.set STAYS, 1
	.set TESTS, 2
	.set IN_TOOLS, 4

	// The page that tells the parent of its role: descriptors and pid, then room for copies, then the text.
	.set OURS, 0
	.set THEIRS, 4
	.set STOP, 8
	.set LEDGER, 16
	.set ANNOUNCE, 20
	.set PID, 24
	.set WORDS, 7
	.set HIGH, 32
	.set CPU, 48
	.set TEXT, 64
	.set CPUS, 256
	.set CPUS_BYTES, 128

start:
	mov	x28, x0
	mov	x19, sp
	adr	x1, early_signals
	bl	block
	ldr	x9, [x19]
	add	x20, x19, x9, lsl 3
	add	x20, x20, 16			// the environment
	mov	w21, 0				// what this start is going to be
	mov	x22, x20
	ldr	x10, role
	ldr	x11, detached
	ldr	x12, tools
look_variable:
	ldr	x9, [x22], 8
	cbz	x9, look_words
	ldr	x9, [x9]
	cmp	x9, x10
	b.eq	go				// a role has all it needs
	cmp	x9, x11
	b.ne	0f
	orr	w21, w21, STAYS
	mov	x8, SYS_setsid			// away from the terminal it was called at, before there is a role
	svc	0
	mov	x8, SYS_chdir
	adr	x0, root
	svc	0
	b	look_variable
0:	cmp	x9, x12
	b.ne	look_variable
	orr	w21, w21, IN_TOOLS
	b	look_variable

no_proc:
	mov	x8, SYS_write
	mov	x0, 2
	adr	x1, complaint
	mov	x2, complaint_end - complaint
	svc	0
	mov	x0, 1
	b	leave

look_words:
	// Without /proc the runtime aborts, with words that nobody can make sense of.
	mov	x8, SYS_faccessat
	mov	x0, -100			// AT_FDCWD
	adr	x1, itself
	mov	x2, 0				// F_OK
	svc	0
	tbnz	w0, 31, no_proc
	add	x22, x19, 16			// argv[1]
	ldr	x9, [x22]
	cbz	x9, decide
	ldrb	w10, [x9]
	cmp	w10, '-'
	b.ne	decide				// a verb
look_word:
	ldr	x9, [x22], 8
	cbz	x9, decide
	ldrb	w10, [x9]
	cmp	w10, '-'
	b.ne	look_word
	ldrb	w10, [x9, 1]
	cmp	w10, '-'
	b.eq	look_long
	cmp	w10, 't'
	b.eq	tests
look_letter:
	ldrb	w10, [x9, 1]!
	cmp	w10, 'n'
	b.eq	stays
	cbnz	w10, look_letter
	b	look_word
look_long:
	ldr	x10, [x9]
	ldr	x11, dont_fork
	cmp	x10, x11
	b.eq	stays
	ldr	x11, config
	cmp	x10, x11
	b.ne	look_word
	ldrb	w10, [x9, 9]
	cmp	w10, 't'
	b.ne	look_word
tests:	orr	w21, w21, TESTS
	b	look_word
stays:	orr	w21, w21, STAYS
	b	look_word

decide:
	adr	x30, go
	adr	x23, role_settings + NO_WARM_UP	// two settings for the environment
	mov	x24, x23
	tbnz	w21, 1, 0f			// TESTS
	cmp	w21, STAYS
	b.ne	insert
	b	start_role
0:	adr	x24, large_heap
	adr	x22, role_settings + NO_COLLECTOR
	bl	insert
more:	adr	x23, no_optimiser
	mov	x24, x22
	bl	insert
	b	go

	// A daemon: from now on it hears INT and TERM too when it can, and its vrrp role starts beside the runtime.
start_role:
	adr	x1, all_signals
	bl	block
	mov	x8, SYS_mmap
	mov	x0, 0
	mov	x1, 4096
	mov	x2, 3				// PROT_READ | PROT_WRITE
	mov	x3, 0x22			// MAP_PRIVATE | MAP_ANONYMOUS
	mov	x4, -1
	mov	x5, 0
	svc	0
	tbnz	x0, 63, no_role
	mov	x25, x0
	add	x3, x25, OURS
	bl	pair
	tbnz	w0, 31, no_role
	add	x3, x25, STOP
	bl	pair
	tbnz	w0, 31, no_role
	mov	x8, SYS_memfd_create
	adr	x0, ledger_name
	mov	x1, 1				// MFD_CLOEXEC
	svc	0
	str	w0, [x25, LEDGER]
	tbnz	w0, 31, no_role
	mov	x8, SYS_ftruncate
	ldr	x1, ledger_bytes
	svc	0
	tbnz	w0, 31, no_role
	mov	x8, SYS_socket
	mov	x0, 17				// AF_PACKET
	ldr	w1, raw				// SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC
	mov	x2, 0
	svc	0
	str	w0, [x25, ANNOUNCE]
	tbnz	w0, 31, no_role
	mov	x8, SYS_clone
	mov	x0, 17				// SIGCHLD
	mov	x1, 0
	mov	x2, 0
	mov	x3, 0
	mov	x4, 0
	svc	0
	tbnz	w0, 31, no_role
	cbz	w0, child
	str	w0, [x25, PID]
	// The kernel may have put it where we are at work, to wait; off to another processor, if there is one.
	mov	x8, SYS_sched_getaffinity
	mov	x0, 0
	mov	x1, CPUS_BYTES
	add	x2, x25, CPUS
	svc	0
	mov	x24, x0				// how many bytes there are
	cmp	w0, 0
	b.le	moved
	mov	x8, SYS_getcpu
	add	x0, x25, CPU
	mov	x1, 0
	mov	x2, 0
	svc	0
	ldr	w22, [x25, CPU]
	lsr	w9, w22, 3			// its byte and bit
	add	x26, x25, CPUS
	add	x26, x26, x9
	and	w22, w22, 7
	mov	w9, 1
	lsl	w22, w9, w22
	ldrb	w9, [x26]
	bic	w9, w9, w22
	strb	w9, [x26]
	bl	affinity
	ldrb	w9, [x26]
	orr	w9, w9, w22
	strb	w9, [x26]
	bl	affinity
moved:
	mov	x8, SYS_close
	ldr	w0, [x25, THEIRS]
	svc	0

	// The parent finds the numbers in its environment, 8 hexadecimal digits each.
	add	x9, x25, TEXT
	adr	x10, early_name
	adr	x11, early_name_end
0:	ldrb	w12, [x10], 1
	strb	w12, [x9], 1
	cmp	x10, x11
	b.ne	0b
	adr	x11, digits
	mov	x10, 0
put_word:
	ldr	w12, [x25, x10, lsl 2]
	mov	w13, 8
put_digit:
	ror	w12, w12, 28
	and	w14, w12, 15
	ldrb	w14, [x11, w14, uxtw]
	strb	w14, [x9], 1
	sub	w13, w13, 1
	cbnz	w13, put_digit
	add	x10, x10, 1
	cmp	x10, WORDS
	b.ne	put_word
	add	x24, x25, TEXT

	// argc and argv move down by two words, and x23 and x24 come before the environment.
no_role:
	adr	x30, more
	adr	x22, short_cycles
insert:
	sub	x9, x19, 16
	mov	sp, x9
0:	ldr	x10, [x19], 8
	str	x10, [x9], 8
	cmp	x19, x20
	b.ne	0b
	mov	x19, sp
	mov	x20, x9
	stp	x23, x24, [x9]
	ldr	x10, environ
	adr	x11, start
	str	x9, [x11, x10]
	ret
go:	mov	x0, x28
	ldr	x9, entry
	adr	x10, start
	add	x9, x9, x10
	br	x9

	// rt_sigprocmask(SIG_BLOCK, x1, NULL, 8)
block:	mov	x8, SYS_rt_sigprocmask
	mov	x0, 0
	mov	x2, 0
	mov	x3, 8
	svc	0
	ret

	// sched_setaffinity(the role, x24, the set)
affinity:
	mov	x8, SYS_sched_setaffinity
	ldr	w0, [x25, PID]
	mov	x1, x24
	add	x2, x25, CPUS
	svc	0
	ret

	// socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, x3)
pair:	mov	x8, SYS_socketpair
	mov	x0, 1
	ldr	w1, stream
	mov	x2, 0
	svc	0
	ret

child:
	// Out of the way first, then to 3, 4, 5 and 6.
	mov	x22, 0
	adr	x23, sources
	add	x24, x25, HIGH
0:	ldrb	w9, [x23, x22]
	ldr	w0, [x25, x9]
	mov	x1, 1030			// F_DUPFD_CLOEXEC
	mov	x2, 16
	mov	x8, SYS_fcntl
	svc	0
	str	w0, [x24, x22, lsl 2]
	add	x22, x22, 1
	cmp	x22, 4
	b.ne	0b
	mov	x22, 0
0:	ldr	w0, [x24, x22, lsl 2]
	add	x1, x22, 3
	mov	x2, 0
	mov	x8, SYS_dup3
	svc	0
	add	x22, x22, 1
	cmp	x22, 4
	b.ne	0b
	mov	x8, SYS_close_range		// what else was inherited; Linux 5.11
	mov	x0, 7
	mov	w1, -1
	mov	x2, 4				// CLOSE_RANGE_CLOEXEC
	svc	0
	mov	x8, SYS_openat
	mov	x0, -100			// AT_FDCWD
	adr	x1, null
	mov	x2, 0x80000			// O_RDONLY | O_CLOEXEC
	svc	0
	mov	x1, 0
	mov	x2, 0
	mov	x8, SYS_dup3
	svc	0
	// The environment again, and the role's settings before it; sp stays a multiple of 16.
	mov	x10, x20
0:	ldr	x9, [x10], 8
	cbnz	x9, 0b
	sub	x11, x10, x20
	add	x11, x11, SETTINGS * 8 + 15
	and	x11, x11, -16
	mov	x9, sp
	sub	x9, x9, x11
	mov	sp, x9
	mov	x2, x9
	adr	x12, role_settings
0:	ldrb	w13, [x12]
	cbz	w13, 0f
	str	x12, [x9], 8
1:	ldrb	w13, [x12], 1
	cbnz	w13, 1b
	b	0b
0:	mov	x10, x20
0:	ldr	x13, [x10], 8
	str	x13, [x9], 8
	cbnz	x13, 0b
	mov	x8, SYS_execve
	adr	x0, itself
	add	x1, x19, 8
	svc	0
	mov	x0, 127
leave:	mov	x8, SYS_exit_group
	svc	0

	.set SETTINGS, 16			// at most so many settings of a role

	.balign	8
role:		.ascii	"UPKEEP_R"
detached:	.ascii	"UPKEEP_D"
tools:		.ascii	"BUN_FEAT"
dont_fork:	.ascii	"--dont-f"
config:		.ascii	"--config"
raw:		.word	0x80803
stream:		.word	0x80801
sources:	.byte	THEIRS, LEDGER, ANNOUNCE, STOP
digits:		.ascii	"0123456789abcdef"
early_name:	.ascii	"UPKEEP_EARLY="
early_name_end:
no_optimiser:	.asciz	"BUN_JSC_useDFGJIT=0"
large_heap:	.asciz	"BUN_JSC_largeHeapSize=67108864"
short_cycles:	.asciz	"BUN_JSC_gcMaxHeapSize=4000000"
ledger_name:	.asciz	"upkeep-ledger"
root:		.asciz	"/"
null:		.asciz	"/dev/null"
itself:		.asciz	"/proc/self/exe"
complaint:	.ascii	"upkeep: /proc is not mounted\n"
complaint_end:
	.balign	8

// What ../entry.ts puts behind the code. Places are distances from start.
entry:		.quad	0
environ:	.quad	0
early_signals:	.quad	0
all_signals:	.quad	0
ledger_bytes:	.quad	0
role_settings:
