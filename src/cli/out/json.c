#include "cli/out/out.h"
#include <stdlib.h>

void out_json(json_t *value, bool pretty) {
	char *text = json_dumps(value, JSON_ENCODE_ANY | (pretty ? JSON_INDENT(4) : JSON_COMPACT));
	if (text)
		puts(text);
	free(text);
	json_decref(value);
}

void out_brief(FILE *to, const json_t *v) {
	const char *key;
	json_t *item;
	size_t i;
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		fputc('{', to);
		json_object_foreach((json_t *)v, key, item) {
			fprintf(to, "%s%s: ", item == json_object_iter_value(json_object_iter((json_t *)v)) ? "" : ", ", key);
			out_brief(to, item);
		}
		fputc('}', to);
		break;
	case JSON_ARRAY:
		fputc('[', to);
		json_array_foreach(v, i, item) {
			fputs(i ? ", " : "", to);
			out_brief(to, item);
		}
		fputc(']', to);
		break;
	case JSON_STRING:
		fputs(json_string_value(v), to);
		break;
	case JSON_INTEGER:
		fprintf(to, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		fprintf(to, "%.6g", json_real_value(v));
		break;
	case JSON_TRUE:
		fputs("true", to);
		break;
	case JSON_FALSE:
		fputs("false", to);
		break;
	default:
		fputs("-", to);
	}
}
