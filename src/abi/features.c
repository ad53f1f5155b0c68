/* features.def as tables. */
#include "abi/abi.h"
#include <string.h>

static const struct abi_feature features[] = {
#define FEATURE(NAME, since, what, source) {#NAME, what, source, since},
#include "abi/features.def"
};
static const struct {
	const char *structure, *member;
	u16 since;
} fields[] = {
#define FIELD(structure, member, since, source) {#structure, #member, since},
#include "abi/features.def"
};

const struct abi_feature *abi_feature(u32 feature) {
	return feature < ARRAY_SIZE(features) ? &features[feature] : NULL;
}

u16 abi_field_since(const char *structure, const char *member) {
	for (u32 i = 0; member && i < ARRAY_SIZE(fields); i++)
		if (!strcmp(fields[i].structure, structure) && !strcmp(fields[i].member, member))
			return fields[i].since;
	return 0;
}
