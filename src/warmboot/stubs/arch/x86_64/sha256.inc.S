# SPDX-License-Identifier: GPL-2.0-or-later
# SHA-256 (FIPS 180-4) over whole 64-byte blocks, 64-bit code.
#
# The sixteen words of the message schedule live in the low halves of xmm0 to xmm15, which leaves the
# general registers to the eight working variables and the temporaries: a store to memory is the one
# thing that is slow under every emulator, and this code makes none inside a block.
# The caller has set CR4.OSFXSR, without which xmm registers fault.
#
# The code is there three times: with the processor's SHA instructions, with rorx for processors that have BMI2, and
# with ror. Under emulation a ror that follows any instruction that sets flags costs as much as ten others, so the two
# without SHA instructions have as few of them as can be.

.set CPUID_1_ECX_SSSE3, 9
.set CPUID_1_ECX_SSE4_1, 19
.set CPUID_7_EBX_BMI2, 8
.set CPUID_7_EBX_SHA, 29

# target = xor of source rotated right by three counts; other is clobbered.
.macro XOR_OF_ROTATIONS bmi2 target other source first second third
.if \bmi2
	rorx	\target, \source, \first
	rorx	\other, \source, \second
	xor	\target, \other
	rorx	\other, \source, \third
	xor	\target, \other
.else
	mov	\target, \source
	mov	\other, \source
	ror	\target, \first
	ror	\other, \second
	xor	\target, \other
	ror	\other, \third - \second
	xor	\target, \other
.endif
.endm

# target = xor of source rotated right by two counts and shifted right by a third; other is clobbered.
.macro XOR_WITH_SHIFT bmi2 target other source first second shift
.if \bmi2
	rorx	\target, \source, \first
	rorx	\other, \source, \second
.else
	mov	\target, \source
	mov	\other, \source
	ror	\target, \first
	ror	\other, \second
.endif
	shr	\source, \shift
	xor	\target, \other
	xor	\target, \source
.endm

# One round: a to h are registers, edx holds this round's schedule word, k is the round's constant.
.macro SHA256_ROUND bmi2 a b c d e f g h k
	add	\h, edx
	add	\h, \k
	XOR_OF_ROTATIONS \bmi2 r14d r15d \e 6 11 25
	add	\h, r14d
	mov	r14d, \f			# Ch(e, f, g)
	xor	r14d, \g
	and	r14d, \e
	xor	r14d, \g
	add	\h, r14d
	add	\d, \h
	XOR_OF_ROTATIONS \bmi2 r14d r15d \a 2 13 22
	add	\h, r14d
	mov	r14d, \a			# Maj(a, b, c)
	mov	r15d, \a
	or	r14d, \b
	and	r15d, \b
	and	r14d, \c
	or	r14d, r15d
	add	\h, r14d
.endm

# Rounds 0 to 15 take their word from the block at rsi.
.macro SHA256_FIRST bmi2 w a b c d e f g h k
	mov	edx, [rsi + 4 * \w]
	bswap	edx
	movd	xmm\w, edx
	SHA256_ROUND \bmi2 \a \b \c \d \e \f \g \h \k
.endm

# Later rounds make theirs from the words of 16, 15, 7 and 2 rounds ago.
.macro SHA256_LATER bmi2 w w1 w9 w14 a b c d e f g h k
	movd	ecx, xmm\w1
	XOR_WITH_SHIFT \bmi2 edx r14d ecx 7 18 3
	movd	ecx, xmm\w14
	XOR_WITH_SHIFT \bmi2 r15d r14d ecx 17 19 10
	add	edx, r15d
	movd	r14d, xmm\w
	add	edx, r14d
	movd	r14d, xmm\w9
	add	edx, r14d
	movd	xmm\w, edx
	SHA256_ROUND \bmi2 \a \b \c \d \e \f \g \h \k
.endm

