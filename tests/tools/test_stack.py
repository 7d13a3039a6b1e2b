"""The private servers: what `make run`, the tests and the benchmark stand on."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pytest
from kit import ports, proc
from kit.stack import Stack
from kit.throwaway import throw_away_stack

ROOT = Path(__file__).resolve().parents[2]


def test_both_servers_listen_on_loopback_only(stack):
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    for port in stack.state["ports"].values():
        addresses = {line.split()[3] for line in listening.splitlines()
                     if line.split()[3].endswith(f":{port}")}
        assert addresses and addresses <= {f"127.0.0.1:{port}", f"[::1]:{port}"}


def test_a_database_opens_to_its_own_role_only(stack, database):
    mine, other = database("mine"), database("other")
    with psycopg.connect(mine) as connection:
        connection.execute("CREATE TABLE t (i int)")
    name = other.rsplit("/", 1)[1]
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(mine.rsplit("/", 1)[0] + "/" + name)


def test_a_wrong_password_is_refused(stack, database):
    url = database("mine")
    role, _, place = url.removeprefix("postgresql://").partition("@")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{role.split(':')[0]}:wrong@{place}")


@pytest.mark.parametrize("server", ["postgres", "rabbitmq"])
def test_a_killed_server_starts_again_on_the_same_port_and_data(stack, database, server):
    url = database("kept")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    before = dict(stack.state["ports"])
    stack.kill9(server)
    assert not stack.running()
    stack.start_part(server)
    assert stack.running() and stack.state["ports"] == before
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT seven FROM kept").fetchone() == (7,)


def test_another_program_sees_and_steers_the_same_stack(stack):
    seen = Stack(stack.folder)
    assert seen.running() and seen.amqp_url() == stack.amqp_url()
    said = subprocess.run([ROOT / "tools/stack", "--dir", stack.folder, "status"],
                          capture_output=True, text=True, check=True).stdout
    assert f"127.0.0.1:{stack.state['ports']['amqp']}" in said


def test_two_programs_that_start_the_same_stack_share_it():
    folder = Path(tempfile.mkdtemp(prefix="trunnion-test-"))
    folder.chmod(0o755)
    try:
        command = [ROOT / "tools/stack", "--dir", folder, "start", "--database"]
        both = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True)
                for name in ("one", "two")]
        said = [program.communicate()[0] for program in both]
        assert [program.returncode for program in both] == [0, 0], said
        assert Stack(folder).databases() == ["one", "two"]
    finally:
        Stack(folder).reset()


def test_what_another_program_killed_is_started_again(stack):
    known = stack.postgres
    subprocess.run([ROOT / "tools/stack", "--dir", stack.folder, "kill", "postgres"], check=True,
                   capture_output=True)
    stack.start()
    assert stack.running() and stack.postgres is known


def test_a_stale_pid_file_of_a_stranger_is_no_obstacle(stack):
    stack.kill9("postgres")
    pid_file = stack.postgres.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    stack.start_part("postgres")
    assert stack.postgres.running()


def test_a_process_that_took_over_an_id_is_never_signalled():
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        while not proc._command_line(sleeper.pid):
            time.sleep(0.01)
        honest = proc.Process(sleeper.pid, proc._stat(sleeper.pid)[1], "sleep")
        assert honest.alive()
        for impostor in (proc.Process(sleeper.pid, honest.started - 1, "sleep"),
                         proc.Process(sleeper.pid, honest.started, "postgres")):
            assert not impostor.alive()
            proc.stop(impostor, seconds=0.1)
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_test_that_needs_no_broker_gets_none():
    with throw_away_stack(["alone"], broker=False) as own:
        with psycopg.connect(own.database_url("alone")):
            pass
        assert own.rabbit.process is None
    assert not own.folder.exists()


def test_a_port_taken_while_down_is_replaced_and_said():
    folder = Path(tempfile.mkdtemp(prefix="trunnion-test-"))
    folder.chmod(0o755)
    own = Stack(folder)
    try:
        own._create()
        own._find_ports()
        taken = own.state["ports"]["postgres"]
        with socket.socket() as stranger:
            stranger.bind((ports.LOOPBACK, taken))
            stranger.listen()
            own._find_ports()
        assert own.state["ports"]["postgres"] != taken
        assert any(str(taken) in note for note in own.moved)
    finally:
        own.reset()
    assert not folder.exists()


def test_a_stack_whose_state_was_deleted_makes_way_for_a_new_one():
    folder = Path(tempfile.mkdtemp(prefix="trunnion-test-"))
    folder.chmod(0o755)
    try:
        lost = Stack(folder)
        lost.start()
        (folder / "state.json").unlink()
        new = Stack(folder)
        new.start()
        assert new.running() and not lost.postgres.running() and not lost.rabbit.running()
    finally:
        Stack(folder).reset()


def test_the_servers_go_when_the_program_that_guards_them_is_killed(tmp_path):
    program = (
        f"import sys, time\n"
        f"sys.path.insert(0, {str(ROOT / 'tools')!r})\n"
        f"from kit.throwaway import throw_away_stack\n"
        f"with throw_away_stack() as stack:\n"
        f"    print(stack.folder, stack.postgres.process.pid, stack.rabbit.process.pid,\n"
        f"          stack.rabbit.epmd.pid, flush=True)\n"
        f"    time.sleep(60)\n")
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    folder, *pids = child.stdout.readline().split()
    child.kill()
    child.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (Path(folder).exists() or any(map(running, pids))):
        time.sleep(0.1)
    assert not Path(folder).exists()
    assert not any(map(running, pids))


def running(pid: str) -> bool:
    stat = proc._stat(int(pid))
    return stat is not None and stat[0] != "Z"
