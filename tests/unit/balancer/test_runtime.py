"""What HAProxy 2.6.12 answered, read back."""

from __future__ import annotations

from stampede.balancer.runtime import parse_failed_reloads, parse_info, parse_rows, parse_server_states
from stampede.balancer.sockets import ListeningSocket, parse_listening

STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr \
srv_agent_port
3 shop.web.80 1 web-2 127.0.0.2 2 0 1 1 0 6 3 3 6 0 0 0 - 18090 - 0 0 - - 0
3 shop.web.80 2 web-3 127.0.0.3 0 8 1 1 0 6 0 0 6 0 0 0 - 18090 - 0 0 - - 0
3 shop.web.80 3 web-4 127.0.0.4 0 5 1 1 0 1 0 0 6 0 0 0 - 18090 - 0 0 - - 0
"""
PROCESSES = """#<PID>          <type>          <reloads>       <uptime>        <version>
8137            master          3 [failed: 2]   0d00h00m05s     2.6.12-1+deb12u4
# workers
8140            worker          0               0d00h00m05s     2.6.12-1+deb12u4
# programs
"""
SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 28716 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 28720 1 0 20 4 30 10 -1
"""
SOCKETS6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 31 1
"""


def test_states_of_servers() -> None:
    serving, joining, removed = parse_server_states(STATES)
    assert (serving.name, serving.address, serving.port) == ("web-2", "127.0.0.2", 18090)
    assert serving.running
    assert serving.passed
    assert (joining.drained, joining.maintenance, joining.running, joining.passed) == (True, False, False, False)
    assert removed.maintenance


def test_a_backend_without_servers_and_one_that_is_unknown() -> None:
    assert parse_server_states("\n".join(STATES.splitlines()[:2])) == ()
    assert parse_server_states("Can't find backend.") == ()


def test_counters() -> None:
    header = "# pxname,svname,qcur,scur,stot,bin,bout,econ,hrsp_5xx,"
    (row,) = parse_rows(f"{header}\nshop.web.80,web-2,1,2,30,400,500,,6,\n\n")
    assert (row.proxy, row.name, row.queued, row.sessions, row.sessions_total) == ("shop.web.80", "web-2", 1, 2, 30)
    assert (row.connection_errors, row.responses_5xx) == (0, 6)
    assert parse_rows("") == ()


def test_information_and_failed_reloads() -> None:
    assert parse_info("Name: HAProxy\nPid: 8140\ndescription: listeners-1f\n")["description"] == "listeners-1f"
    assert parse_failed_reloads(PROCESSES) == 2
    assert parse_failed_reloads("") == 0


def test_only_listening_sockets_count() -> None:
    assert parse_listening(SOCKETS) == (ListeningSocket("127.0.0.1", 8080, 28716),)
    assert parse_listening(SOCKETS6) == (ListeningSocket("::1", 80, 31),)
