/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "dbus/qmp-message.h"
#include "service/cleanup.h"
#include "tests/unit/message.h"

#define TIMESTAMP UINT64_C(1795257992419339)
#define T "t1795257992419339 "

typedef struct Sample {
    const char *event;
    const char *details;  /* the bytes as they were sent */
    const char *expected; /* the typed signal's arguments, NULL when there is none */
} Sample;

#define PEER(service, rest)                                                                                  \
    "{s\"family\" <s\"ipv4\"> s\"service\" <s\"" service "\"> s\"host\" <s\"127.0.0.1\">" rest "}"

/* clang-format off */

/* What QEMU 7.2 sent through libvirt 9.0. */
static const Sample qemu[] = {
    {"ACPI_DEVICE_OST",
     "{\"info\":{\"device\":\"dimm0\",\"source\":1,\"status\":0,\"slot\":\"0\",\"slot-type\":\"DIMM\"}}",
     T "{s\"device\" <s\"dimm0\"> s\"source\" <x1> s\"status\" <x0> s\"slot\" <s\"0\"> s\"slot-type\" <s\"DIMM\">}"},
    {"ACPI_DEVICE_OST", "{\"info\":{\"source\":3,\"status\":132,\"slot\":\"0\",\"slot-type\":\"DIMM\"}}",
     T "{s\"source\" <x3> s\"status\" <x132> s\"slot\" <s\"0\"> s\"slot-type\" <s\"DIMM\">}"},
    {"BALLOON_CHANGE", "{\"actual\":133169152}", T "t133169152"},
    {"GUEST_PANICKED", "{\"action\":\"pause\"}", T "s\"pause\" {}"},
    {"NIC_RX_FILTER_CHANGED", "{\"name\":\"net0\",\"path\":\"/machine/peripheral/net0/virtio-backend\"}",
     T "s\"net0\" s\"/machine/peripheral/net0/virtio-backend\""},
    {"QUORUM_FAILURE", "{\"reference\":\"q0\",\"sectors-count\":1,\"sector-num\":128}", T "s\"q0\" t128 t1"},
    {"QUORUM_REPORT_BAD", "{\"node-name\":\"qc\",\"sectors-count\":1,\"sector-num\":8,\"type\":\"read\"}",
     T "s\"qc\" s\"read\" t8 t1 s\"\""},
    {"QUORUM_REPORT_BAD",
     "{\"node-name\":\"qc\",\"sectors-count\":0,\"sector-num\":0,\"type\":\"flush\",\"error\":\"Input/output error\"}",
     T "s\"qc\" s\"flush\" t0 t0 s\"Input/output error\""},
    {"SPICE_CONNECTED",
     "{\"server\":{\"port\":\"5901\",\"family\":\"ipv4\",\"host\":\"127.0.0.1\"},"
     "\"client\":{\"port\":\"39916\",\"family\":\"ipv4\",\"host\":\"127.0.0.1\"}}",
     T "{s\"port\" <s\"5901\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">} "
     "{s\"port\" <s\"39916\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">}"},
    {"SPICE_INITIALIZED",
     "{\"server\":{\"auth\":\"none\",\"port\":\"5901\",\"family\":\"ipv4\",\"host\":\"127.0.0.1\"},"
     "\"client\":{\"port\":\"44692\",\"family\":\"ipv4\",\"channel-type\":1,\"connection-id\":-1304607917,"
     "\"host\":\"127.0.0.1\",\"channel-id\":0,\"tls\":false}}",
     T "{s\"auth\" <s\"none\"> s\"port\" <s\"5901\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">} "
     "{s\"port\" <s\"44692\"> s\"family\" <s\"ipv4\"> s\"channel-type\" <x1> s\"connection-id\" <x-1304607917> "
     "s\"host\" <s\"127.0.0.1\"> s\"channel-id\" <x0> s\"tls\" <bfalse>}"},
    {"SPICE_DISCONNECTED",
     "{\"server\":{\"port\":\"5901\",\"family\":\"ipv4\",\"host\":\"127.0.0.1\"},"
     "\"client\":{\"port\":\"39922\",\"family\":\"ipv4\",\"host\":\"127.0.0.1\"}}",
     T "{s\"port\" <s\"5901\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">} "
     "{s\"port\" <s\"39922\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">}"},
    {"VNC_CONNECTED",
     "{\"server\":{\"auth\":\"none\",\"family\":\"ipv4\",\"service\":\"5900\",\"host\":\"127.0.0.1\",\"websocket\":false},"
     "\"client\":{\"family\":\"ipv4\",\"service\":\"55274\",\"host\":\"127.0.0.1\",\"websocket\":false}}",
     T "{s\"auth\" <s\"none\"> s\"family\" <s\"ipv4\"> s\"service\" <s\"5900\"> s\"host\" <s\"127.0.0.1\"> "
     "s\"websocket\" <bfalse>} " PEER("55274", " s\"websocket\" <bfalse>")},
    {"VNC_INITIALIZED",
     "{\"server\":{\"auth\":\"none\",\"family\":\"ipv4\",\"service\":\"5900\",\"host\":\"127.0.0.1\",\"websocket\":false},"
     "\"client\":{\"family\":\"ipv4\",\"service\":\"55278\",\"host\":\"127.0.0.1\",\"websocket\":false}}",
     T "{s\"auth\" <s\"none\"> s\"family\" <s\"ipv4\"> s\"service\" <s\"5900\"> s\"host\" <s\"127.0.0.1\"> "
     "s\"websocket\" <bfalse>} " PEER("55278", " s\"websocket\" <bfalse>")},
    {"VNC_DISCONNECTED",
     "{\"server\":{\"auth\":\"none\",\"family\":\"ipv4\",\"service\":\"5900\",\"host\":\"127.0.0.1\",\"websocket\":false},"
     "\"client\":{\"family\":\"ipv4\",\"service\":\"55278\",\"host\":\"127.0.0.1\",\"websocket\":false}}",
     T "{s\"auth\" <s\"none\"> s\"family\" <s\"ipv4\"> s\"service\" <s\"5900\"> s\"host\" <s\"127.0.0.1\"> "
     "s\"websocket\" <bfalse>} " PEER("55278", " s\"websocket\" <bfalse>")},
};

