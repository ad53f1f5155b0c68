/* attach.def, sections.def, cmds.def, kfuncs.def, limits.def, profiles.def as tables. */
#include "abi/limits.h"
#include "abi/registry.h"
#include "abi/sets.h"
#include <string.h>

static const struct abi_attach attaches[__MAX_BPF_ATTACH_TYPE] = {
#define ATTACH(NAME, ID, name_, ENGINE, TYPES, LINK, SINCE)                                                            \
	[ID] = {.id = ID, .name = name_, .engine = ENGINE, .types = TYPES, .link = BPF_LINK_TYPE_##LINK, .since = SINCE},
#include "abi/attach.def"
#undef ATTACH
};
const struct abi_attach *linux_attach(u32 id) {
	return id < __MAX_BPF_ATTACH_TYPE ? &attaches[id] : NULL;
}

static const struct abi_section sections[] = {
#define SECTION(name_, TYPE, ATTACH, FLAGS, ENGINE)                                                                    \
	{.name = name_, .prog_type = BPF_PROG_TYPE_##TYPE, .attach_type = ATTACH, .flags = FLAGS, .engine = ENGINE},
#include "abi/sections.def"
#undef SECTION
};
const struct abi_section *abi_section_at(u32 i) {
	return i < ARRAY_SIZE(sections) ? &sections[i] : NULL;
}
const struct abi_section *abi_section(const struct skep_abi *abi, const char *section, const char **extra) {
	for (u32 i = 0; i < ARRAY_SIZE(sections); i++) {
		const struct abi_section *s = &sections[i];
		u64 len = strlen(s->name);
		if (strncmp(section, s->name, len))
			continue;
		if (section[len] && !(section[len] == '/' && s->flags & SECTION_EXTRA))
			continue;
		if (extra)
			*extra = section[len] ? section + len + 1 : NULL;
		return s;
	}
	return NULL;
}

#define END_OF(field) (offsetof(union bpf_attr, field) + sizeof(((union bpf_attr *)0)->field))
static const struct abi_cmd cmds[__MAX_BPF_CMD] = {
#define CMD(NAME, ID, LAST, SINCE, ENGINE)                                                                             \
	[ID] = {.id = ID, .name = "BPF_" #NAME, .end = END_OF(LAST), .since = SINCE, .engine = ENGINE},
#include "abi/cmds.def"
#undef CMD
};
const struct abi_cmd *linux_cmd(u32 id) {
	return id < __MAX_BPF_CMD ? &cmds[id] : NULL;
}

static const struct abi_kfunc kfuncs[] = {
#define KFUNC(NAME, FLAGS, TYPES, SINCE, ENGINE)                                                                       \
	{.name = #NAME, .flags = FLAGS, .types = TYPES, .since = SINCE, .engine = ENGINE},
#include "abi/kfuncs.def"
#undef KFUNC
};
const struct abi_kfunc *linux_kfunc(u32 i) {
	return i < ARRAY_SIZE(kfuncs) ? &kfuncs[i] : NULL;
}

#define NULL_ARG(i) (1ull << 4 * (i))
#define ERROR_ARG(i) (2ull << 4 * (i))
static const struct abi_target targets[] = {
#define HOOK(NAME, FLAGS) {.name = #NAME, .kind = TARGET_HOOK, .flags = FLAGS},
#define FUNCTION(NAME, FLAGS) {.name = #NAME, .kind = TARGET_FUNCTION, .flags = FLAGS},
#define TRACEPOINT(NAME, ARGS) {.name = #NAME, .kind = TARGET_TRACEPOINT, .args = ARGS},
#define ITERATOR(NAME, ...) {.name = #NAME, .kind = TARGET_ITERATOR, .arg = {__VA_ARGS__}},
#include "abi/targets.def"
};
const struct abi_target *abi_target(enum abi_target_kind kind, const char *name) {
	for (u32 i = 0; i < ARRAY_SIZE(targets); i++)
		if (targets[i].kind == kind && !strcmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

static const struct abi_struct_ops struct_ops[] = {
#define STRUCT_OPS(NAME, ...) {.name = #NAME, __VA_ARGS__},
#include "abi/struct_ops.def"
};
const struct abi_struct_ops *abi_struct_ops(const char *name) {
	for (u32 i = 0; i < ARRAY_SIZE(struct_ops); i++)
		if (!strcmp(struct_ops[i].name, name))
			return &struct_ops[i];
	return NULL;
}

bool abi_has_destructor(const char *type) {
	static const char *const names[] = {"cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx",
	                                    /* of the kernel's test runs: */ "prog_test_ref_kfunc", "prog_test_member"};
	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(type, names[i]))
			return true;
	return false;
}

static const struct abi_limit_row limits[] = {
#define LIMIT(NAME, value, what) {#NAME, what, value},
#include "abi/limits.def"
#undef LIMIT
};
const struct abi_limit_row *abi_limit_at(u32 i) {
	return i < ARRAY_SIZE(limits) ? &limits[i] : NULL;
}

static const struct abi_profile profiles[] = {
#define PROFILE(NAME, VERSION, FLAGS) {NAME, VERSION, FLAGS},
#include "abi/profiles.def"
#undef PROFILE
};
const struct abi_profile *abi_profile_at(u32 i) {
	return i < ARRAY_SIZE(profiles) ? &profiles[i] : NULL;
}
/* Reads "6.1", "v6.1" or "6.1.0-18-amd64" as KV; 0 when it is none. */
u16 abi_version(const char *text) {
	u32 part[2] = {0};
	text += *text == 'v';
	for (u32 i = 0; i < 2; i++) {
		const char *digits = text;
		for (; *text >= '0' && *text <= '9' && part[i] < 256; text++)
			part[i] = part[i] * 10 + (*text - '0');
		if (text == digits || part[i] > 255 || (i == 0 && *text++ != '.'))
			return 0;
	}
	return KV(part[0], part[1]);
}
const struct abi_profile *abi_profile(const char *name) {
	u16 version = abi_version(name);
	for (u32 i = 0; i < ARRAY_SIZE(profiles); i++)
		if (profiles[i].version == version)
			return &profiles[i];
	return NULL;
}
