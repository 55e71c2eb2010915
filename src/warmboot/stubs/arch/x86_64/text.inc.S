# SPDX-License-Identifier: GPL-2.0-or-later
# Text, by way of a put_char that clobbers nothing: 64-bit code.

# rsi: a text that ends with a zero byte. Clobbers rax, rsi.
put_text:
	lodsb
	test	al, al
	jz	1f
	call	put_char
	jmp	put_text
1:	ret

# rax: a number, shown as ecx hexadecimal digits. Clobbers rax, rcx, r8.
put_hex:
	mov	r8, rax
	shl	ecx, 2
1:	sub	ecx, 4
	mov	rax, r8
	shr	rax, cl
	and	eax, 15
	cmp	al, 10
	jb	2f
	add	al, 'a' - '0' - 10
2:	add	al, '0'
	call	put_char
	test	ecx, ecx
	jnz	1b
	ret
