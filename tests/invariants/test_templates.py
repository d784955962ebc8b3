"""What templates may not contain, and that what is packed into charts is what lies beside them."""

from __future__ import annotations

import io
import re
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from hack import deps, documents, schemas
from hack.paths import CHARTS
from tests.harness import EXAMPLES, SCENARIOS, Scenario, render
from tests.harness.components import CONTROLLER_CHART, MORE, release

TEMPLATES = sorted(
    path for chart in (schemas.LIBRARY, *schemas.charts()) for path in (CHARTS / chart / "templates").rglob("*") if path.is_file()
)
# A function or an action, and what is wrong with it.
BANNED = {
    r"\blookup\b": "asks the cluster, so that a render differs from an install",
    r"\btemplate\b": "its output cannot be indented; include can",
    r"\b(must)?[mM]erge\b": "the first argument wins and is changed in place; mustMergeOverwrite (deepCopy …) says who wins",
    r"\brand(AlphaNum|Alpha|Numeric|Ascii|Bytes|Int)\b": "another value at every render",
    r"\b(uuidv4|now|date|htmlDate|ago)\b": "another value at every render",
    r"\bgen(CA|PrivateKey|SelfSignedCert|SignedCert)\w*\b": "a key in a release",
    r"\b(env|expandenv|getHostByName)\b": "asks the machine that renders",
    r"\btpl\b": "values are data, never templates",
}
BANNED_FIELDS = {
    r"\.Capabilities\.APIVersions\b": "absent in `helm template`; features are switched by values",
    r"\bset \(?(deepCopy )?\$?(root)?\.Values\b": "values are read, never rewritten",
}
# Template files that render several objects, and why.
SEVERAL_OBJECTS = {
    "kserve-controller/templates/presets/llminferenceserviceconfigs.yaml": "as many objects as KServe has presets",
    "kserve-controller/templates/configuration/localmodelnodegroups.yaml": "as many objects as the values name groups",
}


def code(text: str) -> str:
    """The actions of a template, without comments and without texts."""
    text = re.sub(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", "", text, flags=re.S)
    text = text.replace('"{{`{{`}}"', '""').replace('"{{"', '""')
    actions = "\n".join(re.findall(r"\{\{.*?\}\}", text, flags=re.S))
    return re.sub(r'"(\\.|[^"\\])*"|`[^`]*`', '""', actions)


def banned(text: str) -> list[str]:
    functions = re.sub(r"[.$][A-Za-z_][\w.]*", "", code(text))
    found = [pattern for pattern in BANNED if re.search(pattern, functions)]
    return found + [pattern for pattern in BANNED_FIELDS if re.search(pattern, code(text))]


def path_id(path: Path) -> str:
    return str(path.relative_to(CHARTS))


@pytest.mark.parametrize("path", TEMPLATES, ids=path_id)
def test_nothing_banned(path: Path) -> None:
    assert banned(path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{{ (lookup "v1" "Secret" "a" "b").data }}', True),
        ("{{/* lookup is banned */}}", False),
        ('{{ fail "lookup is banned" }}', False),
        ("name: merge", False),
        ("{{- $a := merge $b $c }}", True),
        ("{{- $a := mustMergeOverwrite (deepCopy $b) $c }}", False),
        ('{{ template "x" . }}', True),
        ("{{ randAlphaNum 5 }}", True),
        ("{{ now | date }}", True),
        ("{{ .env.now }}", False),
        ('{{ env "HOME" }}', True),
        ('{{ if .Capabilities.APIVersions.Has "v1" }}', True),
        ('{{ $_ := set .Values "a" 1 }}', True),
    ],
)
def test_the_check_sees_code_only(text: str, found: bool) -> None:
    assert bool(banned(text)) is found


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.suffix == ".tpl"], ids=path_id)
def test_helpers_take_their_root_as_an_argument(path: Path) -> None:
    """`$` inside a define is whatever the caller passed: it reads like the chart's root and is not."""
    assert re.findall(r"\$(?![A-Za-z_])[.\s)]?", code(path.read_text())) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=path_id)
def test_helpers_are_named_after_their_chart(path: Path) -> None:
    chart = path.relative_to(CHARTS).parts[0]
    defined = re.findall(r'define "([^"]+)"', path.read_text())
    assert bool(defined) == (path.suffix == ".tpl"), "defines live in .tpl files, objects in .yaml files"
    assert [name for name in defined if not name.startswith(f"{chart}.")] == []


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.suffix == ".yaml"], ids=path_id)
def test_one_object_a_file(path: Path) -> None:
    kinds = len(re.findall(r"^kind:", path.read_text(), flags=re.M))
    documents = len(re.findall(r"^---", path.read_text(), flags=re.M))
    assert kinds <= 1
    assert (documents > 0) == (path_id(path) in SEVERAL_OBJECTS)


