# What runs before the runtime's own first instruction, on x86-64. ../entry.ts says why, ./assemble.sh makes
# code.ts of it. At the entry only rsp (-> argc) and rdx (the linker's finaliser) mean something.

	.intel_syntax noprefix

	.set SYS_write, 1
	.set SYS_open, 2
	.set SYS_close, 3
	.set SYS_mmap, 9
	.set SYS_rt_sigprocmask, 14
	.set SYS_access, 21
	.set SYS_socket, 41
	.set SYS_socketpair, 53
	.set SYS_fork, 57
	.set SYS_execve, 59
	.set SYS_fcntl, 72
	.set SYS_ftruncate, 77
	.set SYS_chdir, 80
	.set SYS_setsid, 112
	.set SYS_sched_setaffinity, 203
	.set SYS_sched_getaffinity, 204
	.set SYS_exit_group, 231
	.set SYS_dup3, 292
	.set SYS_getcpu, 309
	.set SYS_memfd_create, 319
	.set SYS_close_range, 436

	# Settings of a role that others have, too: so many bytes from the first one.
	.set NO_COLLECTOR, 0
	.set NO_WARM_UP, 26

	.set STAYS, 1
	.set TESTS, 2
	.set IN_TOOLS, 4

	# The page that tells the parent of its role: descriptors and pid, then room for copies, then the text.
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
	mov	r15, rdx
	mov	rbx, rsp
	lea	rsi, [rip + early_signals]
	call	block
	mov	rcx, [rbx]
	lea	r12, [rbx + 8*rcx + 16]		# the environment
	xor	ebp, ebp			# what this start is going to be
	mov	rsi, r12
	cld
look_variable:
	lodsq
	test	rax, rax
	jz	look_words
	mov	rax, [rax]
	cmp	rax, [rip + role]
	je	go				# a role has all it needs
	cmp	rax, [rip + detached]
	jne	0f
	or	ebp, STAYS
	mov	eax, SYS_setsid			# away from the terminal it was called at, before there is a role
	syscall
	mov	eax, SYS_chdir
	lea	rdi, [rip + root]
	syscall
	jmp	look_variable
0:	cmp	rax, [rip + tools]
	jne	look_variable
	or	ebp, IN_TOOLS
	jmp	look_variable

	# Shortest forms here: on this machine the page leaves room for little more.
no_proc:
	push	SYS_write
	pop	rax
	lea	edi, [rax + 1]
	lea	rsi, [rip + complaint]
	push	complaint_end - complaint
	pop	rdx
	syscall
	push	1
	pop	rdi
	jmp	leave

look_words:
	# Without /proc the runtime aborts, with words that nobody can make sense of.
	mov	eax, SYS_access
	lea	rdi, [rip + itself]
	xor	esi, esi			# F_OK
	syscall
	test	eax, eax
	js	no_proc
	lea	rsi, [rbx + 16]			# argv[1]
	mov	rax, [rsi]
	test	rax, rax
	jz	decide
	cmp	byte ptr [rax], '-'
	jne	decide				# a verb
look_word:
	lodsq
	test	rax, rax
	jz	decide
	mov	dx, [rax]
	cmp	dl, '-'
	jne	look_word
	cmp	dh, '-'
	je	look_long
	cmp	dh, 't'
	je	tests
look_letter:
	inc	rax
	mov	dl, [rax]
	cmp	dl, 'n'
	je	stays
	test	dl, dl
	jnz	look_letter
	jmp	look_word
look_long:
	mov	rdx, [rax]
	cmp	rdx, [rip + dont_fork]
	je	stays
	cmp	rdx, [rip + config]
	jne	look_word
	cmp	byte ptr [rax + 9], 't'
	jne	look_word
tests:	or	ebp, TESTS
	jmp	look_word
stays:	or	ebp, STAYS
	jmp	look_word

decide:
	lea	r11, [rip + go]
	lea	r13, [rip + role_settings + NO_WARM_UP]	# two settings for the environment
	mov	r14, r13
	test	ebp, TESTS
	jnz	0f
	cmp	ebp, STAYS
	jne	insert
	jmp	start_role
0:	lea	r11, [rip + more]
	lea	r14, [rip + large_heap]
	lea	r10, [rip + role_settings + NO_COLLECTOR]
	jmp	insert
more:	lea	r11, [rip + go]
	lea	r13, [rip + no_optimiser]
	mov	r14, r10
	jmp	insert

	# A daemon: from now on it hears INT and TERM too when it can, and its vrrp role starts beside the runtime.
start_role:
	lea	rsi, [rip + all_signals]
	call	block
	mov	eax, SYS_mmap
	xor	edi, edi
	mov	esi, 4096
	mov	edx, 3				# PROT_READ | PROT_WRITE
	mov	r10d, 0x22			# MAP_PRIVATE | MAP_ANONYMOUS
	mov	r8, -1
	xor	r9d, r9d
	syscall
	test	rax, rax
	js	no_role
	mov	rbp, rax
	lea	r10, [rbp + OURS]
	call	pair
	js	no_role
	lea	r10, [rbp + STOP]
	call	pair
	js	no_role
	mov	eax, SYS_memfd_create
	lea	rdi, [rip + ledger_name]
	mov	esi, 1				# MFD_CLOEXEC
	syscall
	mov	[rbp + LEDGER], eax
	test	eax, eax
	js	no_role
	mov	edi, eax
	mov	eax, SYS_ftruncate
	mov	rsi, [rip + ledger_bytes]
	syscall
	test	eax, eax
	js	no_role
	mov	eax, SYS_socket
	mov	edi, 17				# AF_PACKET
	mov	esi, 0x80803			# SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC
	xor	edx, edx
	syscall
	mov	[rbp + ANNOUNCE], eax
	test	eax, eax
	js	no_role
	mov	eax, SYS_fork
	syscall
	test	eax, eax
	js	no_role
	jz	child
	mov	[rbp + PID], eax
	# The kernel may have put it where we are at work, to wait; off to another processor, if there is one.
	mov	eax, SYS_sched_getaffinity
	xor	edi, edi
	mov	esi, CPUS_BYTES
	lea	rdx, [rbp + CPUS]
	syscall
	mov	r14d, eax			# how many bytes there are
	test	eax, eax
	jle	moved
	mov	eax, SYS_getcpu
	lea	rdi, [rbp + CPU]
	xor	esi, esi
	xor	edx, edx
	syscall
	mov	r10d, [rbp + CPU]
	btr	dword ptr [rbp + CPUS], r10d
	call	affinity
	bts	dword ptr [rbp + CPUS], r10d
	call	affinity