# The 64 rounds of one block.
.macro SHA256_BLOCK bmi2
	SHA256_FIRST \bmi2 0 eax ebx r8d r9d r10d r11d r12d r13d 0x428a2f98
	SHA256_FIRST \bmi2 1 r13d eax ebx r8d r9d r10d r11d r12d 0x71374491
	SHA256_FIRST \bmi2 2 r12d r13d eax ebx r8d r9d r10d r11d -0x4a3f0431
	SHA256_FIRST \bmi2 3 r11d r12d r13d eax ebx r8d r9d r10d -0x164a245b
	SHA256_FIRST \bmi2 4 r10d r11d r12d r13d eax ebx r8d r9d 0x3956c25b
	SHA256_FIRST \bmi2 5 r9d r10d r11d r12d r13d eax ebx r8d 0x59f111f1
	SHA256_FIRST \bmi2 6 r8d r9d r10d r11d r12d r13d eax ebx -0x6dc07d5c
	SHA256_FIRST \bmi2 7 ebx r8d r9d r10d r11d r12d r13d eax -0x54e3a12b
	SHA256_FIRST \bmi2 8 eax ebx r8d r9d r10d r11d r12d r13d -0x27f85568
	SHA256_FIRST \bmi2 9 r13d eax ebx r8d r9d r10d r11d r12d 0x12835b01
	SHA256_FIRST \bmi2 10 r12d r13d eax ebx r8d r9d r10d r11d 0x243185be
	SHA256_FIRST \bmi2 11 r11d r12d r13d eax ebx r8d r9d r10d 0x550c7dc3
	SHA256_FIRST \bmi2 12 r10d r11d r12d r13d eax ebx r8d r9d 0x72be5d74
	SHA256_FIRST \bmi2 13 r9d r10d r11d r12d r13d eax ebx r8d -0x7f214e02
	SHA256_FIRST \bmi2 14 r8d r9d r10d r11d r12d r13d eax ebx -0x6423f959
	SHA256_FIRST \bmi2 15 ebx r8d r9d r10d r11d r12d r13d eax -0x3e640e8c
	SHA256_LATER \bmi2 0 1 9 14 eax ebx r8d r9d r10d r11d r12d r13d -0x1b64963f
	SHA256_LATER \bmi2 1 2 10 15 r13d eax ebx r8d r9d r10d r11d r12d -0x1041b87a
	SHA256_LATER \bmi2 2 3 11 0 r12d r13d eax ebx r8d r9d r10d r11d 0x0fc19dc6
	SHA256_LATER \bmi2 3 4 12 1 r11d r12d r13d eax ebx r8d r9d r10d 0x240ca1cc
	SHA256_LATER \bmi2 4 5 13 2 r10d r11d r12d r13d eax ebx r8d r9d 0x2de92c6f
	SHA256_LATER \bmi2 5 6 14 3 r9d r10d r11d r12d r13d eax ebx r8d 0x4a7484aa
	SHA256_LATER \bmi2 6 7 15 4 r8d r9d r10d r11d r12d r13d eax ebx 0x5cb0a9dc
	SHA256_LATER \bmi2 7 8 0 5 ebx r8d r9d r10d r11d r12d r13d eax 0x76f988da
	SHA256_LATER \bmi2 8 9 1 6 eax ebx r8d r9d r10d r11d r12d r13d -0x67c1aeae
	SHA256_LATER \bmi2 9 10 2 7 r13d eax ebx r8d r9d r10d r11d r12d -0x57ce3993
	SHA256_LATER \bmi2 10 11 3 8 r12d r13d eax ebx r8d r9d r10d r11d -0x4ffcd838
	SHA256_LATER \bmi2 11 12 4 9 r11d r12d r13d eax ebx r8d r9d r10d -0x40a68039
	SHA256_LATER \bmi2 12 13 5 10 r10d r11d r12d r13d eax ebx r8d r9d -0x391ff40d
	SHA256_LATER \bmi2 13 14 6 11 r9d r10d r11d r12d r13d eax ebx r8d -0x2a586eb9
	SHA256_LATER \bmi2 14 15 7 12 r8d r9d r10d r11d r12d r13d eax ebx 0x06ca6351
	SHA256_LATER \bmi2 15 0 8 13 ebx r8d r9d r10d r11d r12d r13d eax 0x14292967
	SHA256_LATER \bmi2 0 1 9 14 eax ebx r8d r9d r10d r11d r12d r13d 0x27b70a85
	SHA256_LATER \bmi2 1 2 10 15 r13d eax ebx r8d r9d r10d r11d r12d 0x2e1b2138
	SHA256_LATER \bmi2 2 3 11 0 r12d r13d eax ebx r8d r9d r10d r11d 0x4d2c6dfc
	SHA256_LATER \bmi2 3 4 12 1 r11d r12d r13d eax ebx r8d r9d r10d 0x53380d13
	SHA256_LATER \bmi2 4 5 13 2 r10d r11d r12d r13d eax ebx r8d r9d 0x650a7354
	SHA256_LATER \bmi2 5 6 14 3 r9d r10d r11d r12d r13d eax ebx r8d 0x766a0abb
	SHA256_LATER \bmi2 6 7 15 4 r8d r9d r10d r11d r12d r13d eax ebx -0x7e3d36d2
	SHA256_LATER \bmi2 7 8 0 5 ebx r8d r9d r10d r11d r12d r13d eax -0x6d8dd37b
	SHA256_LATER \bmi2 8 9 1 6 eax ebx r8d r9d r10d r11d r12d r13d -0x5d40175f
	SHA256_LATER \bmi2 9 10 2 7 r13d eax ebx r8d r9d r10d r11d r12d -0x57e599b5
	SHA256_LATER \bmi2 10 11 3 8 r12d r13d eax ebx r8d r9d r10d r11d -0x3db47490
	SHA256_LATER \bmi2 11 12 4 9 r11d r12d r13d eax ebx r8d r9d r10d -0x3893ae5d
	SHA256_LATER \bmi2 12 13 5 10 r10d r11d r12d r13d eax ebx r8d r9d -0x2e6d17e7
	SHA256_LATER \bmi2 13 14 6 11 r9d r10d r11d r12d r13d eax ebx r8d -0x2966f9dc
	SHA256_LATER \bmi2 14 15 7 12 r8d r9d r10d r11d r12d r13d eax ebx -0x0bf1ca7b
	SHA256_LATER \bmi2 15 0 8 13 ebx r8d r9d r10d r11d r12d r13d eax 0x106aa070
	SHA256_LATER \bmi2 0 1 9 14 eax ebx r8d r9d r10d r11d r12d r13d 0x19a4c116
	SHA256_LATER \bmi2 1 2 10 15 r13d eax ebx r8d r9d r10d r11d r12d 0x1e376c08
	SHA256_LATER \bmi2 2 3 11 0 r12d r13d eax ebx r8d r9d r10d r11d 0x2748774c
	SHA256_LATER \bmi2 3 4 12 1 r11d r12d r13d eax ebx r8d r9d r10d 0x34b0bcb5
	SHA256_LATER \bmi2 4 5 13 2 r10d r11d r12d r13d eax ebx r8d r9d 0x391c0cb3
	SHA256_LATER \bmi2 5 6 14 3 r9d r10d r11d r12d r13d eax ebx r8d 0x4ed8aa4a
	SHA256_LATER \bmi2 6 7 15 4 r8d r9d r10d r11d r12d r13d eax ebx 0x5b9cca4f
	SHA256_LATER \bmi2 7 8 0 5 ebx r8d r9d r10d r11d r12d r13d eax 0x682e6ff3
	SHA256_LATER \bmi2 8 9 1 6 eax ebx r8d r9d r10d r11d r12d r13d 0x748f82ee
	SHA256_LATER \bmi2 9 10 2 7 r13d eax ebx r8d r9d r10d r11d r12d 0x78a5636f
	SHA256_LATER \bmi2 10 11 3 8 r12d r13d eax ebx r8d r9d r10d r11d -0x7b3787ec
	SHA256_LATER \bmi2 11 12 4 9 r11d r12d r13d eax ebx r8d r9d r10d -0x7338fdf8
	SHA256_LATER \bmi2 12 13 5 10 r10d r11d r12d r13d eax ebx r8d r9d -0x6f410006
	SHA256_LATER \bmi2 13 14 6 11 r9d r10d r11d r12d r13d eax ebx r8d -0x5baf9315
	SHA256_LATER \bmi2 14 15 7 12 r8d r9d r10d r11d r12d r13d eax ebx -0x41065c09
	SHA256_LATER \bmi2 15 0 8 13 ebx r8d r9d r10d r11d r12d r13d eax -0x398e870e
