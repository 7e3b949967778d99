"""What blocks/docker/contract.py promises, held against the daemon in memory and a real one."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import docker as sdk
import pytest

from stampede.blocks.docker import Docker, DockerHost
from stampede.containers.image_names import kept_tag
from stampede.errors import Cancelled, DaemonError, DaemonUnavailable, Foreign, ImageMissing
from stampede.planning.identity import labels_of
from stampede.planning.instances import Image
from stampede.stackfile.models import Attachment, HealthCheck, Mount, Network, Port, Volume
from tests.fakes.docker import FakeDockerHost
from tests.lab.images import BUSYBOX, ensure_busybox
from tests.lab.installation import until
from tests.lab.instances import Workbench


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.functional)])
def bench(request: pytest.FixtureRequest, stack_name: str) -> Iterator[Workbench]:
    """A stack of this test's own, on each kind of daemon."""
    if request.param == "fake":
        yield Workbench(FakeDockerHost(), cluster=stack_name, stack=stack_name)
        return
    client: sdk.DockerClient = request.getfixturevalue("docker_client")
    ensure_busybox(client)
    host = DockerHost()
    yield Workbench(host, cluster=stack_name, stack=stack_name)
    host.close()
    for container in client.containers.list(all=True, filters={"label": f"stampede.stack={stack_name}"}):
        container.remove(force=True, v=True)
    for tag in {tag for image in client.images.list() for tag in image.tags if f"/{stack_name}/" in tag}:
        client.images.remove(tag)


@pytest.fixture
def docker(bench: Workbench) -> Docker:
    return bench.docker


def test_a_created_container_is_found_by_its_labels(bench: Workbench, docker: Docker) -> None:
    network = bench.network()
    wanted = bench.wanted(2, networks={network: Attachment()})
    container = bench.create(wanted)
    host = docker.found("h1", bench.cluster)
    (found,) = host.instances
    assert (found.id, found.name, found.state, found.host) == (container, wanted.name, "created", "h1")
    assert (found.stack, found.service, found.slot, found.revision) == (bench.stack, "web", 2, 1)
    assert (found.spec_hash, found.image, found.image_identity) == (wanted.spec_hash, BUSYBOX, wanted.image.identity)
    assert (found.reason, found.run) == ("a test", "r1")
    assert [n.name for n in host.networks] == [network]
    assert found.addresses[network].startswith(bench.subnets[network].rpartition(".")[0])


def test_creating_twice_is_creating_once(bench: Workbench, docker: Docker) -> None:
    wanted = bench.wanted()
    assert bench.create(wanted) == bench.create(wanted)
    assert len(docker.found("h1", bench.cluster).instances) == 1


def test_a_name_of_another_stack_is_foreign(bench: Workbench) -> None:
    bench.create(bench.wanted(container_name=f"{bench.stack}-fixed"))
    other = Workbench(bench.docker, cluster=bench.cluster, stack=f"{bench.stack}-b")
    wanted = bench.wanted(container_name=f"{bench.stack}-fixed").model_copy(update={"stack": other.stack})
    with pytest.raises(Foreign):
        other.create(wanted)


def test_a_fixed_name_is_not_given_to_another_spec_while_the_old_one_stands(bench: Workbench) -> None:
    bench.create(bench.wanted(container_name=f"{bench.stack}-fixed"))
    with pytest.raises(DaemonError, match="another spec"):
        bench.create(bench.wanted(container_name=f"{bench.stack}-fixed", environment={"A": "1"}))


def test_an_image_that_was_not_kept_is_missing(bench: Workbench) -> None:
    wanted = bench.wanted()
    gone = wanted.model_copy(update={"image": Image(reference="gone:1", identity="sha256:" + "0" * 64)})
    with pytest.raises(ImageMissing, match="gone:1"):
        bench.create(gone)