moved:
	mov	eax, SYS_close
	mov	edi, [rbp + THEIRS]
	syscall

	# The parent finds the numbers in its environment, 8 hexadecimal digits each.
	lea	rdi, [rbp + TEXT]
	lea	rsi, [rip + early_name]
	mov	ecx, early_name_end - early_name
	rep movsb
	lea	r9, [rip + digits]
	xor	ecx, ecx
put_word:
	mov	eax, [rbp + 4*rcx]
	mov	r8d, 8
put_digit:
	rol	eax, 4
	mov	edx, eax
	and	edx, 15
	mov	dl, [r9 + rdx]
	mov	[rdi], dl
	inc	rdi
	dec	r8d
	jnz	put_digit
	inc	ecx
	cmp	ecx, WORDS
	jne	put_word
	lea	r14, [rbp + TEXT]

no_role:
	# argc and argv move down by two words, and r13 and r14 come before the environment; on to r11.
	lea	r11, [rip + more]
	lea	r10, [rip + short_cycles]
insert:
	lea	rdi, [rbx - 16]
	mov	rsi, rbx
	mov	rcx, r12
	sub	rcx, rbx
	shr	rcx, 3
	rep movsq
	sub	rbx, 16
	sub	r12, 16
	mov	rsp, rbx
	mov	[r12], r13
	mov	[r12 + 8], r14
	lea	rdx, [rip + start]
	mov	rcx, [rip + environ]
	mov	[rdx + rcx], r12
	jmp	r11
go:	mov	rdx, r15
	lea	rax, [rip + start]
	add	rax, [rip + entry]
	jmp	rax

	# rt_sigprocmask(SIG_BLOCK, rsi, NULL, 8)
block:	mov	eax, SYS_rt_sigprocmask
	xor	edi, edi
	xor	edx, edx
	mov	r10d, 8
	syscall
	ret

	# sched_setaffinity(the role, r14, the set)
affinity:
	mov	eax, SYS_sched_setaffinity
	mov	edi, [rbp + PID]
	mov	esi, r14d
	lea	rdx, [rbp + CPUS]
	syscall
	ret

	# socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, r10); flags as of its result
pair:	mov	eax, SYS_socketpair
	mov	edi, 1
	mov	esi, 0x80801
	xor	edx, edx
	syscall
	test	eax, eax
	ret

child:
	# Out of the way first, then to 3, 4, 5 and 6.
	xor	r13d, r13d
0:	lea	rax, [rip + sources]
	movzx	eax, byte ptr [rax + r13]
	mov	edi, [rbp + rax]
	mov	esi, 1030			# F_DUPFD_CLOEXEC
	mov	edx, 16
	mov	eax, SYS_fcntl
	syscall
	mov	[rbp + 4*r13 + HIGH], eax
	inc	r13d
	cmp	r13d, 4
	jne	0b
	xor	r13d, r13d
0:	mov	edi, [rbp + 4*r13 + HIGH]
	lea	esi, [r13 + 3]
	xor	edx, edx
	mov	eax, SYS_dup3
	syscall
	inc	r13d
	cmp	r13d, 4
	jne	0b
	mov	eax, SYS_close_range		# what else was inherited; Linux 5.11
	mov	edi, 7
	mov	esi, -1
	mov	edx, 4				# CLOSE_RANGE_CLOEXEC
	syscall
	mov	eax, SYS_open
	lea	rdi, [rip + null]
	mov	esi, 0x80000			# O_RDONLY | O_CLOEXEC
	syscall
	mov	edi, eax
	xor	esi, esi
	xor	edx, edx
	mov	eax, SYS_dup3
	syscall
	# The environment again, and the role's settings before it.
	xor	eax, eax
	push	rax
	mov	rsi, r12
0:	lodsq
	test	rax, rax
	jnz	0b
	sub	rsi, 8
0:	cmp	rsi, r12
	je	0f
	sub	rsi, 8
	push	[rsi]
	jmp	0b
0:	lea	rsi, [rip + role_settings]
0:	cmp	byte ptr [rsi], 0
	je	0f
	push	rsi
1:	lodsb
	test	al, al
	jnz	1b
	jmp	0b
0:	mov	eax, SYS_execve
	lea	rdi, [rip + itself]
	lea	rsi, [rbx + 8]
	mov	rdx, rsp
	syscall
	mov	edi, 127
leave:	mov	eax, SYS_exit_group
	syscall

role:		.ascii	"UPKEEP_R"
detached:	.ascii	"UPKEEP_D"
tools:		.ascii	"BUN_FEAT"
dont_fork:	.ascii	"--dont-f"
config:		.ascii	"--config"
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

# What ../entry.ts puts behind the code. Places are distances from start.
entry:		.quad	0
environ:	.quad	0
early_signals:	.quad	0
all_signals:	.quad	0
ledger_bytes:	.quad	0
role_settings:
