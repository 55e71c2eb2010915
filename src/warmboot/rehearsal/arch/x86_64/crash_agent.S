# SPDX-License-Identifier: GPL-2.0-or-later
# What a crash needs of a guest's user space and no shell can do: a static program without a library, position
# independent, entered as Linux enters one: rsp points to argc, argv.
#
#   agent l KERNEL INITRD LINE   kexec_file_load for a crash; the exit status is the errno, 0 for none
#   agent h <SEED                keep every byte of SEED, turned by 0xA5, in memory, and sleep for good
#   agent r                      known values in the registers, and a loop that never ends
#   agent c >SYSRQ 9>PORT        wait until PORT has sent everything; known values in the registers; write a c
#   agent g 9>PORT               the same, and call getppid for ever
#   agent d 9>PORT               wait until PORT has sent everything, that is all
	.intel_syntax noprefix
	.text

.set SYS_READ, 0
.set SYS_WRITE, 1
.set SYS_OPEN, 2
.set SYS_IOCTL, 16
.set SYS_PAUSE, 34
.set SYS_EXIT, 60
.set SYS_GETPPID, 110
.set SYS_KEXEC_FILE_LOAD, 320
.set KEXEC_FILE_ON_CRASH, 2
.set TCSBRK, 0x5409			# with an argument that is not 0: tcdrain
.set PORT, 9
.set HELD, 64 << 10			# bytes that are kept at most
.set TURN, 0xA5

	mov	rbx, [rsp]		# argc
	lea	rbp, [rsp + 8]		# argv
	mov	edi, 22			# EINVAL
	cmp	rbx, 2
	jb	exit
	mov	rax, [rbp + 8]
	mov	al, [rax]
	cmp	al, 'l'
	je	load
	cmp	al, 'h'
	je	hold
	cmp	al, 'r'
	je	run
	cmp	al, 'c'
	je	crash
	cmp	al, 'g'
	je	call
	cmp	al, 'd'
	jne	exit
	call	drain
	xor	edi, edi
exit:
	mov	eax, SYS_EXIT
	syscall

load:
	cmp	rbx, 5
	jb	exit
	mov	rdi, [rbp + 16]
	call	open
	mov	r12, rax
	mov	rdi, [rbp + 24]
	call	open
	mov	rsi, rax
	mov	rdi, r12
	mov	r10, [rbp + 32]		# the command line
	mov	rdx, -1
1:	inc	rdx
	cmp	byte ptr [r10 + rdx], 0
	jne	1b
	inc	rdx			# its size has the final zero
	mov	r8d, KEXEC_FILE_ON_CRASH
	mov	eax, SYS_KEXEC_FILE_LOAD
	syscall
	mov	rdi, rax
	neg	rdi
	jmp	exit

# rdi: a path. Returns a descriptor in rax, or ends with the errno.
open:
	xor	esi, esi		# O_RDONLY
	xor	edx, edx
	mov	eax, SYS_OPEN
	syscall
	mov	rdi, rax
	neg	rdi
	test	rax, rax
	js	exit
	ret

hold:
	sub	rsp, HELD
	and	rsp, -4096		# a page of it is one page of memory
	xor	r12d, r12d		# bytes so far
2:	xor	edi, edi
	lea	rsi, [rsp + r12]
	mov	edx, HELD
	sub	rdx, r12
	jz	3f
	xor	eax, eax		# SYS_READ
	syscall
	test	rax, rax
	jle	3f
	lea	rcx, [rsp + r12]
	add	r12, rax
4:	xor	byte ptr [rcx], TURN
	inc	rcx
	dec	rax
	jnz	4b
	jmp	2b
3:	mov	eax, SYS_PAUSE
	syscall
	jmp	3b

run:
	call	mark
5:	pause
	jmp	5b

crash:
	call	drain
	call	mark
	lea	rsi, letter[rip]
	mov	edx, 1
	mov	edi, 1
	mov	eax, SYS_WRITE
	syscall
	ud2				# nobody comes back

call:
	call	drain
	call	mark
6:	mov	eax, SYS_GETPPID
	syscall
	jmp	6b

# The registers that a system call leaves alone: see MARKS beside the program that reads them.
mark:
	movabs	rbx, 0x5752b007000000bb
	movabs	rbp, 0x5752b007000000b9
	movabs	r12, 0x5752b00700000012
	movabs	r13, 0x5752b00700000013
	movabs	r14, 0x5752b00700000014
	movabs	r15, 0x5752b00700000015
	ret

drain:
	mov	edi, PORT
	mov	esi, TCSBRK
	mov	edx, 1
	mov	eax, SYS_IOCTL
	syscall
	ret

letter:	.ascii	"c"
