"""The tools under hack/ that everything else stands on: cache, console, programs, pinned versions, packed charts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from hack import cached, console, deps, paths, shell, versions
from hack.console import StepFailed, Timeline

# --- cache ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_STACK_CACHE", str(tmp_path))
    return tmp_path


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_STACK_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert paths.cache() == Path("/a")
    monkeypatch.delenv("LLM_STACK_CACHE")
    assert paths.cache() == Path("/b/llm-stack")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert paths.cache() == Path("/c/.cache/llm-stack")


def test_an_artifact_is_made_once(cache: Path) -> None:
    made = []

    def make(target: Path) -> None:
        made.append(target)
        target.write_text("content")

    first = cached.artifact("kind", "name", "0123", make)
    assert first == cache / "kind" / "name-0123"
    assert first.read_text() == "content"
    assert cached.artifact("kind", "name", "0123", make) == first
    assert len(made) == 1
    assert cached.artifact("kind", "name", "4567", make) == cache / "kind" / "name-4567"
    assert len(made) == 2


def test_a_failed_make_leaves_nothing_and_the_next_succeeds(cache: Path) -> None:
    def broken(target: Path) -> None:
        target.mkdir()
        (target / "half").write_text("made")
        raise StepFailed("out of disk")

    def whole(target: Path) -> None:
        target.mkdir()
        (target / "all").write_text("made")

    with pytest.raises(StepFailed, match="out of disk"):
        cached.artifact("kind", "name", "0123", broken)
    assert not (cache / "kind" / "name-0123").exists()
    found = cached.artifact("kind", "name", "0123", whole)
    assert [path.name for path in found.iterdir()] == ["all"]
    assert [path.name for path in (cache / "kind").iterdir()] == ["name-0123"]


def test_a_killed_make_blocks_nobody(cache: Path) -> None:
    """The kernel frees a dead holder's lock, and the remains of its work are removed."""
    script = (
        "import os, time\nfrom pathlib import Path\nfrom hack import cached\n"
        "def make(target: Path) -> None:\n"
        "    target.mkdir(); (target / 'half').write_text('made'); print('started', flush=True); time.sleep(600)\n"
        "cached.artifact('kind', 'name', '0123', make)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=paths.ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "started\n"
        holder.kill()
    assert [path.suffix for path in (cache / "kind").iterdir()] == [".partial"]
    began = time.monotonic()
    found = cached.artifact("kind", "name", "0123", lambda target: target.write_text("whole") and None)
    assert time.monotonic() - began < 10
    assert found.read_text() == "whole"
    assert [path.name for path in (cache / "kind").iterdir()] == ["name-0123"]


def test_two_makers_take_turns(cache: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom hack import cached\n"
        "def make(target: Path) -> None:\n"
        "    time.sleep(0.3); target.write_text(sys.argv[1]); print('made', flush=True)\n"
        "cached.artifact('kind', 'name', '0123', make)\n"
    )
    command = [sys.executable, "-c", script]
    both = [subprocess.Popen([*command, name], cwd=paths.ROOT, stdout=subprocess.PIPE, text=True) for name in "ab"]
    assert sorted(process.communicate(timeout=60)[0] for process in both) == ["", "made\n"]


def test_names_of_content() -> None:
    name = cached.key("a", 1, {"x": [1, 2]})
    assert re.fullmatch(r"[0-9a-f]{16}", name)
    assert cached.key("a", 1, {"x": [1, 2]}) == name
    others = [
        cached.key("b", 1, {"x": [1, 2]}),
        cached.key("a", 1, {"x": [2, 1]}),
        cached.key("a1", {"x": [1, 2]}),
        cached.key("a", 1),
    ]
    assert len({name, *others}) == 5


def test_names_of_files_follow_name_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = cached.key(folder)
    (folder / "a").write_text("2")
    second = cached.key(folder)
    (folder / "a").rename(folder / "b")
    third = cached.key(folder)
    (folder / "c").write_text("")
    assert len({first, second, third, cached.key(folder)}) == 4


def test_remove_takes_what_is_read_only_and_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    folder = tmp_path / "folder" / "inner"
    folder.mkdir(parents=True)
    (folder / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    (folder / "file").chmod(0o444)
    folder.chmod(0o555)
    cached.remove(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    assert (outside / "kept").read_text() == "kept"
    cached.remove(tmp_path / "absent")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    cached.remove(tmp_path / "dangling")
    assert not (tmp_path / "dangling").is_symlink()


# --- console ----------------------------------------------------------------------------------------------------------


def test_a_step_says_its_title_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline()
    with timeline.step("first"):
        pass
    with timeline.step("second, a longer one"):
        pass
    assert re.fullmatch(
        r"==> first\n    done after 0\.\d s\n==> second, a longer one\n    done after 0\.\d s\n", capsys.readouterr().out
    )
    lines = timeline.table().splitlines()
    assert [line.rsplit("  ", 1)[0].strip().rsplit("  ", 1)[0].strip() for line in lines] == [
        "first",
        "second, a longer one",
        "total",
    ]
    assert len({len(line) for line in lines}) == 1
    assert all(line.endswith(" s") for line in lines)


def test_the_table_adds_up() -> None:
    assert Timeline([("a", 1.25), ("bb", 100.0)]).table() == "a          1.2 s\nbb       100.0 s\ntotal    101.2 s"


def test_a_failed_step_is_told_and_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    timeline = Timeline()
    with pytest.raises(StepFailed, match="no disk"), timeline.step("build"):
        raise StepFailed("no disk", look="df -h")
    assert re.search(r"==> build\n    FAILED after 0\.\d s\n", capsys.readouterr().out)
    assert [title for title, _ in timeline.steps] == ["build"]


def test_a_long_step_shows_progress(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "PROGRESS_SECONDS", 0.05)
    with Timeline().step("long") as step:
        time.sleep(0.12)
        step.note("compiling")
        time.sleep(0.12)
    out = capsys.readouterr().out
    assert "    … 0 s\n" in out
    assert "    … 0 s: compiling\n" in out


def test_a_failure_says_why_and_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.fail("no disk", "df -h") == 1
    told = capsys.readouterr()
    assert told.err == "\nFAILED: no disk\nTo look further: df -h\n"
    assert told.out == ""
    console.fail("no disk")
    assert capsys.readouterr().err == "\nFAILED: no disk\n"


# --- other programs ---------------------------------------------------------------------------------------------------


def test_a_failed_program_says_what_it_printed() -> None:
    with pytest.raises(shell.CommandFailed) as failed:
        shell.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert failed.value.status == 3
    assert str(failed.value).startswith("`sh -c echo out; echo err >&2; exit 3` ended with status 3\n")
    assert "out" in failed.value.output
    assert "err" in failed.value.output


def test_a_program_may_fail_where_that_is_asked() -> None:
    assert shell.run("sh", "-c", "exit 3", check=False).returncode == 3


def test_output_environment_and_input_of_a_program() -> None:
    assert shell.out("sh", "-c", 'printf \'%s %s\\n\' "$X" "$(cat)"', env={"X": "1"}, stdin="in") == "1 in"


def test_output_goes_to_a_log_as_it_comes(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    shell.run("echo", "first", log=log)
    with pytest.raises(shell.CommandFailed, match="second"):
        shell.run("sh", "-c", "echo second; exit 1", log=log)
    assert log.read_text() == "first\nsecond\n"


# --- versions.yaml ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pin", versions.go_modules().values(), ids=lambda pin: pin.name)
def test_a_go_module_is_pinned(pin: versions.GoModule) -> None:
    assert re.fullmatch(r"v[0-9]+\.[0-9]+\.[0-9]+", pin.version)
    assert re.fullmatch(r"h1:[A-Za-z0-9+/]{43}=", pin.sum)
    assert re.fullmatch(r"[a-z0-9.-]+(/[A-Za-z0-9._-]+)+", pin.module)
    assert all(package == "." or package.startswith("./") for package in pin.build.values())
    told = [flag.split("=")[1] for flag in pin.ldflags if re.search(r"(gitVersion|\.version|VERSION)=", flag)]
    assert all(f"v{version.removeprefix('v')}" == pin.version for version in told), "what a program reports is the version it has"
    if pin.overlay:
        assert (paths.ROOT / pin.overlay).is_dir()


def test_a_go_module_has_a_renovate_hint() -> None:
    lines = (paths.ROOT / "versions.yaml").read_text().splitlines()
    for pin in versions.go_modules().values():
        above = lines[lines.index(f"  {pin.name}:") - 1]
        followed = f"  # renovate: datasource=go packageName={pin.module}"
        # A version that we do not follow says why.
        assert above == followed or ("renovate" not in above and above.startswith("  # ")), pin.name


def test_no_program_is_built_by_two_modules() -> None:
    programs = [program for pin in versions.go_modules().values() for program in pin.build]
    assert len(programs) == len(set(programs))


@pytest.mark.parametrize("image", versions.images().values(), ids=lambda image: image.name)
def test_an_image_has_a_digest_or_a_reason(image: versions.Image) -> None:
    entry = versions.document()["images"][image.name]
    assert len(entry["digestSource"]) > 10
    assert image.digest is None or re.fullmatch(r"sha256:[0-9a-f]{64}", image.digest)
    assert re.fullmatch(r"v?[0-9]+\.[0-9]+\.[0-9]+", image.tag)
    assert re.fullmatch(r"[a-z0-9.]+\.[a-z]+/[a-z0-9/-]+", image.repository), "with its registry"
    assert image.ref == f"{image.repository}:{image.tag}"
    assert image.pinned == (f"{image.ref}@{image.digest}" if image.digest else image.ref)


def test_a_chart_is_pinned_and_followed() -> None:
    lines = (paths.ROOT / "versions.yaml").read_text().splitlines()
    start = lines.index("charts:")
    for name, entry in versions.document()["charts"].items():
        assert re.fullmatch(r"v?[0-9]+\.[0-9]+\.[0-9]+", entry["version"]), name
        above = lines[lines.index(f"  {name}:", start) - 1]
        where, _, chart = entry["chart"].rpartition("/")
        followed = (
            f"datasource=docker packageName={where.removeprefix('oci://')}/{chart}" if "//" in where else f"packageName={chart}"
        )
        assert above.startswith("  # renovate: datasource="), name
        assert above.endswith(followed), name


def test_one_version_of_vllm() -> None:
    vllm = versions.document()["engine"]["vllm"]
    assert {versions.images()[name].tag for name in ("engine-cpu", "engine-gpu")} == {f"v{vllm}"}
    lock = (paths.ROOT / "hack" / "lab" / "files" / "engine-cpu.lock").read_text()
    assert re.search(rf"\bvllm(-cpu)?(==|-){re.escape(vllm)}\b", lock), "the wheel of the engine image built from source"


def test_one_version_of_kserve() -> None:
    version = versions.go_modules()["kserve"].version
    assert {versions.images()[name].tag for name in ("controller", "storage-initializer")} == {version}


def test_the_nodes_version_is_the_kubernetes_that_is_built() -> None:
    node = versions.document()["images"]["node"]
    assert node["sourceTag"] == versions.go_modules()["kubernetes"].version
    assert node["tag"].rpartition(".")[0] == node["sourceTag"].rpartition(".")[0]


# --- packed charts ----------------------------------------------------------------------------------------------------


def test_a_changed_file_of_the_library_changes_every_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(paths.CHARTS, tmp_path / "charts")
    monkeypatch.setattr(deps, "CHARTS", tmp_path / "charts")
    monkeypatch.setattr("hack.schemas.CHARTS", tmp_path / "charts")
    charts = ("llm-common", "kserve-controller", "llm-inference-service", "model-cache", "llm-stack")
    before = {chart: deps.content(chart) for chart in charts}
    (tmp_path / "charts" / "llm-stack" / "charts" / "other.tgz").write_text("packed copies are no sources")
    assert {chart: deps.content(chart) for chart in charts} == before
    names = tmp_path / "charts" / "llm-common" / "templates" / "_capabilities.tpl"
    names.write_text(names.read_text() + "\n")
    after = {chart: deps.content(chart) for chart in charts}
    assert all(before[chart] != after[chart] for chart in charts)
    unrelated = tmp_path / "charts" / "model-cache" / "values.yaml"
    unrelated.write_text(unrelated.read_text() + "\n")
    last = {chart: deps.content(chart) for chart in charts}
    assert {chart for chart in charts if last[chart] != after[chart]} == {"model-cache", "llm-stack"}


def test_the_lock_knows_every_dependency() -> None:
    """The environment is made from uv.lock alone: a dependency that was not locked would be missing."""
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
    locked = tomllib.loads((paths.ROOT / "uv.lock").read_text())["package"]
    (own,) = [package for package in locked if package["name"] == project["name"]]
    assert {re.split(r"[=<>~ ]", wanted)[0].lower() for wanted in project["dependencies"]} == {
        dependency["name"] for dependency in own["dependencies"]
    }


# --- commands ---------------------------------------------------------------------------------------------------------


def test_a_command_that_is_ended_stops_what_it_started(tmp_path: Path) -> None:
    """As `kill` and a CI's time limit end it."""
    script = f"""
import sys, time
from pathlib import Path
from hack import __main__ as main

def wait(_arguments):
    try:
        Path({str(tmp_path / "began")!r}).touch()
        time.sleep(60)
    finally:
        Path({str(tmp_path / "stopped")!r}).touch()

main.COMMANDS["wait"] = wait
sys.argv = ["hack", "wait"]
sys.exit(main.main())
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=paths.ROOT, stdout=subprocess.DEVNULL) as command:
        while not (tmp_path / "began").exists():
            assert command.poll() is None
            time.sleep(0.05)
        command.terminate()
        assert command.wait(10) != 0
    assert (tmp_path / "stopped").exists()
