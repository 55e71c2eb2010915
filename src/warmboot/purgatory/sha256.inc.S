# SPDX-License-Identifier: GPL-2.0-or-later
# SHA-256 (FIPS 180-4) over whole 64-byte blocks, 64-bit code.
#
# The sixteen words of the message schedule live in the low halves of xmm0 to xmm15, which leaves the
# general registers to the eight working variables and the temporaries: a store to memory is the one
# thing that is slow under emulation, and this code makes none inside a block.
# The caller has set CR4.OSFXSR, without which xmm registers fault.

# One round: a to h are registers, edx holds this round's schedule word, k is the round's constant.
.macro SHA256_ROUND a b c d e f g h k
	lea	\h, [\h + edx + \k]
	mov	r14d, \e			# Sigma1(e) by three nested rotations
	ror	r14d, 14
	xor	r14d, \e
	ror	r14d, 5
	xor	r14d, \e
	ror	r14d, 6
	add	\h, r14d
	mov	r14d, \f			# Ch(e, f, g)
	xor	r14d, \g
	and	r14d, \e
	xor	r14d, \g
	add	\h, r14d
	add	\d, \h
	mov	r14d, \a			# Sigma0(a)
	ror	r14d, 9
	xor	r14d, \a
	ror	r14d, 11
	xor	r14d, \a
	ror	r14d, 2
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
.macro SHA256_FIRST a b c d e f g h k w
	mov	edx, [rsi + 4 * \w]
	bswap	edx
	movd	xmm\w, edx
	SHA256_ROUND \a \b \c \d \e \f \g \h \k
.endm

# Later rounds make theirs from the words 16, 15, 7 and 2 rounds ago.
.macro SHA256_LATER a b c d e f g h k w w1 w9 w14
	movd	r14d, xmm\w1			# sigma0
	mov	edx, r14d
	ror	edx, 11
	xor	edx, r14d
	ror	edx, 7
	shr	r14d, 3
	xor	edx, r14d
	movd	r14d, xmm\w14			# sigma1
	mov	r15d, r14d
	ror	r15d, 2
	xor	r15d, r14d
	ror	r15d, 17
	shr	r14d, 10
	xor	r15d, r14d
	add	edx, r15d
	movd	r14d, xmm\w
	add	edx, r14d
	movd	r14d, xmm\w9
	add	edx, r14d
	movd	xmm\w, edx
	SHA256_ROUND \a \b \c \d \e \f \g \h \k
.endm

# rdi: the hash value, eight 32-bit words; it is updated. rsi: the blocks; it moves behind them.
# rcx: how many blocks; none is allowed. Clobbers every general register but rdi, rbp and rsp, and xmm0 to xmm15.
sha256_blocks:
	test	rcx, rcx
	jz	2f
