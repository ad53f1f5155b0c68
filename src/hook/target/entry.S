/* Where the loader jumps to in a new image (boot_entry), the block that describes the session, and the routine of hooks
 * that have nothing to do. */
	.text
	.globl hook_nothing
	.hidden hook_nothing
	.type hook_nothing, @function
hook_nothing:
	ret

/* The loader comes here with rbx = struct boot_frame and leaves the stack pointer to us. Afterwards the new image starts as
 * the kernel would have started it: all registers zero but rsp. */
#define FRAME_FD 16
#define FRAME_ENTRY (FRAME_FD + 256 * 4)
#define FRAME_SP (FRAME_ENTRY + 8)
#define FRAME_WINDOW (FRAME_SP + 8)
#define FRAME_LEAVE (FRAME_WINDOW + 24)
#define FRAME_PAIR (FRAME_LEAVE + 16)
#define FRAME_HEADER (FRAME_PAIR + 8)
#define FRAME_PATH (FRAME_HEADER + 7 * 8 + 16 + 8 + 16)

	.macro clear_registers		/* but rsp, rcx and r11 */
	xor %eax, %eax
	xor %ebx, %ebx
	xor %edx, %edx
	xor %esi, %esi
	xor %edi, %edi
	xor %ebp, %ebp
	xor %r8d, %r8d
	xor %r9d, %r9d
	xor %r10d, %r10d
	xor %r12d, %r12d
	xor %r13d, %r13d
	xor %r14d, %r14d
	xor %r15d, %r15d
	.endm
	.macro start_program
	mov FRAME_ENTRY(%rbx), %rcx
	mov FRAME_SP(%rbx), %rsp
	push %rcx			/* below its stack pointer: dead memory */
	clear_registers
	xor %ecx, %ecx
	xor %r11d, %r11d
	ret
	.endm

	.globl boot_entry
	.hidden boot_entry
	.type boot_entry, @function
boot_entry:
	lea -256(%rbx), %rsp
	and $-16, %rsp
	mov %rbx, %rdi
	call boot
	mov FRAME_LEAVE(%rbx), %r11
	test %r11, %r11
	jnz 1f
	start_program
1:	mov FRAME_ENTRY(%rbx), %rcx	/* the exit of the exec, as behind a site: stack, rcx and number as stubs have them */
	mov FRAME_LEAVE+8(%rbx), %eax
	mov FRAME_SP(%rbx), %rsp
	mov %rcx, -8(%rsp)		/* in the red zone */
	lea -128(%rsp), %rsp
	push %rax
	clear_registers
	call *(%r11)
	lea 128(%rsp), %rsp
	xor %ecx, %ecx
	xor %r11d, %r11d
	ret

/* The loader: skep copies these bytes into unused room behind the text of the new image (the rest of its last page), writes a
 * struct boot_frame below the stack and starts it with rbx = frame. It maps the code segment and goes on there; on any
 * failure it starts the program. So at no instruction of it does the program depend on skep's being alive. */
	.globl loader_start
	.hidden loader_start
	.type loader_start, @function
loader_start:
	mov $53, %eax			/* socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC) */
	mov $1, %edi
	mov $0x80002, %esi
	xor %edx, %edx
	lea FRAME_PAIR(%rbx), %r10
	syscall
	test %eax, %eax
	jnz 9f
	/* here skep takes the other end and sends the descriptors */
	mov $47, %eax			/* recvmsg(MSG_DONTWAIT | MSG_CMSG_CLOEXEC) */
	mov FRAME_PAIR+4(%rbx), %edi
	lea FRAME_HEADER(%rbx), %rsi
	mov $0x40000040, %edx
	syscall
	mov %eax, %ebp
	mov $3, %eax			/* close both ends */
	mov FRAME_PAIR(%rbx), %edi
	syscall
	mov $3, %eax
	mov FRAME_PAIR+4(%rbx), %edi
	syscall
	dec %ebp
	jnz 9f
	mov FRAME_FD(%rbx), %r8d
	jmp 1f

/* The same where skep cannot take the other end: its descriptor is opened by the path in the frame. */
	.globl loader_path_start
	.hidden loader_path_start
	.type loader_path_start, @function
loader_path_start:
	mov $2, %eax			/* open(O_RDONLY | O_CLOEXEC) */
	lea FRAME_PATH(%rbx), %rdi
	mov $0x80000, %esi
	xor %edx, %edx
	syscall
	test %eax, %eax
	js 9f
	mov %eax, %r8d
	mov %eax, FRAME_FD(%rbx)
1:	mov $9, %eax			/* mmap(window, code_size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE) */
	mov FRAME_WINDOW(%rbx), %rdi
	mov FRAME_WINDOW+8(%rbx), %rsi
	mov $5, %edx
	mov $0x100001, %r10d
	xor %r9d, %r9d
	syscall
	cmp FRAME_WINDOW(%rbx), %rax
	jne 8f
	jmp *FRAME_WINDOW+16(%rbx)
8:	lea FRAME_FD(%rbx), %rbp	/* the window is taken: close what came; a negative number ends the list */
2:	mov $3, %eax
	mov (%rbp), %edi
	syscall
	add $4, %rbp
	cmpl $0, (%rbp)
	jg 2b
9:	start_program
	.globl loader_end
	.hidden loader_end
	.type loader_end, @function
loader_end:
	nop

	.section .session, "ax", @progbits
	.globl session
	.hidden session
	.balign 64
session:
	.space 24 + 32 + 256 + 500 * 32
	.section .note.GNU-stack, "", @progbits
