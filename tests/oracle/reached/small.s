	.file	"small.c"
	.text
.Ltext0:
	.cfi_sections	.debug_frame
	.file 0 "/source" "small.c"
	.section	.text.unlikely,"ax",@progbits
.LCOLDB0:
	.text
.LHOTB0:
	.p2align 4
	.section	.text.unlikely
.Ltext_cold0:
	.text
	.globl	counted
	.type	counted, @function
counted:
.LFB1:
	.file 1 "small.c"
	.loc 1 11 1
	.cfi_startproc
	.loc 1 12 2
	.loc 1 12 5 is_stmt 0
	cmpl	$7, %edi
	je	.L7
	.loc 1 20 2 is_stmt 1
	.loc 1 20 5 is_stmt 0
	testl	%edi, %edi
	js	.L5
	.loc 1 22 2 is_stmt 1
.LBB4:
.LBB5:
	.loc 1 5 2
	.loc 1 5 5 is_stmt 0
	cmpl	$100, %edi
	jg	.L8
	.loc 1 7 2 is_stmt 1
	.loc 1 7 16 is_stmt 0
	leal	(%rdi,%rdi), %eax
.LBE5:
.LBE4:
	.loc 1 23 1
	ret
	.p2align 4,,10
	.p2align 3
.L8:
.LBB8:
.LBB6:
	.loc 1 6 3 is_stmt 1
	.loc 1 6 10 is_stmt 0
	jmp	told
	.p2align 4,,10
	.p2align 3
.L7:
.LBE6:
.LBE8:
	.loc 1 13 3 is_stmt 1
#APP
# 13 "small.c" 1
	1: ud2
.pushsection __bug_table,"a"
2: .long 1b - 2b, 0
.word 0, 1
.popsection
# 0 "" 2
	.loc 1 18 3
	.loc 1 18 9 is_stmt 0
#NO_APP
	movl	$0, (%rsi)
	.loc 1 20 2 is_stmt 1
	.loc 1 22 2
.LBB9:
.LBB7:
	.loc 1 5 2
	.loc 1 7 2
	.loc 1 7 16 is_stmt 0
	leal	(%rdi,%rdi), %eax
.LBE7:
.LBE9:
	.loc 1 23 1
	ret
	.cfi_endproc
	.section	.text.unlikely
	.cfi_startproc
	.type	counted.cold, @function
counted.cold:
.LFSB1:
.L5:
	.loc 1 21 3 is_stmt 1
	ud2
	.cfi_endproc
.LFE1:
	.text
	.size	counted, .-counted
	.section	.text.unlikely
	.size	counted.cold, .-counted.cold
.LCOLDE0:
	.text
.LHOTE0:
.Letext0:
	.section	.text.unlikely
.Letext_cold0:
	.section	.debug_info,"",@progbits
.Ldebug_info0:
	.long	0xad
	.value	0x5
	.byte	0x1
	.byte	0x8
	.long	.Ldebug_abbrev0
	.uleb128 0x2
	.long	.LASF4
	.byte	0x1d
	.long	.LASF0
	.long	.LASF1
	.long	.LLRL2
	.quad	0
	.long	.Ldebug_line0
	.uleb128 0x3
	.long	.LASF5
	.byte	0x1
	.byte	0x1
	.byte	0xc
	.long	0x40
	.long	0x40
	.uleb128 0x4
	.long	0x40
	.byte	0
	.uleb128 0x5
	.byte	0x4
	.byte	0x5
	.string	"int"
	.uleb128 0x6
	.long	.LASF6
	.byte	0x1
	.byte	0xa
	.byte	0x5
	.long	0x40
	.long	.LLRL0
	.uleb128 0x1
	.byte	0x9c
	.long	0x90
	.uleb128 0x1
	.long	.LASF2
	.byte	0x11
	.long	0x40
	.uleb128 0x1
	.byte	0x55
	.uleb128 0x1
	.long	.LASF3
	.byte	0x1e
	.long	0x90
	.uleb128 0x1
	.byte	0x54
	.uleb128 0x7
	.long	0x96
	.quad	.LBB4
	.long	.LLRL1
	.byte	0x1
	.byte	0x16
	.byte	0x9
	.uleb128 0x8
	.long	0xa3
	.byte	0
	.byte	0
	.uleb128 0x9
	.byte	0x8
	.long	0x40
	.uleb128 0xa
	.long	.LASF7
	.byte	0x1
	.byte	0x3
	.byte	0x13
	.long	0x40
	.byte	0x3
	.uleb128 0xb
	.long	.LASF2
	.byte	0x1
	.byte	0x3
	.byte	0x1d
	.long	0x40
	.byte	0
	.byte	0
	.section	.debug_abbrev,"",@progbits
