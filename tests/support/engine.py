"""A Docker engine of the tests' own, which leaves nothing behind but its cache in .trunnion.

It has its own socket, data and cgroup, and neither bridge nor firewall rules: containers meet on
the internal networks of their project, and images are built on the host's network. Base images
can't be had from a registry everywhere, so they are made of Debian's packages and tagged with the
names that the Dockerfiles and fragments use (tests/platform/images).
"""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from kit.compose import OWN, program
from kit.paths import ROOT, STATE
from kit.services import read_env

from .wait import eventually

IMAGES = ROOT / "tests" / "platform" / "images"
CACHE = STATE / "engine"
SUITE = "trixie"
BASE = f"docker.io/library/debian:{SUITE}-slim"
VERSIONS = ROOT / "platform" / "versions.env"
KEPT_HOURS = 72
KEPT_BYTES_MAX = "3GB"
# Whom this machine trusts beside Debian's authorities: what it can fetch, a build can.
AUTHORITIES = Path("/usr/local/share/ca-certificates")
# The docs of packages are not in the official slim image either.
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def run(*words, **how) -> str:
    """What a command says; a failure shows all of it."""
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, cwd=ROOT, **how)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout[-6000:]}"
    return done.stdout


class Engine:
    def __init__(self):
        # In /tmp, for the path of a socket must be short.
        self.folder = Path(tempfile.mkdtemp(prefix="trunnion-engine-", dir="/tmp"))
        self.cgroup = self.folder.name
        self.host = f"unix://{self.folder}/sock"
        self.log = CACHE / "dockerd.log"
        self.process: subprocess.Popen | None = None

    # ---- Life ---------------------------------------------------------------

    def start(self) -> "Engine":
        self.take_turn()
        try:
            self.start_process()
            eventually(self.answers, seconds=120, every=0.2, what="a Docker engine that answers")
        except BaseException:
            self.end_process()
            raise
        return self

    def take_turn(self) -> None:
        """Two engines can't share the cache: the second waits until the first is done."""
        CACHE.mkdir(parents=True, exist_ok=True)
        self.turn = open(CACHE / "lock", "wb")
        fcntl.flock(self.turn, fcntl.LOCK_EX)

    def start_process(self) -> None:
        with open(self.log, "wb") as out:
            # It ends with us, however we end; and its containers with it.
            self.process = subprocess.Popen(
                [*as_root(), "setpriv", "--pdeathsig", "TERM", "dockerd",
                 f"--data-root={CACHE}/data", f"--exec-root={self.folder}/exec",
                 f"--pidfile={self.folder}/pid", f"--host={self.host}",
                 f"--group={os.getgid()}",  # Who may ask it: we, whoever that is.
                 f"--cgroup-parent=/{self.cgroup}", "--bridge=none", "--iptables=false",
                 "--ip-forward=false", "--ip-masq=false"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        with contextlib.suppress(AssertionError):
            return bool(self.docker("version"))
        return False

    def stop(self) -> None:
        try:
            self.clear()
            self.prune()
        finally:
            self.end_process()

    def prune(self) -> None:
        """The cache does not grow: images that others have replaced go, and of what they were built
        from all that the last days did not use."""
        self.docker("image", "prune", "--force")
        for limit in (f"--filter=until={KEPT_HOURS}h", f"--keep-storage={KEPT_BYTES_MAX}"):
            self.docker("builder", "prune", "--all", "--force", limit)

    def end_process(self) -> None:
        """By the engine's own id: where sudo started it, its process is not ours to signal."""
        own = self.folder / "pid"
        if self.process.poll() is None:
            run(*as_root(), "kill", own.read_text() if own.exists() else self.process.pid)
            self.process.wait(60)
        self.tidy()
        self.turn.close()

    def clear(self) -> None:
        """No container, network or volume is kept; images and what they are built from are."""
        for kind, remove in (("container", ("rm", "--force", "--volumes")), ("network", ("rm",)),
                             ("volume", ("rm", "--force"))):
            options = ("--filter", "type=custom") if kind == "network" else ()
            all_of = ("--all",) if kind == "container" else ()
            found = self.docker(kind, "ls", "--quiet", *all_of, *options).split()
            if found:
                self.docker(kind, *remove, *found)

    def tidy(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed(mounts):
            if mount.startswith((str(self.folder), str(CACHE / "data"))):
                run(*as_root(), "umount", mount)
        for root in Path("/sys/fs/cgroup").rglob(self.cgroup):
            for folder in sorted([root, *root.rglob("*/")], reverse=True):
                run(*as_root(), "rmdir", folder)
        run(*as_root(), "rm", "-rf", self.folder)

    # ---- What it is told ------------------------------------------------------

    @property
    def env(self) -> dict[str, str]:
        path = f"{os.environ['PATH']}:{OWN.parent}"  # Where `docker` may be, if nowhere else.
        return {**os.environ, "PATH": path, "DOCKER_HOST": self.host,
                "DOCKER_CONFIG": str(self.folder)}

    def docker(self, *words: str) -> str:
        return run("docker", *words, env=self.env)

    def give_base_images(self) -> None:
        tar = CACHE / f"{SUITE}-{authorities()}.tar"
        if not tar.exists():
            for old in CACHE.glob("*.tar"):
                old.unlink()
            make_base(tar)
        label = f"tar={tar.name}"
        if not self.docker("image", "ls", "--quiet", f"--filter=label={label}", BASE).strip():
            self.docker("import", "--change", 'CMD ["bash"]', "--change", f"LABEL {label}",
                        str(tar), BASE)
        run(*program(), "--file", IMAGES / "compose.yaml", "--env-file", VERSIONS,
            "build", env={**self.env, **read_env(VERSIONS)})


def as_root() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]


def authorities() -> str:
    """Tells two sets of them apart."""
    found = sorted(AUTHORITIES.rglob("*.crt"))
    return hashlib.sha256(b"".join(one.read_bytes() for one in found)).hexdigest()[:12]


def make_base(tar: Path) -> None:
    """From the mirror that this machine uses."""
    said = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL)")
    mirror = next(line.split()[0] for line in said.splitlines() if line.endswith(" Debian"))
    part = tar.with_suffix(".part.tar")
    # As in the official image, packages are unpacked without a flush for each file.
    run(*as_root(), "mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io",
        *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
        f"--customize-hook=copy-in {AUTHORITIES} {AUTHORITIES.parent}", SUITE, part,
        f"deb {mirror} {SUITE} main")
    part.rename(tar)
