/* The BCC dialect, as plain C: sources written for bcc's Python front end compile with clang as they are.
 *
 * bcc rewrites its sources; nothing is rewritten here. A map declared by BPF_HASH(counts, u32, u64) is two things:
 *
 *   symbol «counts» in .maps     the map itself, an ordinary BTF-defined map that any loader understands
 *   C name «counts»              a constant structure of function pointers, so that counts.lookup(&key) is valid C; the
 *                                compiler folds the pointers into direct calls and nothing of the structure is left
 *
 * Methods that take their key by value or have optional arguments (increment, atomic_increment, ringbuf_output,
 * perf_submit …) are function-like macros: they expand only before a parenthesis. A structure that is submitted leaves
 * its type in BTF (section .skep.events), so that a reader can print its fields.
 *
 * What bcc's rewriter does beyond this cannot be had without rewriting: following kernel pointers by plain dereference
 * (use bpf_probe_read_kernel), and arguments of kprobe functions taken from registers other than by syscall__ and
 * kprobe__ names, which the loader understands. */
#ifndef SKEP_BCC_BPF_H
#define SKEP_BCC_BPF_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
#else
#include <skep/bcc/constants.h>
#endif
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#ifndef TASK_COMM_LEN
#define TASK_COMM_LEN 16
#endif
#ifndef __user
#define __user
#endif
#ifndef NULL
#define NULL ((void *)0)
#endif
#define BCC_SEC(name) __attribute__((section(name), used))
#define BCC_INLINE static __attribute__((always_inline, unused)) inline
#ifndef memset
#define memset __builtin_memset
#define memcpy __builtin_memcpy
#endif
#define lock_xadd(ptr, val) ((void)__sync_fetch_and_add(ptr, val))
#define ntohs(x) bpf_ntohs(x)
#define ntohl(x) bpf_ntohl(x)
#define htons(x) bpf_htons(x)
#define htonl(x) bpf_htonl(x)

/* bcc loads everything as GPL unless a source says otherwise by defining BPF_LICENSE. */
#define BCC_STRING_(x) #x
#define BCC_STRING(x) BCC_STRING_(x)
#ifndef BPF_LICENSE
#define BPF_LICENSE GPL
#endif
__attribute__((weak)) char _license[] SEC("license") = BCC_STRING(BPF_LICENSE);

/* ---- maps ------------------------------------------------------------------------------------------------------- */