.Ldebug_abbrev0:
	.uleb128 0x1
	.uleb128 0x5
	.byte	0
	.uleb128 0x3
	.uleb128 0xe
	.uleb128 0x3a
	.uleb128 0x21
	.sleb128 1
	.uleb128 0x3b
	.uleb128 0x21
	.sleb128 10
	.uleb128 0x39
	.uleb128 0xb
	.uleb128 0x49
	.uleb128 0x13
	.uleb128 0x2
	.uleb128 0x18
	.byte	0
	.byte	0
	.uleb128 0x2
	.uleb128 0x11
	.byte	0x1
	.uleb128 0x25
	.uleb128 0xe
	.uleb128 0x13
	.uleb128 0xb
	.uleb128 0x3
	.uleb128 0x1f
	.uleb128 0x1b
	.uleb128 0x1f
	.uleb128 0x55
	.uleb128 0x17
	.uleb128 0x11
	.uleb128 0x1
	.uleb128 0x10
	.uleb128 0x17
	.byte	0
	.byte	0
	.uleb128 0x3
	.uleb128 0x2e
	.byte	0x1
	.uleb128 0x3f
	.uleb128 0x19
	.uleb128 0x3
	.uleb128 0xe
	.uleb128 0x3a
	.uleb128 0xb
	.uleb128 0x3b
	.uleb128 0xb
	.uleb128 0x39
	.uleb128 0xb
	.uleb128 0x27
	.uleb128 0x19
	.uleb128 0x49
	.uleb128 0x13
	.uleb128 0x3c
	.uleb128 0x19
	.uleb128 0x1
	.uleb128 0x13
	.byte	0
	.byte	0
	.uleb128 0x4
	.uleb128 0x5
	.byte	0
	.uleb128 0x49
	.uleb128 0x13
	.byte	0
	.byte	0
	.uleb128 0x5
	.uleb128 0x24
	.byte	0
	.uleb128 0xb
	.uleb128 0xb
	.uleb128 0x3e
	.uleb128 0xb
	.uleb128 0x3
	.uleb128 0x8
	.byte	0
	.byte	0
	.uleb128 0x6
	.uleb128 0x2e
	.byte	0x1
	.uleb128 0x3f
	.uleb128 0x19
	.uleb128 0x3
	.uleb128 0xe
	.uleb128 0x3a
	.uleb128 0xb
	.uleb128 0x3b
	.uleb128 0xb
	.uleb128 0x39
	.uleb128 0xb
	.uleb128 0x27
	.uleb128 0x19
	.uleb128 0x49
	.uleb128 0x13
	.uleb128 0x55
	.uleb128 0x17
	.uleb128 0x40
	.uleb128 0x18
	.uleb128 0x1
	.uleb128 0x13
	.byte	0
	.byte	0
	.uleb128 0x7
	.uleb128 0x1d
	.byte	0x1
	.uleb128 0x31
	.uleb128 0x13
	.uleb128 0x52
	.uleb128 0x1
	.uleb128 0x55
	.uleb128 0x17
	.uleb128 0x58
	.uleb128 0xb
	.uleb128 0x59
	.uleb128 0xb
	.uleb128 0x57
	.uleb128 0xb
	.byte	0
	.byte	0
	.uleb128 0x8
	.uleb128 0x5
	.byte	0
	.uleb128 0x31
	.uleb128 0x13
	.byte	0
	.byte	0
	.uleb128 0x9
	.uleb128 0xf
	.byte	0
	.uleb128 0xb
	.uleb128 0xb
	.uleb128 0x49
	.uleb128 0x13
	.byte	0
	.byte	0
	.uleb128 0xa
	.uleb128 0x2e
	.byte	0x1
	.uleb128 0x3
	.uleb128 0xe
	.uleb128 0x3a
	.uleb128 0xb
	.uleb128 0x3b
	.uleb128 0xb
	.uleb128 0x39
	.uleb128 0xb
	.uleb128 0x27
	.uleb128 0x19
	.uleb128 0x49
	.uleb128 0x13
	.uleb128 0x20
	.uleb128 0xb
	.byte	0
	.byte	0
	.uleb128 0xb
	.uleb128 0x5
	.byte	0
	.uleb128 0x3
	.uleb128 0xe
	.uleb128 0x3a
	.uleb128 0xb
	.uleb128 0x3b
	.uleb128 0xb
	.uleb128 0x39
	.uleb128 0xb
	.uleb128 0x49
	.uleb128 0x13
	.byte	0
	.byte	0
	.byte	0
	.section	.debug_aranges,"",@progbits
	.long	0x3c
	.value	0x2
	.long	.Ldebug_info0
	.byte	0x8
	.byte	0
	.value	0
	.value	0
	.quad	.Ltext0
	.quad	.Letext0-.Ltext0
	.quad	.Ltext_cold0
	.quad	.Letext_cold0-.Ltext_cold0
	.quad	0
	.quad	0
	.section	.debug_rnglists,"",@progbits
.Ldebug_ranges0:
	.long	.Ldebug_ranges3-.Ldebug_ranges2
.Ldebug_ranges2:
	.value	0x5
	.byte	0x8
	.byte	0
	.long	0
.LLRL0:
	.byte	0x7
	.quad	.LFB1
	.uleb128 .LHOTE0-.LFB1
	.byte	0x7
	.quad	.LFSB1
	.uleb128 .LCOLDE0-.LFSB1
	.byte	0
.LLRL1:
	.byte	0x5
	.quad	.LBB4
	.byte	0x4
	.uleb128 .LBB4-.LBB4
	.uleb128 .LBE4-.LBB4
	.byte	0x4
	.uleb128 .LBB8-.LBB4
	.uleb128 .LBE8-.LBB4
	.byte	0x4
	.uleb128 .LBB9-.LBB4
	.uleb128 .LBE9-.LBB4
	.byte	0
.LLRL2:
	.byte	0x7
	.quad	.Ltext0
	.uleb128 .Letext0-.Ltext0
	.byte	0x7
	.quad	.Ltext_cold0
	.uleb128 .Letext_cold0-.Ltext_cold0
	.byte	0
.Ldebug_ranges3:
	.section	.debug_line,"",@progbits
.Ldebug_line0:
	.section	.debug_str,"MS",@progbits,1
.LASF6:
	.string	"counted"
.LASF4:
	.string	"GNU C17"
.LASF2:
	.string	"number"
.LASF5:
	.string	"told"
.LASF3:
	.string	"left"
.LASF7:
	.string	"twice"
	.section	.debug_line_str,"MS",@progbits,1
.LASF1:
	.string	"/source"
.LASF0:
	.string	"small.c"

