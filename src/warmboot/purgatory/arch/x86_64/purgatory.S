# SPDX-License-Identifier: GPL-2.0-or-later
# The purgatory: what runs between the old kernel and the new one. It checks a digest over each piece of what was
# loaded, XXH64 or SHA-256; where all are right it enters the new kernel, in 64-bit mode or in 32-bit protected mode;
# where one is not it says so and stops. In the black box, where there is one, it marks how far it is.
#
# It is position independent, and must lie below 4 GiB if it is to leave 64-bit mode, or to change between 4-level and
# 5-level paging. The parameters at PARAMETERS and the table at its end are filled in by placement
# (purgatory/__init__.py holds the same layout); no digest covers the purgatory itself.

.intel_syntax noprefix
.code64

.set ENTRY_32BIT, 1			# flags
.set LEAVE_5_LEVEL, 2
.set CONSOLE_SERIAL, 4
.set CONSOLE_VGA, 8
.set RESET_VGA, 16
.set DIGEST_XXH64, 32			# else SHA-256
.set RESET_ON_FAULT, 64			# where it would stop
.set MARK_CMOS, 128
.set ENTER_5_LEVEL, 256			# where the processor can

.set CR0_CLEAR, 0xc			# TS, EM
.set CR0_CACHES_OFF, 0x60000000		# CD, NW: all that is read here would come from memory, and so for the kernel
.set CR0_PG, 0x80000000
.set CR4_MCE, 0x40
.set CR4_OSFXSR, 0x200
.set CR4_LA57, 0x1000
.set EFER, 0xc0000080
.set EFER_LME, 0x100
.set OTHER_CS, 0x08
.set BOOT_CS, 0x10
.set BOOT_DS, 0x18
.set CODE_32, 0x00cf9b000000ffff
.set CODE_64, 0x00af9b000000ffff
.set DATA, 0x00cf93000000ffff
.set ADDRESS, 0x000ffffffffff000
.set PRESENT_WRITABLE, 3
.set CPUID_FEATURES, 7
.set CPUID_ECX_LA57, 0x10000
.set REGION_DIGEST, 16
.set REGION_SIZE, 48
.set RESET_CONTROL, 0xcf9		# of Intel's chipsets and those like them
.set RESET_SYSTEM, 2
.set RESET_BITS, 6			# without the power cycle
.set KEYBOARD_COMMAND, 0x64
.set PULSE_RESET, 0xfe
.set STAGE_PURGATORY, 5
.set STAGE_CHECKING, 6
.set STAGE_CHECKED, 7
.set STAGE_ENTERING, 8
.set STAGES, 16

.macro MARK stage
	mov	eax, \stage
	call	mark
.endm

purgatory_start:
	jmp	begin
	.balign	16, 0

# PARAMETERS, at byte 16
region_count:	.quad	0		# 0: nothing is checked
flags:		.long	0
serial_port:	.long	0x3f8
serial_divisor:	.long	0		# of 115200 baud; 0 leaves the rate as it is
		.long	0
entry:		.quad	0		# physical address that is jumped to; with what follows, the stack of a 32-bit entry
stack_argument:	.quad	0
entry_rax:	.quad	0
entry_rbx:	.quad	0
entry_rsi:	.quad	0
entry_rdi:	.quad	0
jump_back_text:	.quad	0		# physical address: where the way back to the old kernel is told; 0: nowhere
backup_from:	.quad	0		# physical address, bytes, physical address: memory that the new kernel will use
backup_size:	.quad	0
backup_to:	.quad	0
blackbox:	.quad	0		# physical address of a page for marks, see blackbox.inc.S; 0: none
stamps:		.quad	0		# physical address of 16 quads for the time stamps of the stages; 0: none
# end of PARAMETERS

begin:
	cli
	cld
	mov	saved_rsp[rip], rsp
	lea	rsp, stack_top[rip]
	mov	rax, cr0
	test	eax, CR0_CACHES_OFF
	jz	1f
	and	eax, ~CR0_CACHES_OFF
	mov	cr0, rax
1:	mov	dword ptr serial_is_set_up[rip], 0
	mov	dword ptr vga_column[rip], 0
	call	open_box
	MARK	STAGE_PURGATORY
	test	dword ptr flags[rip], RESET_VGA
	jz	1f
	call	reset_vga
1:	cmp	qword ptr region_count[rip], 0
	je	1f
	MARK	STAGE_CHECKING
	call	check_regions
1:	MARK	STAGE_CHECKED
	mov	rcx, backup_size[rip]
	mov	rsi, backup_from[rip]
	mov	rdi, backup_to[rip]
	rep movsb
	cmp	qword ptr jump_back_text[rip], 0
	je	1f
	call	tell_way_back
1:	lea	rsi, text_entering[rip]
	call	put_text
	test	dword ptr flags[rip], ENTRY_32BIT
	jnz	1f
	call	choose_levels
1:	MARK	STAGE_ENTERING
	call	store_stamps
	test	dword ptr flags[rip], ENTRY_32BIT
	jnz	enter_32

