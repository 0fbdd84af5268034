/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/qmp/details.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "service/cleanup.h"

static void json_object_putp(struct json_object **object)
{
    json_object_put(*object);
}

static void json_tokener_freep(struct json_tokener **tokener)
{
    if (*tokener)
        json_tokener_free(*tokener);
}

/* D-Bus allows the noncharacters of Unicode, sd-bus refuses the whole message for one of them. */
static bool character_fits(gunichar c)
{
    return c != 0 && (c & 0xFFFE) != 0xFFFE && !(c >= 0xFDD0 && c <= 0xFDEF);
}

static int check_text(const char *text, size_t length)
{
    /* With an explicit length a zero byte inside is an error too. */
    if (!g_utf8_validate(text, (gssize)length, NULL))
        return -EILSEQ;
    for (const char *p = text; p < text + length; p = g_utf8_next_char(p))
        if (!character_fits(g_utf8_get_char(p)))
            return -EILSEQ;
    return 0;
}

static int check_value(struct json_object *value, int depth);

static int check_array(struct json_object *array, int depth)
{
    size_t length = json_object_array_length(array);

    for (size_t i = 0; i < length; i++) {
        int r = check_value(json_object_array_get_idx(array, i), depth);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_object(struct json_object *object, int depth)
{
    json_object_object_foreach(object, key, member)
    {
        int r = check_text(key, strlen(key));
        if (r >= 0)
            r = check_value(member, depth);
        if (r < 0)
            return r;
    }
    return 0;
}

/* `depth` is the number of containers around the value. */
static int check_value(struct json_object *value, int depth)
{
    switch (json_object_get_type(value)) {
    case json_type_string:
        return check_text(json_object_get_string(value), (size_t)json_object_get_string_len(value));
    case json_type_double:
        return isfinite(json_object_get_double(value)) ? 0 : -ERANGE;
    case json_type_array:
        return depth >= QMP_JSON_DEPTH_MAX ? -ELOOP : check_array(value, depth + 1);
    case json_type_object:
        return depth >= QMP_JSON_DEPTH_MAX ? -ELOOP : check_object(value, depth + 1);
    default:
        return 0;
    }
}

/* Steps over a string; `p` is at its opening quote. */
static const char *skip_string(const char *p)
{
    char quote = *p++;

    while (*p && *p != quote)
        p += p[0] == '\\' && p[1] ? 2 : 1;
    return *p ? p + 1 : p;
}

/* Checks one number and steps over it. With a fraction or an exponent it is a double and has no such limit.
 */
static const char *skip_number(const char *p, int *ret_error)
{
    size_t length = strspn(p, "+-0123456789.eE");

    if (strcspn(p, ".eE") >= length) {
        errno = 0;
        if (*p == '-')
            (void)strtoll(p, NULL, 10);
        else
            (void)strtoull(p, NULL, 10);
        if (errno == ERANGE)
            *ret_error = -ERANGE;
    }
    return p + length;
}

/* json-c turns an integer that is too large into the largest one, which would be a lie on the bus, and the
 * tree does not show it any more: look at the text, which is known to be JSON by now. */
static int check_integers(const char *text)
{
    const char *p = text;
    int error = 0;

    while (*p && error == 0) {
        if (*p == '"' || *p == '\'')
            p = skip_string(p);
        else if (*p == '-' || g_ascii_isdigit(*p))
            p = skip_number(p, &error);
        else
            p++;
    }
    return error;
}

static int parse_text(const char *text, size_t length, struct json_object **ret)
{
    /* Two levels beyond the limit, because json-c counts a scalar as one; check_value() is what decides. */
    _cleanup_(json_tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(QMP_JSON_DEPTH_MAX + 2);

    if (!tokener)
        return -ENOMEM;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    /* The terminator belongs to what is parsed: only then does json-c know that nothing follows. */
    *ret = json_tokener_parse_ex(tokener, text, (int)length + 1);
    switch (json_tokener_get_error(tokener)) {
    case json_tokener_success:
        return 0;
    case json_tokener_error_depth:
        return -ELOOP;
    default:
        return -EBADMSG;
    }
}

int qmp_details_parse(const char *text, struct json_object **ret)
{
    _cleanup_(json_object_putp) struct json_object *object = NULL;
    size_t length;
    int r;

    if (!text) {
        *ret = NULL;
        return 0;
    }
    length = strnlen(text, QMP_DETAILS_SIZE_MAX + 1);
    if (length > QMP_DETAILS_SIZE_MAX)
        return -EMSGSIZE;
    if (!g_utf8_validate(text, (gssize)length, NULL))
        return -EILSEQ;
    r = parse_text(text, length, &object);
    if (r < 0)
        return r;
    if (!json_object_is_type(object, json_type_object))
        return -EBADMSG;
    r = check_integers(text);
    if (r < 0)
        return r;
    r = check_value(object, 0);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(object);
    return 0;
}

const char *qmp_details_error(int error)
{
    switch (error) {
    case -EMSGSIZE:
        return "it is too long";
    case -ELOOP:
        return "it is nested too deeply";
    case -EILSEQ:
        return "its text is not valid UTF-8 for the bus";
    case -ERANGE:
        return "a number in it is out of range";
    case -EBADMSG:
        return "it is not a JSON object";
    default:
        return strerror(-error);
    }
}