1:	mov	eax, [rdi]
	mov	ebx, [rdi + 4]
	mov	r8d, [rdi + 8]
	mov	r9d, [rdi + 12]
	mov	r10d, [rdi + 16]
	mov	r11d, [rdi + 20]
	mov	r12d, [rdi + 24]
	mov	r13d, [rdi + 28]
	SHA256_FIRST eax ebx r8d r9d r10d r11d r12d r13d 0x428a2f98 0
	SHA256_FIRST r13d eax ebx r8d r9d r10d r11d r12d 0x71374491 1
	SHA256_FIRST r12d r13d eax ebx r8d r9d r10d r11d -0x4a3f0431 2
	SHA256_FIRST r11d r12d r13d eax ebx r8d r9d r10d -0x164a245b 3
	SHA256_FIRST r10d r11d r12d r13d eax ebx r8d r9d 0x3956c25b 4
	SHA256_FIRST r9d r10d r11d r12d r13d eax ebx r8d 0x59f111f1 5
	SHA256_FIRST r8d r9d r10d r11d r12d r13d eax ebx -0x6dc07d5c 6
	SHA256_FIRST ebx r8d r9d r10d r11d r12d r13d eax -0x54e3a12b 7
	SHA256_FIRST eax ebx r8d r9d r10d r11d r12d r13d -0x27f85568 8
	SHA256_FIRST r13d eax ebx r8d r9d r10d r11d r12d 0x12835b01 9
	SHA256_FIRST r12d r13d eax ebx r8d r9d r10d r11d 0x243185be 10
	SHA256_FIRST r11d r12d r13d eax ebx r8d r9d r10d 0x550c7dc3 11
	SHA256_FIRST r10d r11d r12d r13d eax ebx r8d r9d 0x72be5d74 12
	SHA256_FIRST r9d r10d r11d r12d r13d eax ebx r8d -0x7f214e02 13
	SHA256_FIRST r8d r9d r10d r11d r12d r13d eax ebx -0x6423f959 14
	SHA256_FIRST ebx r8d r9d r10d r11d r12d r13d eax -0x3e640e8c 15
	SHA256_LATER eax ebx r8d r9d r10d r11d r12d r13d -0x1b64963f 0 1 9 14
	SHA256_LATER r13d eax ebx r8d r9d r10d r11d r12d -0x1041b87a 1 2 10 15
	SHA256_LATER r12d r13d eax ebx r8d r9d r10d r11d 0x0fc19dc6 2 3 11 0
	SHA256_LATER r11d r12d r13d eax ebx r8d r9d r10d 0x240ca1cc 3 4 12 1
	SHA256_LATER r10d r11d r12d r13d eax ebx r8d r9d 0x2de92c6f 4 5 13 2
	SHA256_LATER r9d r10d r11d r12d r13d eax ebx r8d 0x4a7484aa 5 6 14 3
	SHA256_LATER r8d r9d r10d r11d r12d r13d eax ebx 0x5cb0a9dc 6 7 15 4
	SHA256_LATER ebx r8d r9d r10d r11d r12d r13d eax 0x76f988da 7 8 0 5
	SHA256_LATER eax ebx r8d r9d r10d r11d r12d r13d -0x67c1aeae 8 9 1 6
	SHA256_LATER r13d eax ebx r8d r9d r10d r11d r12d -0x57ce3993 9 10 2 7
	SHA256_LATER r12d r13d eax ebx r8d r9d r10d r11d -0x4ffcd838 10 11 3 8
	SHA256_LATER r11d r12d r13d eax ebx r8d r9d r10d -0x40a68039 11 12 4 9
	SHA256_LATER r10d r11d r12d r13d eax ebx r8d r9d -0x391ff40d 12 13 5 10
	SHA256_LATER r9d r10d r11d r12d r13d eax ebx r8d -0x2a586eb9 13 14 6 11
	SHA256_LATER r8d r9d r10d r11d r12d r13d eax ebx 0x06ca6351 14 15 7 12
	SHA256_LATER ebx r8d r9d r10d r11d r12d r13d eax 0x14292967 15 0 8 13
	SHA256_LATER eax ebx r8d r9d r10d r11d r12d r13d 0x27b70a85 0 1 9 14
	SHA256_LATER r13d eax ebx r8d r9d r10d r11d r12d 0x2e1b2138 1 2 10 15
	SHA256_LATER r12d r13d eax ebx r8d r9d r10d r11d 0x4d2c6dfc 2 3 11 0
	SHA256_LATER r11d r12d r13d eax ebx r8d r9d r10d 0x53380d13 3 4 12 1
	SHA256_LATER r10d r11d r12d r13d eax ebx r8d r9d 0x650a7354 4 5 13 2
	SHA256_LATER r9d r10d r11d r12d r13d eax ebx r8d 0x766a0abb 5 6 14 3
	SHA256_LATER r8d r9d r10d r11d r12d r13d eax ebx -0x7e3d36d2 6 7 15 4
	SHA256_LATER ebx r8d r9d r10d r11d r12d r13d eax -0x6d8dd37b 7 8 0 5
	SHA256_LATER eax ebx r8d r9d r10d r11d r12d r13d -0x5d40175f 8 9 1 6
	SHA256_LATER r13d eax ebx r8d r9d r10d r11d r12d -0x57e599b5 9 10 2 7
	SHA256_LATER r12d r13d eax ebx r8d r9d r10d r11d -0x3db47490 10 11 3 8
	SHA256_LATER r11d r12d r13d eax ebx r8d r9d r10d -0x3893ae5d 11 12 4 9
	SHA256_LATER r10d r11d r12d r13d eax ebx r8d r9d -0x2e6d17e7 12 13 5 10
	SHA256_LATER r9d r10d r11d r12d r13d eax ebx r8d -0x2966f9dc 13 14 6 11
	SHA256_LATER r8d r9d r10d r11d r12d r13d eax ebx -0x0bf1ca7b 14 15 7 12
	SHA256_LATER ebx r8d r9d r10d r11d r12d r13d eax 0x106aa070 15 0 8 13
	SHA256_LATER eax ebx r8d r9d r10d r11d r12d r13d 0x19a4c116 0 1 9 14
	SHA256_LATER r13d eax ebx r8d r9d r10d r11d r12d 0x1e376c08 1 2 10 15
	SHA256_LATER r12d r13d eax ebx r8d r9d r10d r11d 0x2748774c 2 3 11 0
	SHA256_LATER r11d r12d r13d eax ebx r8d r9d r10d 0x34b0bcb5 3 4 12 1
	SHA256_LATER r10d r11d r12d r13d eax ebx r8d r9d 0x391c0cb3 4 5 13 2
	SHA256_LATER r9d r10d r11d r12d r13d eax ebx r8d 0x4ed8aa4a 5 6 14 3
	SHA256_LATER r8d r9d r10d r11d r12d r13d eax ebx 0x5b9cca4f 6 7 15 4
	SHA256_LATER ebx r8d r9d r10d r11d r12d r13d eax 0x682e6ff3 7 8 0 5
	SHA256_LATER eax ebx r8d r9d r10d r11d r12d r13d 0x748f82ee 8 9 1 6
	SHA256_LATER r13d eax ebx r8d r9d r10d r11d r12d 0x78a5636f 9 10 2 7
	SHA256_LATER r12d r13d eax ebx r8d r9d r10d r11d -0x7b3787ec 10 11 3 8
	SHA256_LATER r11d r12d r13d eax ebx r8d r9d r10d -0x7338fdf8 11 12 4 9
	SHA256_LATER r10d r11d r12d r13d eax ebx r8d r9d -0x6f410006 12 13 5 10
	SHA256_LATER r9d r10d r11d r12d r13d eax ebx r8d -0x5baf9315 13 14 6 11
	SHA256_LATER r8d r9d r10d r11d r12d r13d eax ebx -0x41065c09 14 15 7 12
	SHA256_LATER ebx r8d r9d r10d r11d r12d r13d eax -0x398e870e 15 0 8 13
	add	[rdi], eax
	add	[rdi + 4], ebx
	add	[rdi + 8], r8d
	add	[rdi + 12], r9d
	add	[rdi + 16], r10d
	add	[rdi + 20], r11d
	add	[rdi + 24], r12d
	add	[rdi + 28], r13d
	add	rsi, 64
	dec	rcx
	jnz	1b
2:	ret

# Sets the eight words at rdi to the initial hash value. Clobbers rcx, rsi.
sha256_start:
	push	rdi
	lea	rsi, sha256_initial[rip]
	mov	ecx, 4
	rep movsq
	pop	rdi
	ret

# rdi: the hash value after whole blocks. rdx: how many bytes went in, a multiple of 64.
# Closes the message with its padding and length. Clobbers as sha256_blocks does.
sha256_finish:
	lea	rsi, sha256_padding[rip]
	shl	rdx, 3
	bswap	rdx
	mov	[rsi + 56], rdx
	mov	ecx, 1
	jmp	sha256_blocks

# rsi: two digests of eight words lie at rsi and rdi. ZF is set where they are the same. Clobbers rcx, rsi, rdi.
sha256_compare:
	mov	ecx, 8
	repe cmpsd
	ret

	.balign	8
sha256_padding:
	.byte	0x80
	.zero	63
sha256_initial:
	.long	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a
	.long	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
