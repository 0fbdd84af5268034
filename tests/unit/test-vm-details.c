/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "service/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char full[] =
    "<domain type='kvm' id='3'><name>web1</name><title>The web</title><description>line 1\nline "
    "2</description>"
    "<metadata>"
    "<libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>"
    "<libosinfo:os id='http://debian.org/debian/12'/></libosinfo:libosinfo>"
    "</metadata>"
    "<devices>"
    "<interface type='network'><mac address='52:54:00:AB:cd:ef'/><source network='default'/></interface>"
    "<interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/></interface>"
    "<channel type='unix'><source mode='bind' path='/run/ga'/>"
    "<target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>"
    "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0' "
    "state='disconnected'/></channel>"
    "<channel type='unix'><target type='guestfwd' address='10.0.2.1' port='4600'/></channel>"
    "<graphics type='vnc' port='5901' autoport='yes' listen='127.0.0.1' websocket='5701'>"
    "<listen type='address' address='127.0.0.1'/></graphics>"
    "<graphics type='spice' port='-1' tlsPort='5902'><listen type='address' address='::'/></graphics>"
    "<graphics type='vnc'><listen type='socket' socket='/run/vnc.sock'/></graphics>"
    "<memballoon model='virtio'><stats period='5'/></memballoon>"
    "</devices></domain>";

static void test_everything(void **state)
{
    g_autoptr(VMDetails) details = vm_details_parse(full);
    const VMGraphics *vnc = details->graphics->pdata[0], *spice = details->graphics->pdata[1],
                     *unix_vnc = details->graphics->pdata[2];
    const VMChannel *agent = details->channels->pdata[0];

    assert_string_equal(details->title, "The web");
    assert_string_equal(details->description, "line 1\nline 2");
    assert_string_equal(details->os_id, "http://debian.org/debian/12");
    assert_int_equal(details->nics->len, 2);
    assert_string_equal(details->nics->pdata[0], "52:54:00:ab:cd:ef");
    assert_int_equal(details->networks->len, 1);
    assert_string_equal(details->networks->pdata[0], "default");
    assert_int_equal(details->channels->len, 2);
    assert_string_equal(agent->name, "org.qemu.guest_agent.0");
    assert_string_equal(agent->path, "/run/ga");
    assert_true(agent->connected);
    assert_int_equal(details->graphics->len, 3);
    assert_int_equal(vnc->port, 5901);
    assert_int_equal(vnc->websocket, 5701);
    assert_string_equal(vnc->address, "127.0.0.1");
    assert_int_equal(spice->port, 0);
    assert_int_equal(spice->tls_port, 5902);
    assert_string_equal(spice->address, "::");
    assert_string_equal(unix_vnc->socket, "/run/vnc.sock");
    assert_true(details->has_balloon);
    assert_int_equal(details->stats_period, 5);
    assert_false(details->managed_by_ovirt);
    assert_int_equal(details->cut, 0);
}

static void test_nonsense_is_empty(void **state)
{
    static const char *const texts[] = {
        "",
        "<",
        "<domain",
        "<domain/>",
        "<network><title>x</title></network>",
        "not xml",
        "<domain><devices><graphics/><channel/><interface/><memballoon/></devices></domain>",
        "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><domain><title>&e;</title></domain>",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(VMDetails) details = vm_details_parse(texts[i]);

        assert_string_equal(details->title, "");
        assert_string_equal(details->os_id, "");
        assert_int_equal(details->channels->len, 0);
    }
}

static void test_caps(void **state)
{
    g_autoptr(GString) xml = g_string_new("<domain><title>");
    g_autoptr(VMDetails) details = NULL;

    for (int i = 0; i < 3000; i++)
        g_string_append(xml, "ä");
    g_string_append(xml, "</title><devices>");
    for (int i = 0; i < 500; i++)
        g_string_append(
            xml,
            "<graphics type='vnc' port='5900'/><interface type='network'><mac address='52:54:00:00:00:01'/>"
            "<source network='n'/></interface><channel><target type='virtio' name='x'/></channel>");
    g_string_append(xml, "</devices></domain>");
    details = vm_details_parse(xml->str);
    assert_int_equal(strlen(details->title), 254);
    assert_true(g_utf8_validate(details->title, -1, NULL));
    assert_int_equal(details->graphics->len, VM_GRAPHICS_MAX);
    assert_int_equal(details->nics->len, VM_NICS_MAX);
    assert_int_equal(details->channels->len, VM_CHANNELS_MAX);
    assert_int_equal(details->cut, 1);
}

static void test_ovirt(void **state)
{
    g_autoptr(VMDetails) by_metadata =
        vm_details_parse("<domain><metadata><o:vm xmlns:o='http://ovirt.org/vm/1.0'/></metadata></domain>");
    g_autoptr(VMDetails) by_socket =
        vm_details_parse("<domain><devices><channel type='unix'><source "
                         "path='/var/lib/libvirt/qemu/channels/u.ovirt-guest-agent.0'/>"
                         "<target type='virtio' name='ovirt-guest-agent.0'/></channel></devices></domain>");

    assert_true(by_metadata->managed_by_ovirt);
    assert_true(by_socket->managed_by_ovirt);
}

static void test_reasons(void **state)
{
    assert_string_equal(vm_reason_name(VM_RUNNING, VIR_DOMAIN_RUNNING_BOOTED), "booted");
    assert_string_equal(vm_reason_name(VM_PAUSED, VIR_DOMAIN_PAUSED_IOERROR), "io-error");
    assert_string_equal(vm_reason_name(VM_SHUT_OFF, VIR_DOMAIN_SHUTOFF_SAVED), "saved");
    assert_string_equal(vm_reason_name(VM_CRASHED, VIR_DOMAIN_CRASHED_PANICKED), "panicked");
    assert_string_equal(vm_reason_name(VM_RUNNING, 99), "unknown");
    assert_string_equal(vm_reason_name(VM_PAUSED, -1), "unknown");
    for (int state_number = -1; state_number < 20; state_number++)
        assert_non_null(vm_state_name(vm_state_from_libvirt(state_number)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything), cmocka_unit_test(test_nonsense_is_empty),
        cmocka_unit_test(test_caps),       cmocka_unit_test(test_ovirt),
        cmocka_unit_test(test_reasons),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