/* The examples of the protocol page, and what it says of members that may be absent. */
static const Sample protocol_page[] = {
    {"ACPI_DEVICE_OST", "{ \"device\": \"d1\", \"slot\": \"0\", \"slot-type\": \"DIMM\", \"source\": 1, \"status\": 0 }",
     T "{s\"device\" <s\"d1\"> s\"slot\" <s\"0\"> s\"slot-type\" <s\"DIMM\"> s\"source\" <x1> s\"status\" <x0>}"},
    {"BALLOON_CHANGE", "{ \"actual\": 944766976 }", T "t944766976"},
    {"GUEST_PANICKED", "{ \"action\": \"pause\" }", T "s\"pause\" {}"},
    {"GUEST_PANICKED",
     "{ \"action\": \"poweroff\", \"info\": { \"type\": \"hyper-v\", \"arg1\": 18446744073709551615, \"arg2\": 0 } }",
     T "s\"poweroff\" {s\"type\" <s\"hyper-v\"> s\"arg1\" <t18446744073709551615> s\"arg2\" <x0>}"},
    {"NIC_RX_FILTER_CHANGED", "{ \"name\": \"vnet0\",\n            \"path\": \"/machine/peripheral/vnet0/virtio-backend\" }",
     T "s\"vnet0\" s\"/machine/peripheral/vnet0/virtio-backend\""},
    {"NIC_RX_FILTER_CHANGED", "{ \"path\": \"/machine/peripheral/vnet0/virtio-backend\" }",
     T "s\"\" s\"/machine/peripheral/vnet0/virtio-backend\""},
    {"QUORUM_FAILURE", "{ \"reference\": \"usr1\", \"sector-num\": 345435, \"sector-count\": 5 }", T "s\"usr1\" t345435 t5"},
    {"QUORUM_FAILURE", "{ \"reference\": \"usr1\", \"sector-num\": 345435, \"sectors-count\": 5 }", T "s\"usr1\" t345435 t5"},
    {"QUORUM_REPORT_BAD", "{ \"node-name\": \"1.raw\", \"sector-num\": 345435, \"sector-count\": 5 }",
     T "s\"1.raw\" s\"\" t345435 t5 s\"\""},
    {"QUORUM_REPORT_BAD",
     "{ \"node-name\": \"node0\", \"sector-num\": 0, \"sectors-count\": 2097120,\n"
     "               \"type\": \"flush\", \"error\": \"Broken pipe\" }",
     T "s\"node0\" s\"flush\" t0 t2097120 s\"Broken pipe\""},
    {"SPICE_CONNECTED",
     "{\n    \"server\": { \"port\": \"5920\", \"family\": \"ipv4\", \"host\": \"127.0.0.1\"},\n"
     "    \"client\": {\"port\": \"52873\", \"family\": \"ipv4\", \"host\": \"127.0.0.1\"}\n}",
     T "{s\"port\" <s\"5920\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">} "
     "{s\"port\" <s\"52873\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">}"},
    {"SPICE_DISCONNECTED",
     "{\n    \"server\": { \"port\": \"5920\", \"family\": \"ipv4\", \"host\": \"127.0.0.1\"},\n"
     "    \"client\": {\"port\": \"52873\", \"family\": \"ipv4\", \"host\": \"127.0.0.1\"}\n}",
     T "{s\"port\" <s\"5920\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">} "
     "{s\"port\" <s\"52873\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">}"},
    {"SPICE_INITIALIZED",
     "{\"server\": {\"auth\": \"spice\", \"port\": \"5921\",\n                      \"family\": \"ipv4\", \"host\": \"127.0.0.1\"},\n"
     "           \"client\": {\"port\": \"49004\", \"family\": \"ipv4\", \"channel-type\": 3,\n"
     "                      \"connection-id\": 1804289383, \"host\": \"127.0.0.1\",\n"
     "                      \"channel-id\": 0, \"tls\": true}\n}",
     T "{s\"auth\" <s\"spice\"> s\"port\" <s\"5921\"> s\"family\" <s\"ipv4\"> s\"host\" <s\"127.0.0.1\">} "
     "{s\"port\" <s\"49004\"> s\"family\" <s\"ipv4\"> s\"channel-type\" <x3> s\"connection-id\" <x1804289383> "
     "s\"host\" <s\"127.0.0.1\"> s\"channel-id\" <x0> s\"tls\" <btrue>}"},
    {"VNC_CONNECTED",
     "{\n        \"server\": { \"auth\": \"sasl\", \"family\": \"ipv4\",\n"
     "                    \"service\": \"5901\", \"host\": \"0.0.0.0\" },\n"
     "        \"client\": { \"family\": \"ipv4\", \"service\": \"58425\",\n                    \"host\": \"127.0.0.1\" } }",
     T "{s\"auth\" <s\"sasl\"> s\"family\" <s\"ipv4\"> s\"service\" <s\"5901\"> s\"host\" <s\"0.0.0.0\">} " PEER("58425", "")},
    {"VNC_DISCONNECTED",
     "{\n        \"server\": { \"auth\": \"sasl\", \"family\": \"ipv4\",\n"
     "                    \"service\": \"5901\", \"host\": \"0.0.0.0\" },\n"
     "        \"client\": { \"family\": \"ipv4\", \"service\": \"58425\",\n"
     "                    \"host\": \"127.0.0.1\", \"sasl_username\": \"luiz\" } }",
     T "{s\"auth\" <s\"sasl\"> s\"family\" <s\"ipv4\"> s\"service\" <s\"5901\"> s\"host\" <s\"0.0.0.0\">} "
     PEER("58425", " s\"sasl_username\" <s\"luiz\">")},
    {"VNC_INITIALIZED",
     "{\n        \"server\": { \"auth\": \"sasl\", \"family\": \"ipv4\",\n"
     "                    \"service\": \"5901\", \"host\": \"0.0.0.0\"},\n"
     "        \"client\": { \"family\": \"ipv4\", \"service\": \"46089\",\n"
     "                    \"host\": \"127.0.0.1\", \"sasl_username\": \"luiz\" } }",
     T "{s\"auth\" <s\"sasl\"> s\"family\" <s\"ipv4\"> s\"service\" <s\"5901\"> s\"host\" <s\"0.0.0.0\">} "
     PEER("46089", " s\"sasl_username\" <s\"luiz\">")},
    {"VNC_INITIALIZED",
     "{ \"server\": { \"family\": \"ipv4\" }, \"client\": { \"x509_dname\": \"CN=a\", \"sasl_username\": null } }",
     T "{s\"family\" <s\"ipv4\">} {s\"x509_dname\" <s\"CN=a\">}"},
};

