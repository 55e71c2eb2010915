# SPDX-License-Identifier: GPL-2.0-or-later
# The marks of the black box (record.py of the room describes the page), and the time stamps of the stages. 64-bit code.
# Needs `blackbox` and `stamps`, physical addresses or 0; `region_count`, `regions` and behind them the template; and in
# memory that may be written `stage_stamps`, 16 quads; and exceptions.inc.S.

.set BOX_LOAD_ID, 0x10
.set BOX_PIECES, 0x488
.set BOX_PIECES_IN_ALL, 0x48c
.set BOX_PIECE, 0x490
.set BOX_WANTED, 0x4a0
.set BOX_FOUND, 0x4c0
.set BOX_DIGEST_KIND, 0x4e0
.set BOX_DIFFERS, 0x4e4
.set BOX_WITNESS, 0x800
.set KIND_XXH64, 1
.set KIND_SHA256, 2
.set UART_LSR_EMPTY, 0x60		# transmitter and its holding register
.set INTERRUPT_ENABLE, 1
.set UART_IER_ALL, 0x0f			# which the new kernel's early console clears

# Have the template in the page, and exceptions told. Marks stay if they are of the same load: somebody wrote them on
# the way here.
# Clobbers rax, rcx, rdx, rbp, rsi, rdi.
open_box:
	lea	rdi, stage_stamps[rip]
	xor	eax, eax
	mov	ecx, STAGES
	rep stosq
	cmp	qword ptr blackbox[rip], 0
	je	3f
	mov	rax, CODE_64
	call	load_segments
	call	load_idt
	mov	rdx, blackbox[rip]
probe_box:
	mov	rax, [rdx]
	imul	rsi, region_count[rip], REGION_SIZE
	lea	rax, regions[rip]
	add	rsi, rax
	lea	rdi, [rdx + BOX_PIECES]
	mov	rax, [rsi + BOX_LOAD_ID]
	cmp	rax, [rdx + BOX_LOAD_ID]
	jne	1f
	mov	rax, [rsi + BOX_LOAD_ID + 8]
	cmp	rax, [rdx + BOX_LOAD_ID + 8]
	je	2f
1:	lea	rdi, [rdx + BOX_STAGE]
2:	lea	rcx, [rdx + BOX_SIZE]
	sub	rcx, rdi
	shr	rcx, 3
	xor	eax, eax
	rep stosq
	mov	rdi, rdx
	mov	ecx, BOX_STAGE / 8
	rep movsq
	mov	byte ptr [rdx + BOX_WITNESS + LINE_STATUS], UART_LSR_EMPTY
	mov	byte ptr [rdx + BOX_WITNESS + INTERRUPT_ENABLE], UART_IER_ALL
	mov	eax, region_count[rip]
	mov	[rdx + BOX_PIECES_IN_ALL], eax
3:	ret
no_box:						# the page tables do not have the page: the boot goes on without it
	mov	qword ptr blackbox[rip], 0
	ret

# eax: the stage that begins. Clobbers rax, rcx, rdx.
mark:
	mov	rcx, blackbox[rip]
	or	rcx, stamps[rip]
	jz	1f
	mov	ecx, eax
	rdtsc
	shl	rdx, 32
	or	rax, rdx
	lea	rdx, stage_stamps[rip]
	mov	[rdx + rcx * 8], rax
	mov	rdx, blackbox[rip]
	test	rdx, rdx
	jz	1f
	mov	[rdx + rcx * 8 + BOX_TSC], rax
	mov	stage_now[rip], ecx
	mov	eax, ecx
	call	put_stage
	call	flush_box
	jmp	put_cmos
1:	ret

# rbp: the region that is checked next, of which regions_left tells the number. Clobbers rax, rdx.
mark_piece:
	mov	rdx, blackbox[rip]
	test	rdx, rdx
	jz	1f
	mov	rax, [rbp]
	mov	[rdx + BOX_PIECE], rax
	mov	rax, [rbp + 8]
	mov	[rdx + BOX_PIECE + 8], rax
	mov	eax, region_count[rip]
	sub	eax, regions_left[rip]
	mov	[rdx + BOX_PIECES], eax
	clflush	[rdx + BOX_PIECES]
1:	ret

# Clobbers rax, rdx.
mark_all_pieces:
	mov	rdx, blackbox[rip]
	test	rdx, rdx
	jz	1f
	mov	eax, region_count[rip]
	mov	[rdx + BOX_PIECES], eax
1:	ret

# rbp: the region that differs; digest_actual has what it is. Clobbers rax, rcx, rdx, rsi, rdi.
mark_difference:
	mov	rdx, blackbox[rip]
	test	rdx, rdx
	jz	2f
	mov	eax, KIND_XXH64
	mov	ecx, 8
	test	dword ptr flags[rip], DIGEST_XXH64
	jnz	1f
	mov	eax, KIND_SHA256
	mov	ecx, 32
1:	mov	[rdx + BOX_DIGEST_KIND], eax
	mov	dword ptr [rdx + BOX_DIFFERS], 1
	mov	eax, ecx
	lea	rsi, [rbp + REGION_DIGEST]
	lea	rdi, [rdx + BOX_WANTED]
	rep movsb
	mov	ecx, eax
	lea	rsi, digest_actual[rip]
	lea	rdi, [rdx + BOX_FOUND]
	rep movsb
	mov	eax, [rdx + BOX_PIECES]
	inc	eax
	mov	cmos_marks[rip + CMOS_PIECE], ax
	call	flush_box
	jmp	put_cmos
2:	ret

# What was stamped goes where the new kernel finds it; the page knows of stages before this code. Clobbers rcx, rsi, rdi.
store_stamps:
	mov	rdi, stamps[rip]
	test	rdi, rdi
	jz	2f
	lea	rsi, stage_stamps[rip]
	mov	rcx, blackbox[rip]
	test	rcx, rcx
	jz	1f
	lea	rsi, [rcx + BOX_TSC]
1:	mov	ecx, STAGES
	rep movsq
2:	ret