def test_start_stop_and_remove_may_each_be_repeated(bench: Workbench, docker: Docker) -> None:
    container = bench.create(bench.wanted())
    for _ in range(2):
        docker.containers.start(container)
    running = docker.containers.look(container)
    assert running is not None
    assert (running.state, running.exit_code, running.started_at is not None) == ("running", None, True)
    for _ in range(2):
        docker.containers.stop(container, grace_s=1)
    stopped = docker.containers.look(container)
    assert stopped is not None
    assert stopped.state == "exited"
    for _ in range(2):
        docker.containers.remove(container)
    assert docker.containers.look(container) is None
    docker.containers.stop(container)


def test_a_paused_container_runs_again_when_it_is_started(bench: Workbench, docker: Docker) -> None:
    container = bench.run(bench.wanted())
    if isinstance(docker, FakeDockerHost):
        docker.containers.get(container).change(state="paused")
    else:
        with closing(sdk.from_env()) as client:
            client.api.pause(container)
    paused = docker.containers.look(container)
    assert paused is not None
    assert paused.state == "paused"
    docker.containers.start(container)
    found = docker.containers.look(container)
    assert found is not None
    assert found.state == "running"


def test_a_container_is_renamed_once_and_not_to_a_name_that_is_taken(bench: Workbench, docker: Docker) -> None:
    first, second = bench.create(bench.wanted()), bench.create(bench.wanted(2))
    for _ in range(2):
        docker.containers.rename(first, f"{bench.stack}-aside")
    renamed = docker.containers.look(first)
    assert renamed is not None
    assert renamed.name == f"{bench.stack}-aside"
    with pytest.raises(DaemonError, match="in use"):
        docker.containers.rename(second, f"{bench.stack}-aside")
    docker.containers.rename("st-no-such-container", "x")


def test_a_running_container_can_be_removed(bench: Workbench, docker: Docker) -> None:
    bench.run(bench.wanted())
    docker.containers.remove(bench.run(bench.wanted(2)))
    assert [found.slot for found in docker.found("h1", bench.cluster).instances] == [1]


def test_starting_what_is_gone_is_an_error(docker: Docker) -> None:
    with pytest.raises(DaemonError):
        docker.containers.start("st-no-such-container")


def test_found_of_one_stack_leaves_the_others_out(bench: Workbench, docker: Docker) -> None:
    bench.create(bench.wanted())
    assert docker.found("h1", bench.cluster, bench.stack).instances
    assert not docker.found("h1", bench.cluster, "another").instances
    assert not docker.found("h1", "another-cluster").instances


def test_found_lists_what_list_and_inspect_both_know_alike(bench: Workbench, docker: Docker) -> None:
    network = bench.network()
    check = HealthCheck(test=("CMD", "true"), interval=60)
    bench.run(bench.wanted(networks={network: Attachment()}, healthcheck=check))
    bench.create(bench.wanted(2, networks={network: Attachment()}))
    quick = docker.found("h1", bench.cluster).instances
    slow = docker.found("h1", bench.cluster, detail=True).instances
    only_inspected = {"started_at", "restarts", "restart_policy", "created_at"}
    assert [f.model_dump(exclude=only_inspected) for f in quick] == [f.model_dump(exclude=only_inspected) for f in slow]
    assert slow[0].health == "starting"


def test_anonymous_volumes_go_over_to_the_replacement(bench: Workbench, docker: Docker) -> None:
    volumes = (Mount(type="volume", target="/data"),)
    old = bench.run(bench.wanted(volumes=volumes))
    found = docker.containers.look(old)
    assert found is not None
    kept = found.anonymous_volumes
    assert list(kept) == ["/data"]
    docker.containers.stop(old, grace_s=1)
    new = bench.run(bench.wanted(volumes=volumes, environment={"A": "1"}), anonymous_volumes=kept)
    docker.containers.remove(old, anonymous_volumes=True)
    replaced = docker.containers.look(new)
    assert replaced is not None
    assert replaced.anonymous_volumes == kept
    assert not docker.volumes.volumes(bench.cluster)


def test_a_probe_returns_exit_code_and_output(bench: Workbench, docker: Docker) -> None:
    container = bench.run(bench.wanted())
    assert docker.containers.exec_probe(container, ["sh", "-c", "echo yes"], 10) == (0, "yes\n")
    assert docker.containers.exec_probe(container, ["sh", "-c", "exit 3"], 10) == (3, "")
    docker.containers.stop(container, grace_s=1)
    with pytest.raises(DaemonError):
        docker.containers.exec_probe(container, ["true"], 10)


