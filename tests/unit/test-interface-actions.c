/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "polkit/actions.h"

#define ACTION_ANNOTATION "org.guestbus1.PolkitAction"

/* The interface descriptions, from the command line. */
static char **files;

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static char *attribute(xmlNode *node, const char *name)
{
    xmlChar *value = xmlGetProp(node, (const xmlChar *)name);
    char *copy = g_strdup(value ? (const char *)value : "");

    xmlFree(value);
    return copy;
}

/* The action that a method is documented with, or "" for none. */
static char *documented_action(xmlNode *method)
{
    for (xmlNode *node = method->children; node; node = node->next) {
        g_autofree char *name = is_element(node, "annotation") ? attribute(node, "name") : NULL;

        if (name && strcmp(name, ACTION_ANNOTATION) == 0)
            return attribute(node, "value");
    }
    return g_strdup(ACTION_FREE);
}

static int methods_check(xmlNode *interface)
{
    g_autofree char *interface_name = attribute(interface, "name");
    int methods = 0;

    for (xmlNode *node = interface->children; node; node = node->next) {
        g_autofree char *name = NULL, *documented = NULL;
        const char *action;

        if (!is_element(node, "method"))
            continue;
        name = attribute(node, "name");
        documented = documented_action(node);
        action = action_for_method(interface_name, name);
        if (!action || strcmp(action, documented) != 0)
            print_message("%s.%s: documented \"%s\", asked for \"%s\"\n", interface_name, name, documented,
                          action ? action : "(no entry)");
        assert_non_null(action);
        assert_string_equal(action, documented);
        methods++;
    }
    return methods;
}

static void test_every_method_asks_for_the_documented_action(void **state)
{
    int methods = 0;

    for (char **file = files; *file; file++) {
        xmlDoc *document = xmlReadFile(*file, NULL, XML_PARSE_NONET);

        assert_non_null(document);
        for (xmlNode *node = xmlDocGetRootElement(document)->children; node; node = node->next)
            methods += is_element(node, "interface") ? methods_check(node) : 0;
        xmlFreeDoc(document);
    }
    /* Manager 3, Source 1, VM 14, Guest 7, Reporter 4: an empty loop is no success. */
    assert_true(methods >= 29);
    xmlCleanupParser();
}

static void test_unknown_methods_have_no_action(void **state)
{
    assert_null(action_for_method("org.guestbus1.VM", "Explode"));
    assert_null(action_for_method("org.guestbus1.Unknown", "Start"));
    assert_null(action_for_method(NULL, "Start"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_asks_for_the_documented_action),
        cmocka_unit_test(test_unknown_methods_have_no_action),
    };

    files = argv + 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