#define BCC_MAP_SYMBOL(name) bcc_map_##name
#define BCC_DECLARE(name_, type_, key_, leaf_, size_, flags_)                                               \
	struct {                                                                                                       \
		__uint(type, type_);                                                                                   \
		__type(key, key_);                                                                                     \
		__type(value, leaf_);                                                                                  \
		__uint(max_entries, size_);                                                                            \
		__uint(map_flags, flags_);                                                                             \
	} BCC_MAP_SYMBOL(name_) __asm__(#name_) SEC(".maps")

/* A map with keys and values, and the methods on it. key_ and leaf_ may be any type names. */
#define BCC_TABLE(name_, type_, key_, leaf_, size_, flags_)                                                            \
	typedef __typeof__(key_) name_##_key_t;                                                                        \
	typedef __typeof__(leaf_) name_##_leaf_t;                                                                      \
	BCC_DECLARE(name_, type_, name_##_key_t, name_##_leaf_t, size_, flags_);                                    \
	BCC_INLINE name_##_leaf_t *name_##__lookup(name_##_key_t *k) {                                                 \
		return bpf_map_lookup_elem(&BCC_MAP_SYMBOL(name_), k);                                                 \
	}                                                                                                              \
	BCC_INLINE name_##_leaf_t *name_##__lookup_or_try_init(name_##_key_t *k, name_##_leaf_t *init) {               \
		name_##_leaf_t *v = bpf_map_lookup_elem(&BCC_MAP_SYMBOL(name_), k);                                    \
		if (v)                                                                                                 \
			return v;                                                                                      \
		bpf_map_update_elem(&BCC_MAP_SYMBOL(name_), k, init, BPF_NOEXIST);                                     \
		return bpf_map_lookup_elem(&BCC_MAP_SYMBOL(name_), k);                                                 \
	}                                                                                                              \
	BCC_INLINE long name_##__update(name_##_key_t *k, name_##_leaf_t *v) {                                         \
		return bpf_map_update_elem(&BCC_MAP_SYMBOL(name_), k, v, BPF_ANY);                                     \
	}                                                                                                              \
	BCC_INLINE long name_##__insert(name_##_key_t *k, name_##_leaf_t *v) {                                         \
		return bpf_map_update_elem(&BCC_MAP_SYMBOL(name_), k, v, BPF_NOEXIST);                                 \
	}                                                                                                              \
	BCC_INLINE long name_##__delete(name_##_key_t *k) {                                                            \
		return bpf_map_delete_elem(&BCC_MAP_SYMBOL(name_), k);                                                 \
	}                                                                                                              \
	BCC_INLINE void name_##__increment(name_##_key_t k, u64 by, bool atomic) {                                     \
		name_##_leaf_t zero;                                                                                   \
		__builtin_memset(&zero, 0, sizeof zero);                                                               \
		u64 *v = (u64 *)name_##__lookup_or_try_init(&k, &zero);                                                \
		if (!v)                                                                                                \
			return;                                                                                        \
		if (sizeof zero == 4 && atomic)                                                                        \
			__sync_fetch_and_add((u32 *)v, (u32)by);                                                       \
		else if (sizeof zero == 4)                                                                             \
			*(u32 *)v += (u32)by;                                                                          \
		else if (atomic)                                                                                       \
			__sync_fetch_and_add(v, by);                                                                   \
		else                                                                                                   \
			*v += by;                                                                                      \
	}                                                                                                              \
	static const struct {                                                                                          \
		name_##_leaf_t *(*lookup)(name_##_key_t *);                                                            \
		name_##_leaf_t *(*lookup_or_try_init)(name_##_key_t *, name_##_leaf_t *);                              \
		name_##_leaf_t *(*lookup_or_init)(name_##_key_t *, name_##_leaf_t *);                                  \
		long (*update)(name_##_key_t *, name_##_leaf_t *);                                                     \
		long (*insert)(name_##_key_t *, name_##_leaf_t *);                                                     \
		long (*delete)(name_##_key_t *);                                                                       \
		void (*increment_by)(name_##_key_t, u64, bool);                                                        \
	} name_ __asm__(".L_bcc_methods_" #name_) __attribute__((unused)) = {                                          \
	    name_##__lookup, name_##__lookup_or_try_init, name_##__lookup_or_try_init, name_##__update,                \
	    name_##__insert, name_##__delete,             name_##__increment}

/* Overloads by the number of arguments. */
#define BCC_PICK(_1, _2, _3, _4, _5, what, ...) what
#define BCC_INCREMENT1(k) increment_by(k, 1, 0)
#define BCC_INCREMENT2(k, by) increment_by(k, by, 0)
#define BCC_ATOMIC_INCREMENT1(k) increment_by(k, 1, 1)
#define BCC_ATOMIC_INCREMENT2(k, by) increment_by(k, by, 1)
#define increment(...) BCC_PICK(__VA_ARGS__, 0, 0, 0, BCC_INCREMENT2, BCC_INCREMENT1)(__VA_ARGS__)
#define atomic_increment(...) BCC_PICK(__VA_ARGS__, 0, 0, 0, BCC_ATOMIC_INCREMENT2, BCC_ATOMIC_INCREMENT1)(__VA_ARGS__)

#define BCC_HASH1(name) BCC_TABLE(name, BPF_MAP_TYPE_HASH, u64, u64, 10240, 0)
#define BCC_HASH2(name, key) BCC_TABLE(name, BPF_MAP_TYPE_HASH, key, u64, 10240, 0)
#define BCC_HASH3(name, key, leaf) BCC_TABLE(name, BPF_MAP_TYPE_HASH, key, leaf, 10240, 0)
#define BCC_HASH4(name, key, leaf, size) BCC_TABLE(name, BPF_MAP_TYPE_HASH, key, leaf, size, 0)
#define BPF_HASH(...) BCC_PICK(__VA_ARGS__, 0, BCC_HASH4, BCC_HASH3, BCC_HASH2, BCC_HASH1)(__VA_ARGS__)

#define BCC_PHASH1(name) BCC_TABLE(name, BPF_MAP_TYPE_PERCPU_HASH, u64, u64, 10240, 0)
#define BCC_PHASH2(name, key) BCC_TABLE(name, BPF_MAP_TYPE_PERCPU_HASH, key, u64, 10240, 0)
#define BCC_PHASH3(name, key, leaf) BCC_TABLE(name, BPF_MAP_TYPE_PERCPU_HASH, key, leaf, 10240, 0)
#define BCC_PHASH4(name, key, leaf, size) BCC_TABLE(name, BPF_MAP_TYPE_PERCPU_HASH, key, leaf, size, 0)
#define BPF_PERCPU_HASH(...) BCC_PICK(__VA_ARGS__, 0, BCC_PHASH4, BCC_PHASH3, BCC_PHASH2, BCC_PHASH1)(__VA_ARGS__)

#define BCC_ARRAY1(name) BCC_TABLE(name, BPF_MAP_TYPE_ARRAY, int, u64, 10240, 0)
#define BCC_ARRAY2(name, leaf) BCC_TABLE(name, BPF_MAP_TYPE_ARRAY, int, leaf, 10240, 0)
#define BCC_ARRAY3(name, leaf, size) BCC_TABLE(name, BPF_MAP_TYPE_ARRAY, int, leaf, size, 0)
#define BPF_ARRAY(...) BCC_PICK(__VA_ARGS__, 0, 0, BCC_ARRAY3, BCC_ARRAY2, BCC_ARRAY1)(__VA_ARGS__)

#define BCC_PARRAY1(name) BCC_TABLE(name, BPF_MAP_TYPE_PERCPU_ARRAY, int, u64, 10240, 0)
#define BCC_PARRAY2(name, leaf) BCC_TABLE(name, BPF_MAP_TYPE_PERCPU_ARRAY, int, leaf, 10240, 0)
#define BCC_PARRAY3(name, leaf, size) BCC_TABLE(name, BPF_MAP_TYPE_PERCPU_ARRAY, int, leaf, size, 0)
#define BPF_PERCPU_ARRAY(...) BCC_PICK(__VA_ARGS__, 0, 0, BCC_PARRAY3, BCC_PARRAY2, BCC_PARRAY1)(__VA_ARGS__)

/* A histogram is an array of u64, or a hash where the key is not an int; its map has a name that readers know. */
#define BCC_HISTOGRAM1(name) BCC_TABLE(name, BPF_MAP_TYPE_ARRAY, int, u64, 64, 0); BCC_IS_HISTOGRAM(name)
#define BCC_HISTOGRAM2(name, key) BCC_TABLE(name, BPF_MAP_TYPE_HASH, key, u64, 64, 0); BCC_IS_HISTOGRAM(name)
#define BCC_HISTOGRAM3(name, key, size) BCC_TABLE(name, BPF_MAP_TYPE_HASH, key, u64, size, 0); BCC_IS_HISTOGRAM(name)
#define BCC_IS_HISTOGRAM(name) static char name##_is_histogram BCC_SEC(".skep.histograms")
#define BPF_HISTOGRAM(...) BCC_PICK(__VA_ARGS__, 0, 0, BCC_HISTOGRAM3, BCC_HISTOGRAM2, BCC_HISTOGRAM1)(__VA_ARGS__)

#define BCC_MAP_TYPE_hash BPF_MAP_TYPE_HASH
#define BCC_MAP_TYPE_array BPF_MAP_TYPE_ARRAY
#define BCC_MAP_TYPE_percpu_hash BPF_MAP_TYPE_PERCPU_HASH
#define BCC_MAP_TYPE_percpu_array BPF_MAP_TYPE_PERCPU_ARRAY
#define BCC_MAP_TYPE_lru_hash BPF_MAP_TYPE_LRU_HASH
#define BCC_MAP_TYPE_histogram BPF_MAP_TYPE_ARRAY
/* BPF_TABLE("hash", key, leaf, name, size): the type is a string, chosen at compile time. */
#define BPF_TABLE(type_, key, leaf, name, size)                                                                        \
	BCC_TABLE(name,                                                                                                \
	          (!__builtin_strcmp(type_, "hash")           ? BPF_MAP_TYPE_HASH                                      \
	           : !__builtin_strcmp(type_, "array")        ? BPF_MAP_TYPE_ARRAY                                     \
	           : !__builtin_strcmp(type_, "percpu_hash")  ? BPF_MAP_TYPE_PERCPU_HASH                               \
	           : !__builtin_strcmp(type_, "percpu_array") ? BPF_MAP_TYPE_PERCPU_ARRAY                              \
	           : !__builtin_strcmp(type_, "lru_hash")     ? BPF_MAP_TYPE_LRU_HASH                                  \
	           : !__builtin_strcmp(type_, "histogram")    ? BPF_MAP_TYPE_ARRAY                                     \
	                                                      : -1),                                                   \
	          key, leaf, size, 0)

/* ---- output ----------------------------------------------------------------------------------------------------- */

/* Leaves the type of *p in BTF, so that the records of an output can be printed field by field. */
#define BCC_KEEP_TYPE(p) ({ static __typeof__(*(p)) *submitted BCC_SEC(".skep.events"); 0; })

#define BCC_OUTPUT(name_, bytes)                                                                                       \
	struct {                                                                                                       \
		__uint(type, BPF_MAP_TYPE_RINGBUF);                                                                    \
		__uint(max_entries, bytes);                                                                            \
	} BCC_MAP_SYMBOL(name_) __asm__(#name_) SEC(".maps");                                                          \
	BCC_INLINE long name_##__output(void *data, u64 size, u64 flags, int kept) {                                   \
		return bpf_ringbuf_output(&BCC_MAP_SYMBOL(name_), data, size, flags);                                  \
	}                                                                                                              \
	BCC_INLINE void *name_##__reserve(u64 size) {                                                                  \
		return bpf_ringbuf_reserve(&BCC_MAP_SYMBOL(name_), size, 0);                                           \
	}                                                                                                              \
	BCC_INLINE void name_##__submit(void *data, u64 flags) {                                                       \
		bpf_ringbuf_submit(data, flags);                                                                       \
	}                                                                                                              \
	BCC_INLINE void name_##__discard(void *data, u64 flags) {                                                      \
		bpf_ringbuf_discard(data, flags);                                                                      \
	}                                                                                                              \
	static const struct {                                                                                          \
		long (*output)(void *, u64, u64, int);                                                                 \
		void *(*ringbuf_reserve)(u64);                                                                         \
		void (*ringbuf_submit)(void *, u64);                                                                   \
		void (*ringbuf_discard)(void *, u64);                                                                  \
	} name_ __asm__(".L_bcc_methods_" #name_) __attribute__((unused)) = {name_##__output, name_##__reserve,        \
	                                                                     name_##__submit, name_##__discard}

/* pages is a power of two, as in bcc. A perf output is a ring buffer here: one stream instead of one per CPU. */
#define BPF_RINGBUF_OUTPUT(name, pages) BCC_OUTPUT(name, (pages) * 4096)
#define BPF_PERF_OUTPUT(name) BCC_OUTPUT(name, 256 * 1024)
#define perf_submit(ctx, data, size) output(data, size, 0, BCC_KEEP_TYPE(data))
#define BCC_RINGBUF_OUTPUT2(data, size) output(data, size, 0, BCC_KEEP_TYPE(data))
#define BCC_RINGBUF_OUTPUT3(data, size, flags) output(data, size, flags, BCC_KEEP_TYPE(data))
#define ringbuf_output(...) BCC_PICK(__VA_ARGS__, 0, 0, BCC_RINGBUF_OUTPUT3, BCC_RINGBUF_OUTPUT2)(__VA_ARGS__)

/* ---- tail calls ------------------------------------------------------------------------------------------------- */

#define BPF_PROG_ARRAY(name_, size_)                                                                                   \
	BCC_DECLARE(name_, BPF_MAP_TYPE_PROG_ARRAY, u32, u32, size_, 0);                                            \
	BCC_INLINE void name_##__call(void *ctx, u32 index) {                                                          \
		bpf_tail_call(ctx, &BCC_MAP_SYMBOL(name_), index);                                                     \
	}                                                                                                              \
	static const struct {                                                                                          \
		void (*call)(void *, u32);                                                                             \
	} name_ __asm__(".L_bcc_methods_" #name_) __attribute__((unused)) = {name_##__call}

/* ---- probes ----------------------------------------------------------------------------------------------------- */

/* A function TRACEPOINT_PROBE(syscalls, sys_enter_openat) { … args->filename … }. The loader generates the structure
 * tracepoint__CATEGORY__EVENT for system call tracepoints and raw_syscalls. */
#define TRACEPOINT_PROBE(category, event)                                                                              \
	SEC("tracepoint/" #category "/" #event)                                                                        \
	int tracepoint__##category##__##event(struct tracepoint__##category##__##event *args)
#define RAW_TRACEPOINT_PROBE(event)                                                                                    \
	SEC("raw_tracepoint/" #event) int raw_tracepoint__##event(struct bpf_raw_tracepoint_args *ctx)

/* log2 of a value, as a histogram slot: 0 → 0, 1 → 1, 2..3 → 2, 4..7 → 3 … as bcc counts them. */
BCC_INLINE u64 bpf_log2(u32 v) {
	u32 shift, r;
	r = (v > 0xffff) << 4;
	v >>= r;
	shift = (v > 0xff) << 3;
	v >>= shift;
	r |= shift;
	shift = (v > 0xf) << 2;
	v >>= shift;
	r |= shift;
	shift = (v > 0x3) << 1;
	v >>= shift;
	r |= shift;
	return r | (v >> 1);
}
BCC_INLINE u64 bpf_log2l(u64 v) {
	u32 high = v >> 32;
	return high ? bpf_log2(high) + 32 + 1 : bpf_log2((u32)v) + 1;
}

/* bpf_trace_printk("format", ...) with a literal and at most three arguments, as bcc has it; bpf_printk is the same. */
static long (*bcc_trace_printk)(const char *fmt, u32 size, ...) = (void *)BPF_FUNC_trace_printk;
#undef bpf_printk
#define bpf_trace_printk(fmt_, ...)                                                                                    \
	({                                                                                                             \
		static const char bcc_fmt[] = fmt_;                                                                    \
		bcc_trace_printk(bcc_fmt, sizeof bcc_fmt, ##__VA_ARGS__);                                              \
	})
#define bpf_printk(fmt_, ...) bpf_trace_printk(fmt_, ##__VA_ARGS__)

#endif