.endm

# rdi: the hash value, eight 32-bit words; it is updated. rsi: the blocks; it moves behind them.
# rcx: how many blocks; none is allowed. Clobbers every general register but rdi, rbp and rsp, and xmm0 to xmm15.
sha256_blocks:
	push	rdi
	push	rcx
	xor	eax, eax
	cpuid
	cmp	eax, 7
	jb	1f
	mov	eax, 1
	cpuid
	mov	r8d, ecx
	mov	eax, 7
	xor	ecx, ecx
	cpuid
	pop	rcx
	pop	rdi
	mov	eax, ebx
	shr	eax, CPUID_7_EBX_SHA
	mov	edx, r8d
	shr	edx, CPUID_1_ECX_SSSE3
	shr	r8d, CPUID_1_ECX_SSE4_1
	and	eax, edx
	and	eax, r8d
	test	eax, 1
	jnz	sha256_blocks_sha_ni
	bt	ebx, CPUID_7_EBX_BMI2
	jc	sha256_blocks_bmi2
	jmp	sha256_blocks_plain
1:	pop	rcx
	pop	rdi
	jmp	sha256_blocks_plain

.include "sha256_ni.inc.S"

.irp bmi2, 0, 1
.if \bmi2
sha256_blocks_bmi2:
.else
sha256_blocks_plain:
.endif
	test	rcx, rcx
	jz	2f
	lea	rcx, [rcx * 8]			# from here on: the address behind the blocks
	lea	rcx, [rsi + rcx * 8]
	push	rcx