# The 64-bit protocol: flat segments with these selectors, interrupts off.
enter_64:
	mov	rax, CODE_64
	call	load_segments
	mov	rsp, saved_rsp[rip]
	mov	rax, entry_rax[rip]
	mov	rbx, entry_rbx[rip]
	mov	rsi, entry_rsi[rip]
	mov	rdi, entry_rdi[rip]
	xor	ecx, ecx
	xor	edx, edx
	xor	ebp, ebp
	xor	r8d, r8d
	xor	r9d, r9d
	xor	r10d, r10d
	xor	r11d, r11d
	xor	r12d, r12d
	xor	r13d, r13d
	xor	r14d, r14d
	xor	r15d, r15d
	jmp	entry[rip]

# The 32-bit protocols: the same segments with 32-bit code, paging and long mode off, interrupts off. The stack is
# [return address 0] [stack_argument], as a function with one argument finds it.
enter_32:
	lidt	no_table[rip]			# whose entries are of 64-bit code, if any
	mov	rax, CODE_32
	call	load_segments
.code32
	mov	eax, cr0
	and	eax, ~CR0_PG
	mov	cr0, eax
	mov	ecx, EFER
	rdmsr
	and	eax, ~EFER_LME
	wrmsr
	mov	eax, cr4
	and	eax, CR4_MCE
	mov	cr4, eax
	mov	eax, [ebp + entry_rax - purgatory_start]
	mov	ebx, [ebp + entry_rbx - purgatory_start]
	mov	esi, [ebp + entry_rsi - purgatory_start]
	mov	edi, [ebp + entry_rdi - purgatory_start]
	xor	ecx, ecx
	xor	edx, edx
	lea	esp, [ebp + entry - purgatory_start]
	xor	ebp, ebp
	ret
.code64

# rax: the descriptor for BOOT_CS, which is loaded as the others are. rbp is the purgatory's start on return.
# Clobbers rax.
load_segments:
	mov	gdt_code[rip], rax
	lea	rbp, purgatory_start[rip]
	lea	rax, gdt[rip]
	mov	gdt_address[rip], rax
	lgdt	gdt_limit[rip]
	mov	eax, BOOT_DS
	mov	ds, eax
	mov	es, eax
	mov	ss, eax
	mov	fs, eax
	mov	gs, eax
	pop	rax
	push	BOOT_CS
	push	rax
	retfq

# 4 or 5 levels of page tables, as the flags say; neither flag: as it is. Clobbers everything but rsp.
choose_levels:
	mov	rax, cr4
	test	eax, CR4_LA57
	jz	1f
	test	dword ptr flags[rip], LEAVE_5_LEVEL
	jnz	leave_5_level
	ret
1:	test	dword ptr flags[rip], ENTER_5_LEVEL
	jz	1f
	xor	eax, eax
	cpuid
	cmp	eax, CPUID_FEATURES
	jb	1f
	mov	eax, CPUID_FEATURES
	xor	ecx, ecx
	cpuid
	test	ecx, CPUID_ECX_LA57
	jnz	enter_5_level
1:	ret

# The top table of 4 levels becomes what the first entry of a new one says. Clobbers rax, rbx, rcx, rbp, rdx, rdi.
enter_5_level:
	lea	rdi, top_table[rip]
	mov	ebx, edi
	mov	ecx, 4096 / 8
	xor	eax, eax
	rep stosq
	mov	rax, ADDRESS
	mov	rdx, cr3
	and	rax, rdx
	or	rax, PRESENT_WRITABLE
	mov	top_table[rip], rax
	jmp	other_levels

# The first entry of the top table is the top table of 4 levels; it may lie where 32-bit code cannot name it, hence
# the copy. Clobbers rax, rbx, rcx, rbp, rsi, rdi.
leave_5_level:
	mov	rbx, ADDRESS
	mov	rsi, cr3
	and	rsi, rbx
	mov	rsi, [rsi]
	and	rsi, rbx
	lea	rdi, top_table[rip]
	mov	ebx, edi
	mov	ecx, 4096 / 8
	rep movsq

# Only with paging off can the number of levels be changed, so by 32-bit code. ebx: the top table. Clobbers rax, rbp.
other_levels:
	mov	rax, CODE_64
	call	load_segments
	push	OTHER_CS
	lea	rax, 1f[rip]
	push	rax
	retfq
.code32
1:	mov	eax, cr0
	and	eax, ~CR0_PG
	mov	cr0, eax
	mov	eax, cr4
	xor	eax, CR4_LA57
	mov	cr4, eax
	mov	cr3, ebx
	mov	eax, cr0
	or	eax, CR0_PG
	mov	cr0, eax
	push	BOOT_CS
	lea	eax, [ebp + 1f - purgatory_start]
	push	eax
	retf
.code64
1:	ret

# Returns where every region is as it should be. Clobbers everything but rsp.
check_regions:
	mov	rax, cr0
	mov	saved_cr0[rip], rax
	and	eax, ~CR0_CLEAR
	mov	cr0, rax
	mov	rax, cr4
	mov	saved_cr4[rip], rax
	or	eax, CR4_OSFXSR
	mov	cr4, rax
	lea	rsi, text_checking[rip]
	call	put_text
	mov	rax, region_count[rip]
	mov	regions_left[rip], rax
	lea	rbp, regions[rip]