def test_the_first_exit_code_is_waited_for(bench: Workbench, docker: Docker) -> None:
    done = bench.run(bench.wanted(command=("sh", "-c", "exit 0")))
    assert docker.containers.wait_exit(done, 10) == 0
    failed = bench.run(bench.wanted(2, command=("sh", "-c", "exit 7"), restart="no"))
    assert docker.containers.wait_exit(failed, 10) == 7
    crashing = bench.run(bench.wanted(3, command=("sh", "-c", "exit 9")))
    assert docker.containers.wait_exit(crashing, 10) == 9
    with pytest.raises(DaemonError, match="has not ended"):
        docker.containers.wait_exit(bench.run(bench.wanted(4)), 0.2)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        docker.containers.wait_exit(bench.wanted(4).name, 3600, cancelled)


def test_an_image_is_resolved_to_the_same_identity_each_time(docker: Docker) -> None:
    first, second = docker.images.resolve(BUSYBOX), docker.images.resolve(BUSYBOX, pull_policy="never")
    assert first == second
    assert first.identity.startswith("sha256:")


def test_an_image_that_may_not_be_pulled_is_missing(docker: Docker) -> None:
    for policy in ("never", "build"):
        with pytest.raises(ImageMissing):
            docker.images.resolve("stampede-test/none:1", pull_policy=policy)


def test_prune_takes_only_our_tags_that_nobody_needs(bench: Workbench, docker: Docker) -> None:
    wanted = bench.wanted()
    used, spare = kept_tag(bench.stack, "web", wanted.image.identity), bench.image("spare")
    wasted = docker.images.keep(bench.image("wasted"), bench.stack, "wasted")
    bench.create(wanted)
    ours = [tag for tag in docker.images.kept() if f"/{bench.stack}/" in tag]
    removed = docker.images.prune(set(ours) - {kept_tag(bench.stack, "spare", spare.identity)})
    assert [name for name in removed if name.startswith("stampede.local/")] == [wasted]
    assert docker.images.keep(wanted.image, bench.stack, "web") == used
    assert docker.images.resolve(BUSYBOX, pull_policy="never") == spare


def test_a_network_is_made_once_and_removed_once(bench: Workbench, docker: Docker) -> None:
    network = Network(name=f"{bench.stack}_back", internal=True)
    subnet = "10.143.250.0/24"
    first = docker.networks.ensure_network(network, cluster=bench.cluster, stack=bench.stack, subnet=subnet)
    assert first == docker.networks.ensure_network(network, cluster=bench.cluster, stack=bench.stack, subnet=subnet)
    assert (first.subnet, first.internal, first.stack) == (subnet, True, bench.stack)
    assert subnet in docker.networks.taken_subnets()
    with pytest.raises(Foreign):
        docker.networks.ensure_network(network, cluster=bench.cluster, stack="another", subnet=subnet)
    with pytest.raises(Foreign):
        docker.networks.remove_network(network.name, cluster="another")
    for _ in range(2):
        docker.networks.remove_network(network.name, cluster=bench.cluster)
    assert not docker.found("h1", bench.cluster).networks


def test_an_external_network_has_to_be_there(bench: Workbench, docker: Docker) -> None:
    with pytest.raises(DaemonError, match="external"):
        docker.networks.ensure_network(
            Network(name=f"{bench.stack}-none", external=True), cluster=bench.cluster, stack=bench.stack
        )


def test_a_container_is_on_each_of_its_networks(bench: Workbench, docker: Docker) -> None:
    front, back = bench.network("front"), bench.network("back")
    container = bench.create(bench.wanted(networks={front: Attachment(priority=1), back: Attachment()}))
    found = docker.containers.look(container)
    assert found is not None
    assert set(found.addresses) == {front, back}
    assert found.addresses[back] in docker.networks.used_addresses(back)