1:	mov	eax, [rdi]
	mov	ebx, [rdi + 4]
	mov	r8d, [rdi + 8]
	mov	r9d, [rdi + 12]
	mov	r10d, [rdi + 16]
	mov	r11d, [rdi + 20]
	mov	r12d, [rdi + 24]
	mov	r13d, [rdi + 28]
	SHA256_BLOCK \bmi2
	add	[rdi], eax
	add	[rdi + 4], ebx
	add	[rdi + 8], r8d
	add	[rdi + 12], r9d
	add	[rdi + 16], r10d
	add	[rdi + 20], r11d
	add	[rdi + 24], r12d
	add	[rdi + 28], r13d
	add	rsi, 64
	cmp	rsi, [rsp]
	jne	1b
	pop	rcx
2:	ret
.endr

# Sets the eight words at rdi to the initial hash value. Clobbers rcx, rsi.
sha256_start:
	push	rdi
	lea	rsi, sha256_initial[rip]
	mov	ecx, 4
	rep movsq
	pop	rdi
	ret

# rdi: the hash value after whole blocks. rdx: how many bytes went in, a multiple of 64.
# Closes the message with its padding and length, a block on the stack. Clobbers as sha256_blocks does.
sha256_finish:
	shl	rdx, 3
	bswap	rdx
	push	rdx
.rept 6
	push	0
.endr
	push	0x80
	mov	rsi, rsp
	mov	ecx, 1
	call	sha256_blocks
	add	rsp, 64
	ret

# rsi: two digests of eight words lie at rsi and rdi. ZF is set where they are the same. Clobbers rcx, rsi, rdi.
sha256_compare:
	mov	ecx, 8
	repe cmpsd
	ret

	.balign	8
sha256_initial:
	.long	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a
	.long	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
