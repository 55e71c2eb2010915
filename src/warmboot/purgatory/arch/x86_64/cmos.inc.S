# SPDX-License-Identifier: GPL-2.0-or-later
# The marks again in eight bytes of the CMOS memory, which a power cycle does not clear either; cmos.py of the room has
# their layout. 64-bit code. Needs in memory that may be written `cmos_marks`, 8 bytes.

.set CMOS_INDEX, 0x70			# I/O ports
.set CMOS_DATA, 0x71
.set CMOS_MARKS, 0x70			# the first of the bytes
.set CMOS_MAGIC, 0xb5
.set CMOS_STAGE, 1			# offsets in them
.set CMOS_PIECE, 2
.set CMOS_VECTOR, 4
.set CMOS_LOAD_ID, 5
.set CMOS_CHECKSUM, 7

# Write them as they are now. Some microseconds for each byte: this is for stages, not for pieces.
# Clobbers rax, rcx, rdx.
put_cmos:
	test	dword ptr flags[rip], MARK_CMOS
	jz	2f
	push	rsi
	mov	rdx, blackbox[rip]
	mov	ax, [rdx + BOX_LOAD_ID]
	lea	rsi, cmos_marks[rip]
	mov	byte ptr [rsi], CMOS_MAGIC
	mov	[rsi + CMOS_LOAD_ID], ax
	mov	eax, stage_now[rip]
	mov	[rsi + CMOS_STAGE], al
	xor	ecx, ecx
	xor	edx, edx
1:	mov	al, cl
	add	al, CMOS_MARKS
	out	CMOS_INDEX, al
	mov	al, [rsi + rcx]
	cmp	ecx, CMOS_CHECKSUM
	cmove	eax, edx
	out	CMOS_DATA, al
	sub	dl, al				# all eight add up to 0
	inc	ecx
	cmp	ecx, 8
	jb	1b
	pop	rsi
2:	ret