/* What no QEMU sends: the typed signal is left out rather than made up. */
static const Sample damaged[] = {
    {"BALLOON_CHANGE", NULL, NULL},
    {"BALLOON_CHANGE", "{}", NULL},
    {"BALLOON_CHANGE", "{\"actual\":null}", NULL},
    {"BALLOON_CHANGE", "{\"actual\":-1}", NULL},
    {"BALLOON_CHANGE", "{\"actual\":1.5}", NULL},
    {"BALLOON_CHANGE", "{\"actual\":\"1\"}", NULL},
    {"BALLOON_CHANGE", "{\"actual\":18446744073709551615}", T "t18446744073709551615"},
    {"GUEST_PANICKED", NULL, T "s\"\" {}"},
    {"GUEST_PANICKED", "{\"action\":1}", NULL},
    {"GUEST_PANICKED", "{\"action\":\"run\",\"info\":[]}", NULL},
    {"GUEST_PANICKED", "{\"action\":\"run\",\"info\":null}", T "s\"run\" {}"},
    {"ACPI_DEVICE_OST", NULL, T "{}"},
    {"ACPI_DEVICE_OST", "{\"info\":\"text\"}", NULL},
    {"VNC_CONNECTED", NULL, T "{} {}"},
    {"VNC_CONNECTED", "{\"server\":{}}", T "{} {}"},
    {"VNC_CONNECTED", "{\"server\":[]}", NULL},
    {"QUORUM_FAILURE", "{\"sector-num\":1}", NULL},
};
/* clang-format on */

