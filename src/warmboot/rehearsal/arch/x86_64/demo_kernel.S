# SPDX-License-Identifier: GPL-2.0-or-later
# The demo kernel: a bzImage of our own that fits in a few pages. Entered by the 64-bit boot protocol, it prints
# over the serial port the registers that it found, the memory map that it was given, and the SHA-256 of every
# destination range, then halts.
#
# File layout: two sectors of setup (header only, there is no real-mode code), then the protected-mode part,
# whose 64-bit entry is at byte 0x200. TABLE, at byte 0x210 of that part, is filled in by whoever loads it.

.intel_syntax noprefix
.code64

.set SETUP_SIZE, 0x400
.set REGIONS, 16
.set INIT_SIZE, 0x8000
.set CR4_OSFXSR, 0x200
.set E820_ENTRIES, 0x1e8
.set E820_TABLE, 0x2d0
.set E820_ENTRY_SIZE, 20

# The setup header, at the offsets of Documentation/arch/x86/boot.rst.
start_of_file:
	.org	0x1f1
	.byte	1			# setup_sects
	.word	0			# root_flags
	.long	(end_of_file - protected_mode + 15) / 16	# syssize
	.word	0, 0, 0			# ram_size, vid_mode, root_dev
	.word	0xaa55			# boot_flag
	.byte	0xeb, 0x66		# jump, whose distance gives the header's end
	.ascii	"HdrS"
	.word	0x020f			# version
	.long	0			# realmode_swtch
	.word	0			# start_sys_seg
	.word	version_text - 0x200	# kernel_version
	.byte	0			# type_of_loader
	.byte	1			# loadflags: LOADED_HIGH
	.word	0			# setup_move_size
	.long	0x100000		# code32_start
	.long	0, 0, 0			# ramdisk_image, ramdisk_size, bootsect_kludge
	.word	0			# heap_end_ptr
	.byte	0, 0			# ext_loader_ver, ext_loader_type
	.long	0			# cmd_line_ptr
	.long	0x7fffffff		# initrd_addr_max
	.long	0x200000		# kernel_alignment
	.byte	1			# relocatable_kernel
	.byte	12			# min_alignment
	.word	3			# xloadflags: KERNEL_64, CAN_BE_LOADED_ABOVE_4G
	.long	2047			# cmdline_size
	.long	0			# hardware_subarch
	.quad	0			# hardware_subarch_data
	.long	0, 0			# payload_offset, payload_length
	.quad	0			# setup_data
	.quad	0x1000000		# pref_address
	.long	INIT_SIZE		# init_size
	.long	0			# handover_offset
	.long	0			# kernel_info_offset
version_text:
	.asciz	"0.1.0-warmboot-demo (a tiny kernel that reports what it finds)"
	.org	SETUP_SIZE

protected_mode:
	.org	SETUP_SIZE + 0x200
entry_64:
	jmp	begin
	.org	SETUP_SIZE + 0x210

# TABLE
region_count:	.quad	0
regions:	.zero	16 * REGIONS	# physical address, bytes (a multiple of 64)
# end of TABLE

.include "serial.inc.S"
.include "sha256.inc.S"
.include "report.inc.S"

begin:
	SAVE_GENERAL registers
	lea	rax, entry_64[rip]
	mov	registers[rip + 128], rax
	mov	rax, cr0
	mov	registers[rip + 136], rax
	mov	rax, cr3
	mov	registers[rip + 144], rax
	mov	rax, cr4
	mov	registers[rip + 152], rax
	or	eax, CR4_OSFXSR
	mov	cr4, rax
	lea	rsp, stack_top[rip]

	lea	rsi, text_hello[rip]
	call	put_text
	lea	rbx, register_names[rip]
	lea	rbp, registers[rip]
	mov	r12d, 20
	call	put_registers

	lea	rsi, text_memory[rip]
	call	put_text
	mov	rbx, registers[rip + 32]
	movzx	r12d, byte ptr [rbx + E820_ENTRIES]
	add	rbx, E820_TABLE
2:	test	r12d, r12d
	jz	3f
	mov	rax, [rbx]
	mov	rdx, [rbx + 8]
	call	put_range
	lea	rsi, text_type[rip]
	call	put_text
	mov	eax, [rbx + 16]
	mov	ecx, 1
	call	put_hex
	add	rbx, E820_ENTRY_SIZE
	dec	r12d
	jmp	2b

3:	lea	rsi, text_digests[rip]
	call	put_text
	lea	rbp, regions[rip]
	mov	rax, region_count[rip]		# counted down outside the table, which has a digest itself
	mov	remaining[rip], rax
4:	cmp	qword ptr remaining[rip], 0
	je	6f
	call	put_range_digest
	add	rbp, 16
	dec	qword ptr remaining[rip]
	jmp	4b

6:	lea	rsi, text_halt[rip]
	call	put_text
	cli
halted:	hlt
	jmp	halted

text_hello:	.asciz	"demo kernel: entered\n registers"
text_memory:	.asciz	"\n memory map"
text_digests:	.asciz	"\n SHA-256 of every destination"
text_range:	.asciz	"\n  "
text_type:	.asciz	" type "
text_halt:	.asciz	"\ndemo kernel: halted\n"
register_names:
.irp name, "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "cr0", "cr3", "cr4"
	.asciz	"\n  \name "
.endr

	.balign	64			# digests are over whole blocks: what is written below must not lie in one
end_of_file:
# What follows is in init_size, behind the file: memory that the kernel may use, from the next page on.
.set registers, protected_mode + (end_of_file - protected_mode + 4095) / 4096 * 4096
.set digest, registers + 8 * 20
.set remaining, digest + 32
.set stack_top, protected_mode + INIT_SIZE
