# SPDX-License-Identifier: GPL-2.0-or-later
# XXH64 with seed 0 (the xxHash specification, 0.2.0) over whole 64-byte blocks, 64-bit code.
#
# It reads at the speed of memory: two multiplications for eight bytes, in four lanes that do not wait for each other.
#
# The code is there twice: with rorx for processors that have BMI2, and with shifts for those that lack it. Under
# emulation a rol that follows any instruction that sets flags costs as much as ten others.

.set XXH64_CPUID_7_EBX_BMI2, 8
.set XXH64_PRIME_1, 0x9e3779b185ebca87
.set XXH64_PRIME_2, 0xc2b2ae3d27d4eb4f
.set XXH64_PRIME_3, 0x165667b19e3779f9
.set XXH64_PRIME_4, 0x85ebca77c2b2ae63
.set XXH64_PRIME_5, 0x27d4eb2f165667c5

# lane = (lane + input * PRIME_2) rotated left by 31, * PRIME_1. r12 and r13 are PRIME_1 and PRIME_2; input is clobbered.
.macro XXH64_ROUND bmi2 lane input
	imul	\input, r13
	add	\lane, \input
.if \bmi2
	rorx	\lane, \lane, 64 - 31
.else
	mov	\input, \lane
	shl	\lane, 31
	shr	\input, 64 - 31
	or	\lane, \input
.endif
	imul	\lane, r12
.endm

# rax += lane rotated left. Clobbers rdx.
.macro XXH64_MERGE lane count
	mov	rdx, \lane
	rol	rdx, \count
	add	rax, rdx
.endm

# hash = hash xor itself shifted right, * factor. Clobbers rdx.
.macro XXH64_MIX hash shift factor
	mov	rdx, \hash
	shr	rdx, \shift
	xor	\hash, rdx
	imul	\hash, \factor
.endm

# rsi: the blocks; it moves behind them. rcx: how many blocks; none is allowed. rax is the hash on return.
# Clobbers rbx, rcx, rdx, rdi and r8 to r15.
xxh64_blocks:
	mov	rdi, rcx
	mov	r12, XXH64_PRIME_1
	mov	r13, XXH64_PRIME_2
	mov	rax, XXH64_PRIME_5
	test	rcx, rcx
	jz	2f
	lea	r8, [r12 + r13]			# the four lanes
	mov	r9, r13
	xor	r10d, r10d
	mov	r11, r10
	sub	r11, r12
	call	xxh64_lanes
	mov	rax, r8
	rol	rax, 1
	XXH64_MERGE r9 7
	XXH64_MERGE r10 12
	XXH64_MERGE r11 18
	mov	r14, XXH64_PRIME_4
.irp lane, r8, r9, r10, r11
	xor	edx, edx
	XXH64_ROUND 0 rdx \lane
	xor	rax, rdx
	imul	rax, r12
	add	rax, r14
.endr
2:	shl	rdi, 6
	add	rax, rdi
	mov	r14, XXH64_PRIME_3
	XXH64_MIX rax 33 r13
	XXH64_MIX rax 29 r14
	mov	rdx, rax
	shr	rdx, 32
	xor	rax, rdx
	ret

# The lanes r8 to r11 over the blocks at rsi, as many as rdi says, at least one. Clobbers as xxh64_blocks does, but rdi.
xxh64_lanes:
	xor	eax, eax
	cpuid
	cmp	eax, 7
	jb	xxh64_lanes_plain
	mov	eax, 7
	xor	ecx, ecx
	cpuid
	bt	ebx, XXH64_CPUID_7_EBX_BMI2
	jnc	xxh64_lanes_plain
.irp bmi2, 1, 0
.if \bmi2
xxh64_lanes_bmi2:
.else
xxh64_lanes_plain:
.endif
	mov	rcx, rdi
1:
.irp stripe, 0, 32
	mov	rax, [rsi + \stripe]
	mov	rdx, [rsi + \stripe + 8]
	mov	r14, [rsi + \stripe + 16]
	mov	r15, [rsi + \stripe + 24]
	XXH64_ROUND \bmi2 r8 rax
	XXH64_ROUND \bmi2 r9 rdx
	XXH64_ROUND \bmi2 r10 r14
	XXH64_ROUND \bmi2 r11 r15
.endr
	add	rsi, 64
	dec	rcx
	jnz	1b
	ret
.endr