static char *typed_text(sd_bus *bus, const QMPSignal *signal, const QMPEvent *event)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
    g_autofree char *signature = g_strconcat("t", signal->signature, NULL);
    char *text;

    if (!qmp_signal_fits(signal, event->details))
        return NULL;
    assert_int_equal(qmp_message_new_typed(bus, "/vm", signal, event, &message), 0);
    text = message_to_text(message, NULL);
    assert_string_equal(sd_bus_message_get_member(message), signal->signal);
    assert_string_equal(sd_bus_message_get_interface(message), "org.guestbus1.QMP");
    assert_string_equal(sd_bus_message_get_path(message), "/vm");
    assert_string_equal(sd_bus_message_get_signature(message, 1), signature);
    return text;
}

static void check_samples(const Sample *samples, size_t count)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus_new();

    for (size_t i = 0; i < count; i++) {
        _cleanup_(qmp_event_freep) QMPEvent *event = NULL;
        const QMPSignal *signal = qmp_table_find(samples[i].event);
        g_autofree char *text = NULL;

        assert_non_null(signal);
        assert_int_equal(qmp_event_new(samples[i].event, TIMESTAMP, samples[i].details, &event), 0);
        text = typed_text(bus, signal, event);
        if (g_strcmp0(text, samples[i].expected) != 0)
            fail_msg("%s %s\ngives    %s\nexpected %s", samples[i].event, samples[i].details, text,
                     samples[i].expected);
    }
}

static void test_samples_of_qemu(void **state)
{
    check_samples(qemu, G_N_ELEMENTS(qemu));
}

static void test_samples_of_the_protocol_page(void **state)
{
    check_samples(protocol_page, G_N_ELEMENTS(protocol_page));
}

static void test_damaged(void **state)
{
    check_samples(damaged, G_N_ELEMENTS(damaged));
}

static bool has_sample(const char *event, const Sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(samples[i].event, event) == 0)
            return true;
    return false;
}

/* A row without a sample of both kinds, or whose signature does not say what its fields are, is not done. */
static void test_every_row(void **state)
{
    static const char *const types[] = {"s", "t", "a{sv}", "a{sv}"};
    size_t count;
    const QMPSignal *table = qmp_table(&count);

    assert_int_equal(count, 12);
    for (size_t i = 0; i < count; i++) {
        g_autoptr(GString) signature = g_string_new(NULL);

        assert_ptr_equal(qmp_table_find(table[i].event), &table[i]);
        assert_true(has_sample(table[i].event, qemu, G_N_ELEMENTS(qemu)));
        assert_true(has_sample(table[i].event, protocol_page, G_N_ELEMENTS(protocol_page)));
        for (size_t k = 0; k < qmp_signal_count_fields(&table[i]); k++)
            g_string_append(signature, types[table[i].fields[k].kind]);
        assert_string_equal(table[i].signature, signature->str);
    }
    assert_null(qmp_table_find("STOP"));
    assert_null(qmp_table_find(""));
}

static void test_generic_event(void **state)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = message_bus_new();
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *with_data = NULL, *without = NULL;
    _cleanup_(qmp_event_freep) QMPEvent *reset = NULL, *stop = NULL;
    g_autofree char *with_text = NULL, *without_text = NULL;

    assert_int_equal(qmp_event_new("RESET", TIMESTAMP, "{\"guest\":true,\"reason\":\"guest-reset\"}", &reset),
                     0);
    assert_int_equal(qmp_message_new_event(bus, "/vm", reset, &with_data), 0);
    with_text = message_to_text(with_data, NULL);
    assert_string_equal(with_text, "s\"RESET\" " T "{s\"guest\" <btrue> s\"reason\" <s\"guest-reset\">}");
    assert_string_equal(sd_bus_message_get_member(with_data), "Event");
    assert_string_equal(sd_bus_message_get_signature(with_data, 1), "sta{sv}");

    assert_int_equal(qmp_event_new("STOP", TIMESTAMP, NULL, &stop), 0);
    assert_int_equal(qmp_message_new_event(bus, "/vm", stop, &without), 0);
    without_text = message_to_text(without, NULL);
    assert_string_equal(without_text, "s\"STOP\" " T "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_of_qemu), cmocka_unit_test(test_samples_of_the_protocol_page),
        cmocka_unit_test(test_damaged),         cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_generic_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
