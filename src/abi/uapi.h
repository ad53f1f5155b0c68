/* The eBPF interface of Linux 6.18 as bytes: attributes of bpf(2), information records, flags and enumerations, under
 * the kernel's names, sizes and offsets.
 *
 *   uapi.h        this file: bpf(2)
 *   uapi_ctx.h    what programs are given: contexts, and records that helpers read and write
 *   uapi_enum.h   the small enumerations: flags and return values
 *   regs.h        register files and tracepoint records; not included from here, since libc's headers have their own
 *                 struct pt_regs
 *
 * The long enumerations (program, map, attach and link types, commands, helpers) are expanded from the .def tables, so
 * that a row is the only place which states a number. Fields that hold user addresses are u64 and aligned as such.
 * Sizes are asserted here; test/unit/abi_uapi.c compares every offset with the BTF of the running kernel.
 * The headers can also be compiled by clang for the bpf target (SKEP_BTF_SOURCE): that is how the BTF that skep ships
 * comes to contain them. */
#ifndef SKEP_ABI_UAPI_H
#define SKEP_ABI_UAPI_H
#ifdef SKEP_BTF_SOURCE
#define UAPI_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "kernel ABI")
#else
#include "btf/format.h"
#include "isa/insn.h"
#define UAPI_SIZE(type, bytes) STATIC_ASSERT(sizeof(type) == (bytes), "kernel ABI")
#endif
#include "abi/uapi_enum.h"
#include "abi/uapi_ctx.h"

enum bpf_prog_type {
#define PROG(NAME, id, ...) BPF_PROG_TYPE_##NAME = id,
#include "abi/progs.def"
#undef PROG
	__MAX_BPF_PROG_TYPE
};
enum bpf_map_type {
#define MAP(NAME, id, ...) BPF_MAP_TYPE_##NAME = id,
#include "abi/maps.def"
#undef MAP
	__MAX_BPF_MAP_TYPE,
	BPF_MAP_TYPE_CGROUP_STORAGE = BPF_MAP_TYPE_CGROUP_STORAGE_DEPRECATED,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE = BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE_DEPRECATED,
};
enum bpf_attach_type {
#define ATTACH(NAME, id, ...) BPF_##NAME = id,
#include "abi/attach.def"
#undef ATTACH
	__MAX_BPF_ATTACH_TYPE
};
enum bpf_link_type {
#define LINK(NAME, id, ...) BPF_LINK_TYPE_##NAME = id,
#include "abi/links.def"
#undef LINK
	__MAX_BPF_LINK_TYPE
};
enum bpf_cmd {
#define CMD(NAME, id, ...) BPF_##NAME = id,
#include "abi/cmds.def"
#undef CMD
	__MAX_BPF_CMD,
	BPF_PROG_RUN = BPF_PROG_TEST_RUN,
};
enum bpf_func_id {
	BPF_FUNC_unspec,
#define HELPER(name, id, ...) BPF_FUNC_##name = id,
#include "abi/helpers.def"
#undef HELPER
	__BPF_FUNC_MAX_ID
};

enum { BPF_OBJ_NAME_LEN = 16, BPF_TAG_SIZE = 8 };

/* bpf(2). One anonymous member per command, or per family of commands; the kernel refuses an attr whose bytes after the
 * command's last field are not zero (cmds.def names that field). */