def test_one_object_a_file_as_rendered(scenario: Scenario) -> None:
    sources = Counter(re.findall(r"^# Source: (.*)$", release(scenario).text, flags=re.M))
    assert sources
    several = {source for source, count in sources.items() if count > 1}
    assert all(source.endswith(tuple(SEVERAL_OBJECTS)) for source in several), several


def test_every_template_is_reached() -> None:
    """Each file that renders something does so in some scenario (validations render nothing; notes have tests of their own)."""
    renders = [release(scenario) for scenario in (*SCENARIOS, *EXAMPLES)]
    renders.append(render(CONTROLLER_CHART, values=MORE, namespace="kserve"))
    reached = {source for found in renders for source in re.findall(r"^# Source: (.*)$", found.text, flags=re.M)}
    files = [path_id(path) for path in TEMPLATES if path.suffix == ".yaml" and path.name != "validate.yaml"]
    assert [file for file in files if not any(source.endswith(file) for source in reached)] == []


# As Go prints it, always with a sign; a hash may look like a number of an exponent without one.
EXPONENT = re.compile(r"[0-9]e[+-][0-9]")


def test_no_number_is_printed_with_an_exponent(scenario: Scenario) -> None:
    assert EXPONENT.findall(release(scenario).text) == []


def test_large_numbers_stay_as_they_are() -> None:
    large = 2147483648
    values = {
        "global": {
            "llm": {
                "model": "large",
                "models": {"large": {"uri": "hf://a/b", "weightBytes": 1500000000000}},
                "accelerator": "cpu",
                "replicas": 1048576,
                "cache": {"deadlineSeconds": 10485760},
                "overrides": {
                    "startupSeconds": 10485760,
                    "resources": {"limits": {"memory": large}},
                    "tolerations": [{"operator": "Exists", "tolerationSeconds": 1048576}],
                },
                "engine": {"args": {"max-model-len": 10485760, "hf-overrides": {"size": large}}, "env": {"SIZE": large}},
            }
        },
        "llm-inference-service": {"test": {"maxTokens": 1048576}},
    }
    found = render("llm-stack", values=values)
    assert EXPONENT.findall(found.text) == []
    assert found.one("Job")["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 10485760
    spec = found.one("LLMInferenceService")["spec"]
    main = spec["template"]["containers"][0]
    assert spec["replicas"] == 1048576
    assert main["resources"]["limits"]["memory"] == str(large)
    assert main["args"] == ("--hf-overrides", "'{\"size\":2147483648}'", "--max-model-len", "10485760")
    assert main["startupProbe"]["failureThreshold"] == 2097152
    assert {"name": "SIZE", "value": str(large)} in main["env"]
    assert found.one("PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"] == "1700Gi"


# --- packed copies ----------------------------------------------------------------------------------------------------


def packed(archive: bytes) -> dict[str, bytes]:
    """Path to content of every file of a packed chart."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers() if member.isfile()}  # type: ignore[union-attr]


def copies(archive: bytes, where: str) -> list[tuple[str, str, dict[str, bytes]]]:
    """Every chart inside an archive, nested ones too: where, its name, its own files."""
    contents = packed(archive)
    roots = sorted({re.sub(r"Chart\.yaml$", "", name) for name in contents if re.search(r"(^|/)Chart\.yaml$", name)})
    found = []
    for root in roots:
        own = {
            name.removeprefix(root): content
            for name, content in contents.items()
            if name.startswith(root) and not name.removeprefix(root).startswith("charts/")
        }
        found.append((f"{where}:{root}", documents.load(own["Chart.yaml"])["name"], own))
    for name, content in contents.items():
        if name.endswith(".tgz"):
            found += copies(content, f"{where}:{name}")
    return found


def test_every_packed_chart_equals_its_source() -> None:
    deps.build()
    found = [entry for path in deps.packed_charts() for entry in copies(path.read_bytes(), path_id(path))]
    names = Counter(name for _, name, _ in found)
    # Beside each of the six charts, and once more inside each subchart that the umbrella packs.
    subcharts = [chart for chart in schemas.charts() if chart != schemas.UMBRELLA]
    assert names == {"llm-common": 11, **dict.fromkeys(subcharts, 1)}
    for where, name, own in found:
        for file, content in own.items():
            source = (CHARTS / name / file).read_bytes()
            if file == "Chart.yaml":
                assert documents.load(content) == documents.load(source), where
            else:
                assert content == source, f"{where}{file}"
        templates = {str(path.relative_to(CHARTS / name)) for path in (CHARTS / name / "templates").rglob("*") if path.is_file()}
        assert templates <= set(own), where