def test_an_interrupted_creation_is_completed_by_the_next(bench: Workbench, docker: Docker) -> None:
    front, back = bench.network("front"), bench.network("back")
    wanted = bench.wanted(networks={front: Attachment(priority=1), back: Attachment()})
    labels = labels_of(wanted, cluster=bench.cluster, reason="a test", run="r1")
    half = wanted.model_copy(update={"networks": {front: Attachment(priority=1)}})
    docker.containers.create(half, addresses={}, files_dir=Path("/nowhere"), labels=labels)
    container = bench.create(wanted)
    found = docker.containers.look(container)
    assert found is not None
    assert back in found.addresses


def test_a_volume_is_made_once_and_removed_once(bench: Workbench, docker: Docker) -> None:
    volume = Volume(name=f"{bench.stack}_pgdata")
    for _ in range(2):
        docker.volumes.ensure_volume(volume, cluster=bench.cluster, stack=bench.stack)
    assert [found.name for found in docker.volumes.volumes(bench.cluster, bench.stack)] == [volume.name]
    with pytest.raises(Foreign):
        docker.volumes.ensure_volume(volume, cluster=bench.cluster, stack="another")
    with pytest.raises(DaemonError):
        docker.volumes.ensure_volume(
            Volume(name=f"{bench.stack}-none", external=True), cluster=bench.cluster, stack=bench.stack
        )
    with pytest.raises(Foreign):
        docker.volumes.remove_volume(volume.name, cluster="another")
    for _ in range(2):
        docker.volumes.remove_volume(volume.name, cluster=bench.cluster)
    assert not docker.volumes.volumes(bench.cluster)


def test_a_volume_in_use_is_not_removed(bench: Workbench, docker: Docker) -> None:
    volume = Volume(name=f"{bench.stack}_pgdata")
    docker.volumes.ensure_volume(volume, cluster=bench.cluster, stack=bench.stack)
    mount = Mount(type="volume", source="pgdata", target="/data")
    container = bench.create(bench.wanted(named={"pgdata": volume.name}, volumes=(mount,)))
    with pytest.raises(DaemonError):
        docker.volumes.remove_volume(volume.name, cluster=bench.cluster)
    docker.containers.remove(container)
    docker.volumes.remove_volume(volume.name, cluster=bench.cluster)


def test_events_tell_what_happens_to_ours(bench: Workbench, docker: Docker) -> None:
    since = datetime.now(UTC)
    container = bench.run(bench.wanted(command=("sh", "-c", "exit 4"), restart="no"))
    seen: list[tuple[str, int | None]] = []

    def watch() -> None:
        for event in docker.events(bench.cluster, since):
            seen.append((event.action, event.exit_code))
            assert (event.container, event.stack, event.service, event.slot) == (container, bench.stack, "web", 1)
            if event.action == "die":
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    watcher.join(10)
    assert seen == [("create", None), ("start", None), ("die", 4)]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_daemon_that_is_away_is_worth_a_retry() -> None:
    for docker in (DockerHost("unix:///nonexistent.sock"), FakeDockerHost(away=True)):
        with pytest.raises(DaemonUnavailable):
            docker.ping()
        with pytest.raises(DaemonUnavailable):
            docker.found("h1", "c")
    gc.collect()  # the SDK leaves the sockets it could not connect to the collector, which warns


def test_what_docker_publishes_for_a_container_is_known_with_its_stack(
    bench: Workbench, docker: Docker, free_port: int
) -> None:
    port = Port(target=53, published=str(free_port), protocol="udp")
    container = bench.run(bench.wanted(ports=(port,), networks={bench.network(): Attachment()}))
    taken = [held for held in docker.found("h1", "another-cluster").taken if held.container == container]
    assert {(held.protocol, held.port, held.stack) for held in taken} == {("udp", free_port, bench.stack)}
    looked, (listed,) = docker.containers.look(container), docker.found("h1", bench.cluster).instances
    assert looked is not None
    assert looked.published == listed.published == (f"*:{free_port}->53/udp",)
    docker.containers.stop(container, grace_s=1)
    # Docker 26 answers a moment before its list of containers knows.
    until(lambda: all(held.container != container for held in docker.found("h1", bench.cluster).taken), "it is free", 5)