union bpf_attr {
	struct { /* BPF_MAP_CREATE */
		u32 map_type, key_size, value_size, max_entries, map_flags, inner_map_fd, numa_node;
		char map_name[16];
		u32 map_ifindex, btf_fd, btf_key_type_id, btf_value_type_id, btf_vmlinux_value_type_id;
		u64 map_extra;
		s32 value_type_btf_obj_fd, map_token_fd;
		u64 excl_prog_hash;
		u32 excl_prog_hash_size;
	};
	struct { /* BPF_MAP_*_ELEM, BPF_MAP_GET_NEXT_KEY, BPF_MAP_FREEZE */
		u32 map_fd;
		u64 key;
		union {
			u64 value, next_key;
		};
		u64 flags;
	};
	struct { /* BPF_MAP_*_BATCH */
		u64 in_batch, out_batch, keys, values;
		u32 count, map_fd;
		u64 elem_flags, flags;
	} batch;
	struct { /* BPF_PROG_LOAD */
		u32 prog_type, insn_cnt;
		u64 insns, license;
		u32 log_level, log_size;
		u64 log_buf;
		u32 kern_version, prog_flags;
		char prog_name[16];
		u32 prog_ifindex, expected_attach_type, prog_btf_fd, func_info_rec_size;
		u64 func_info;
		u32 func_info_cnt, line_info_rec_size;
		u64 line_info;
		u32 line_info_cnt, attach_btf_id;
		union {
			u32 attach_prog_fd, attach_btf_obj_fd;
		};
		u32 core_relo_cnt;
		u64 fd_array, core_relos;
		u32 core_relo_rec_size, log_true_size;
		s32 prog_token_fd;
		u32 fd_array_cnt;
		u64 signature;
		u32 signature_size;
		s32 keyring_id;
	};
	struct { /* BPF_OBJ_PIN, BPF_OBJ_GET */
		u64 pathname;
		u32 bpf_fd, file_flags;
		s32 path_fd;
	};
	struct { /* BPF_PROG_ATTACH, BPF_PROG_DETACH */
		union {
			u32 target_fd, target_ifindex;
		};
		u32 attach_bpf_fd, attach_type, attach_flags, replace_bpf_fd;
		union {
			u32 relative_fd, relative_id;
		};
		u64 expected_revision;
	};
	struct { /* BPF_PROG_TEST_RUN */
		u32 prog_fd, retval, data_size_in, data_size_out;
		u64 data_in, data_out;
		u32 repeat, duration, ctx_size_in, ctx_size_out;
		u64 ctx_in, ctx_out;
		u32 flags, cpu, batch_size;
	} test;
	struct { /* BPF_*_GET_NEXT_ID, BPF_*_GET_FD_BY_ID */
		union {
			u32 start_id, prog_id, map_id, btf_id, link_id;
		};
		u32 next_id, open_flags;
		s32 fd_by_id_token_fd;
	};
	struct { /* BPF_OBJ_GET_INFO_BY_FD */
		u32 bpf_fd, info_len;
		u64 info;
	} info;
	struct {
		union {
			u32 target_fd, target_ifindex;
		};
		u32 attach_type, query_flags, attach_flags;
		u64 prog_ids;
		union {
			u32 prog_cnt, count;
		};
		u64 prog_attach_flags, link_ids, link_attach_flags, revision;
	} query;
	struct {
		u64 name;
		u32 prog_fd;
		u64 cookie;
	} raw_tracepoint;
	struct { /* BPF_BTF_LOAD */
		u64 btf, btf_log_buf;
		u32 btf_size, btf_log_size, btf_log_level, btf_log_true_size, btf_flags;
		s32 btf_token_fd;
	};
	struct {
		u32 pid, fd, flags, buf_len;
		u64 buf;
		u32 prog_id, fd_type;
		u64 probe_offset, probe_addr;
	} task_fd_query;
	struct {
		union {
			u32 prog_fd, map_fd;
		};
		union {
			u32 target_fd, target_ifindex;
		};
		u32 attach_type, flags;
		union {
			u32 target_btf_id;
			struct {
				u64 iter_info;
				u32 iter_info_len;
			};
			struct {
				u64 bpf_cookie;
			} perf_event;
			struct {
				u32 flags, cnt;
				u64 syms, addrs, cookies;
			} kprobe_multi;
			struct {
				u32 target_btf_id;
				u64 cookie;
			} tracing;
			struct {
				u32 pf, hooknum;
				s32 priority;
				u32 flags;
			} netfilter;
			struct {
				union {
					u32 relative_fd, relative_id;
				};
				u64 expected_revision;
			} tcx;
			struct {
				u64 path, offsets, ref_ctr_offsets, cookies;
				u32 cnt, flags, pid;
			} uprobe_multi;
			struct {
				union {
					u32 relative_fd, relative_id;
				};
				u64 expected_revision;
			} netkit;
			struct {
				union {
					u32 relative_fd, relative_id;
				};
				u64 expected_revision;
			} cgroup;
		};
	} link_create;
	struct {
		u32 link_fd;
		union {
			u32 new_prog_fd, new_map_fd;
		};
		u32 flags;
		union {
			u32 old_prog_fd, old_map_fd;
		};
	} link_update;
	struct {
		u32 link_fd;
	} link_detach;
	struct {
		u32 type;
	} enable_stats;
	struct {
		u32 link_fd, flags;
	} iter_create;
	struct {
		u32 prog_fd, map_fd, flags;
	} prog_bind_map;
	struct {
		u32 flags, bpffs_fd;
	} token_create;
	struct {
		u64 stream_buf;
		u32 stream_buf_len, stream_id, prog_fd;
	} prog_stream_read;
} __attribute__((aligned(8)));
UAPI_SIZE(union bpf_attr, 168);

