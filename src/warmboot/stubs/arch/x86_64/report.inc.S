# SPDX-License-Identifier: GPL-2.0-or-later
# What our payloads report over the serial port: registers as they were found, and the SHA-256 of memory. 64-bit code.
# Needs serial.inc.S and sha256.inc.S, a text `text_range` that comes before each range, and `digest`, 32 bytes that may
# be written.

# Stores the sixteen general registers from \where on. Changes nothing else, not even a flag.
.macro SAVE_GENERAL where
.set saved_at, 0
.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15
	mov	\where[rip + saved_at], \register
.set saved_at, saved_at + 8
.endr
.endm

# rbx: names, one text after the other. rbp: the values, 64 bits each. r12d: how many.
# Clobbers rax, rcx, rsi, r8; rbx, rbp and r12 move behind the last.
put_registers:
	mov	rsi, rbx
	call	put_text
	mov	rbx, rsi
	mov	rax, [rbp]
	mov	ecx, 16
	call	put_hex
	add	rbp, 8
	dec	r12d
	jnz	put_registers
	ret

# rax: an address. rdx: bytes from there on. Clobbers rax, rcx, rsi, r8.
put_range:
	push	rax
	lea	rsi, text_range[rip]
	call	put_text
	pop	rax
put_bounds:				# the same without the text
	push	rax
	mov	ecx, 16
	call	put_hex
	mov	al, '-'
	call	put_char
	pop	rax
	add	rax, rdx
	mov	ecx, 16
	jmp	put_hex

# rbp: a physical address, and behind it bytes, a multiple of 64: the range and its digest.
# Clobbers every general register but rbp and rsp, and xmm0 to xmm15.
put_range_digest:
	mov	rax, [rbp]
	mov	rdx, [rbp + 8]
	call	put_range
	mov	al, ' '
	call	put_char
	lea	rdi, digest[rip]
	call	sha256_start
	mov	rsi, [rbp]
	mov	rcx, [rbp + 8]
	shr	rcx, 6
	call	sha256_blocks
	lea	rdi, digest[rip]
	mov	rdx, [rbp + 8]
	call	sha256_finish
	lea	rbx, digest[rip]
	mov	r12d, 8
1:	mov	eax, [rbx]
	mov	ecx, 8
	call	put_hex
	add	rbx, 4
	dec	r12d
	jnz	1b
	ret
