/* Values by their BTF type, as JSON. A value comes from memory that a traced process may have written: the type decides
 * how many bytes are read, the bytes decide nothing. */
#include "cli/object.h"
#include "btf/value.h"
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

static json_t *unsigned_json(u64 v) {
	char text[24];
	if (v <= INT64_MAX)
		return json_integer((json_int_t)v);
	snprintf(text, sizeof text, "0x%llx", (unsigned long long)v); /* jansson's integers are signed */
	return json_string(text);
}

static json_t *untyped_json(const void *data, u32 bytes) {
	u64 v = 0;
	if (bytes > 8 || !is_power_of_two(bytes))
		return bytes_json(data, bytes);
	memcpy(&v, data, bytes);
	return unsigned_json(v);
}

struct building {
	json_t *stack[DEPTH_MAX];
	u32 depth; /* may exceed the stack: deeper parts are left out */
	json_t *result;
};

static void put(struct building *b, const char *key, json_t *value) {
	json_t *top = b->depth && b->depth <= DEPTH_MAX ? b->stack[b->depth - 1] : NULL;
	if (!b->depth)
		b->result = value;
	else if (json_is_object(top))
		json_object_set_new(top, key ? key : "", value);
	else if (json_is_array(top))
		json_array_append_new(top, value);
	else
		json_decref(value);
}

static void begin(void *owner, enum btf_value_group group, const char *key, u32 index) {
	struct building *b = owner;
	json_t *v = group == BTF_GROUP_ARRAY ? json_array() : json_object();
	put(b, key, v);
	if (b->depth++ < DEPTH_MAX)
		b->stack[b->depth - 1] = v; /* borrowed from its parent */
}

static void end(void *owner, enum btf_value_group group) {
	((struct building *)owner)->depth--;
}

static void scalar(void *owner, const char *key, u32 index, const struct btf_value *v) {
	struct building *b = owner;
	char text[40];
	json_t *j;
	switch (v->kind) {
	case BTF_VALUE_SIGNED:
		j = json_integer((json_int_t)v->i);
		break;
	case BTF_VALUE_UNSIGNED:
	case BTF_VALUE_CHAR:
		j = unsigned_json(v->u);
		break;
	case BTF_VALUE_BOOL:
		j = json_boolean(v->u);
		break;
	case BTF_VALUE_FLOAT:
		j = json_real(v->f);
		break;
	case BTF_VALUE_STRING:
		j = json_stringn(v->text, v->size); /* NULL when it is not UTF-8 */
		j = j ? j : bytes_json(v->text, v->size);
		break;
	case BTF_VALUE_ENUM:
		j = v->text ? json_string(v->text) : json_integer((json_int_t)v->i);
		break;
	case BTF_VALUE_WIDE:
		snprintf(text, sizeof text, "0x%llx%016llx", (unsigned long long)v->wide[1], (unsigned long long)v->wide[0]);
		j = json_string(text);
		break;
	case BTF_VALUE_BYTES:
		j = bytes_json(v->text, v->size);
		break;
	default:
		snprintf(text, sizeof text, "0x%llx", (unsigned long long)v->u);
		j = json_string(text);
	}
	put(b, key, j);
}

json_t *value_json(const struct btf *btf, u32 type, const void *data, u32 bytes) {
	struct building b = {0};
	struct btf_visitor visitor = {.owner = &b, .begin = begin, .end = end, .scalar = scalar};
	if (btf && type && btf_visit(btf, type, data, bytes, &visitor) == 0 && b.result)
		return b.result;
	json_decref(b.result);
	return untyped_json(data, bytes);
}