1:	call	mark_piece
	lea	rdi, digest_actual[rip]
	call	sha256_start
	mov	rsi, [rbp]
	mov	rcx, [rbp + 8]
	shr	rcx, 6
	test	dword ptr flags[rip], DIGEST_XXH64
	jz	2f
	call	xxh64_blocks
	mov	digest_actual[rip], rax
	cmp	rax, [rbp + REGION_DIGEST]
	jmp	3f
2:	call	sha256_blocks
	mov	rdx, [rbp + 8]
	call	sha256_finish
	lea	rsi, digest_actual[rip]
	lea	rdi, [rbp + REGION_DIGEST]
	call	sha256_compare
3:	jne	digest_differs
	add	rbp, REGION_SIZE
	dec	qword ptr regions_left[rip]
	jnz	1b
	call	mark_all_pieces
	mov	rax, saved_cr4[rip]
	mov	cr4, rax
	mov	rax, saved_cr0[rip]
	mov	cr0, rax
	ret

# rbp: the region. This is told on the serial port, asked for or not.
digest_differs:
	call	mark_difference
	or	dword ptr flags[rip], CONSOLE_SERIAL
	lea	rsi, text_differs[rip]
	call	put_text
	mov	rax, [rbp]
	mov	ecx, 16
	call	put_hex
	mov	al, '-'
	call	put_char
	mov	rax, [rbp]
	add	rax, [rbp + 8]
	mov	ecx, 16
	call	put_hex
	lea	rsi, text_should_be[rip]
	add	rbp, REGION_DIGEST
	call	put_digest
	lea	rsi, text_but_is[rip]
	lea	rbp, digest_actual[rip]
	call	put_digest
	call	put_end
	jmp	stop

# rsi: what it is, in words. rbp: a digest, of 64 bits or of eight words.
put_digest:
	push	rsi
	lea	rsi, text_xxh64[rip]
	test	dword ptr flags[rip], DIGEST_XXH64
	jnz	1f
	lea	rsi, text_sha256[rip]
1:	call	put_text
	pop	rsi
	call	put_text
	mov	rax, [rbp]
	mov	ecx, 16
	test	dword ptr flags[rip], DIGEST_XXH64
	jnz	put_hex
	mov	r9d, 8
1:	mov	eax, [rbp]
	mov	ecx, 8
	call	put_hex
	add	rbp, 4
	dec	r9d
	jnz	1b
	ret

# Appends to the command line the address to which the new kernel may return, which the old one has pushed.
tell_way_back:
	mov	rdi, jump_back_text[rip]
	lea	rsi, text_way_back[rip]
	mov	ecx, text_way_back_end - text_way_back
	rep movsb
	mov	rax, saved_rsp[rip]
	mov	rdx, [rax]
	mov	ecx, 16
1:	rol	rdx, 4
	mov	eax, edx
	and	eax, 15
	cmp	al, 10
	jb	2f
	add	al, 'a' - '0' - 10
2:	add	al, '0'
	stosb
	dec	ecx
	jnz	1b
	mov	byte ptr [rdi], 0
	ret

text_checking:	.asciz	"\r\nwarmboot: checking what was loaded\r\n"
text_entering:	.asciz	"warmboot: entering the new kernel\r\n"
text_differs:	.asciz	"\r\nwarmboot purgatory: the loaded image is damaged at "
text_xxh64:	.asciz	"\r\n  XXH64"
text_sha256:	.asciz	"\r\n  SHA-256"
text_should_be:	.asciz	" should be "
text_but_is:	.asciz	" is        "
text_stopped:	.asciz	"\r\n  stopped before the new kernel; reset the machine\r\n"
text_way_back:	.ascii	" kexec_jump_back_entry=0x"
text_way_back_end:

.include "console.inc.S"
.include "exceptions.inc.S"
.include "cmos.inc.S"
.include "blackbox.inc.S"
.include "faults.inc.S"
.include "vga.inc.S"
.include "sha256.inc.S"
.include "xxh64.inc.S"

# What is written lies in pages of its own: an emulator translates code anew when something beside it is written.
	.balign	4096
top_table:	.zero	4096
gdt:		.quad	0, CODE_32
gdt_code:	.quad	0, DATA
gdt_limit:	.word	4 * 8 - 1
gdt_address:	.quad	0
	.balign	8
digest_actual:	.zero	32
stage_stamps:	.zero	8 * STAGES
idt:		.zero	16 * VECTORS
idt_limit:	.word	16 * VECTORS - 1
idt_address:	.quad	0
in_exception:	.byte	0
	.balign	4
stage_now:	.long	0
cmos_marks:	.quad	0
regions_left:	.quad	0
saved_rsp:	.quad	0
saved_cr0:	.quad	0
saved_cr4:	.quad	0
serial_is_set_up: .long	0
vga_column:	.long	0
	.zero	1024
stack_top:

	.balign	16
regions:				# for each: physical address, bytes (a multiple of 64), digest: a quad, or SHA-256 as eight words;
					# behind them the template of the black box