/* What link_create.iter_info points to. */
union bpf_iter_link_info {
	struct {
		u32 map_fd;
	} map;
	struct {
		enum bpf_cgroup_iter_order order;
		u32 cgroup_fd;
		u64 cgroup_id;
	} cgroup;
	struct {
		u32 tid, pid, pid_fd;
	} task;
};
UAPI_SIZE(union bpf_iter_link_info, 16);

/* What BPF_OBJ_GET_INFO_BY_FD writes. The caller's length may be smaller or, with a zero tail, larger. */
struct bpf_prog_info {
	u32 type, id;
	u8 tag[8];
	u32 jited_prog_len, xlated_prog_len;
	u64 jited_prog_insns, xlated_prog_insns, load_time;
	u32 created_by_uid, nr_map_ids;
	u64 map_ids;
	char name[16];
	u32 ifindex, gpl_compatible : 1;
	u64 netns_dev, netns_ino;
	u32 nr_jited_ksyms, nr_jited_func_lens;
	u64 jited_ksyms, jited_func_lens;
	u32 btf_id, func_info_rec_size;
	u64 func_info;
	u32 nr_func_info, nr_line_info;
	u64 line_info, jited_line_info;
	u32 nr_jited_line_info, line_info_rec_size, jited_line_info_rec_size, nr_prog_tags;
	u64 prog_tags, run_time_ns, run_cnt, recursion_misses;
	u32 verified_insns, attach_btf_obj_id, attach_btf_id;
};
UAPI_SIZE(struct bpf_prog_info, 232);
struct bpf_map_info {
	u32 type, id, key_size, value_size, max_entries, map_flags;
	char name[16];
	u32 ifindex, btf_vmlinux_value_type_id;
	u64 netns_dev, netns_ino;
	u32 btf_id, btf_key_type_id, btf_value_type_id, btf_vmlinux_id;
	u64 map_extra, hash;
	u32 hash_size;
};
UAPI_SIZE(struct bpf_map_info, 104);
struct bpf_btf_info {
	u64 btf;
	u32 btf_size, id;
	u64 name;
	u32 name_len, kernel_btf;
};
UAPI_SIZE(struct bpf_btf_info, 32);
struct bpf_link_info {
	u32 type, id, prog_id;
	union {
		struct {
			u64 tp_name;
			u32 tp_name_len;
			u64 cookie;
		} raw_tracepoint;
		struct {
			u32 attach_type, target_obj_id, target_btf_id;
			u64 cookie;
		} tracing;
		struct {
			u64 cgroup_id;
			u32 attach_type;
		} cgroup;
		struct {
			u64 target_name;
			u32 target_name_len;
			union {
				struct {
					u32 map_id;
				} map;
			};
			union {
				struct {
					u64 cgroup_id;
					u32 order;
				} cgroup;
				struct {
					u32 tid, pid;
				} task;
			};
		} iter;
		struct {
			u32 netns_ino, attach_type;
		} netns;
		struct {
			u32 ifindex;
		} xdp;
		struct {
			u32 map_id;
		} struct_ops;
		struct {
			u32 pf, hooknum;
			s32 priority;
			u32 flags;
		} netfilter;
		struct {
			u64 addrs;
			u32 count, flags;
			u64 missed, cookies;
		} kprobe_multi;
		struct {
			u64 path, offsets, ref_ctr_offsets, cookies;
			u32 path_size, count, flags, pid;
		} uprobe_multi;
		struct {
			u32 type;
			union {
				struct {
					u64 file_name;
					u32 name_len, offset;
					u64 cookie, ref_ctr_offset;
				} uprobe;
				struct {
					u64 func_name;
					u32 name_len, offset;
					u64 addr, missed, cookie;
				} kprobe;
				struct {
					u64 tp_name;
					u32 name_len;
					u64 cookie;
				} tracepoint;
				struct {
					u64 config;
					u32 type;
					u64 cookie;
				} event;
			};
		} perf_event;
		struct {
			u32 ifindex, attach_type;
		} tcx;
		struct {
			u32 ifindex, attach_type;
		} netkit;
		struct {
			u32 map_id, attach_type;
		} sockmap;
	};
};
UAPI_SIZE(struct bpf_link_info, 64);
struct bpf_token_info {
	u64 allowed_cmds, allowed_maps, allowed_progs, allowed_attachs;
};
UAPI_SIZE(struct bpf_token_info, 32);

/* Records of a program's function and line information and of CO-RE relocations are in btf/format.h. */
#endif
